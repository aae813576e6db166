//! Names: our server beside dnsmasq, both in a process of their own with the same records, asked by
//! the same load.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::statistics::Samples;
use super::super::{missing, repeat};
use super::load::{self, Load, Ran};
use super::name_server::NameServer;

/// Short runs by turns make one sample, so that whatever else the machine does meets both.
const TURNS: usize = 10;

/// Measures it.
///
/// # Errors
/// When a server does not start, an answer is wrong, or one is missing.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let (ours, bare) = (NameServer::ours()?, NameServer::dnsmasq()?);
    let questions = load::questions();
    let load = |server: &NameServer| Load::new(server.address(), &questions)?.run();
    let (mut of_ours, mut of_bare) = (Measured::default(), Measured::default());
    let mut once = |kept: bool| {
        let mut both = (Ran::default(), Ran::default());
        for _ in 0..TURNS {
            both.0.add(load(&ours)?);
            both.1.add(load(&bare)?);
        }
        if kept {
            of_ours.add(&both.0)?;
            of_bare.add(&both.1)?;
        }
        Ok(())
    };
    once(false)?;
    repeat("network dns", count, |_| once(true))?;
    of_ours.figures(of_bare)
}

/// One value of each sample.
#[derive(Default)]
struct Measured {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Measured {
    fn add(&mut self, ran: &Ran) -> Result<(), Error> {
        let latencies = missing("dns", Samples::milliseconds(&ran.latencies))?;
        self.rates.push(ran.rate());
        self.p50.push(latencies.median());
        self.p99.push(latencies.percentile(99));
        Ok(())
    }

    fn figures(self, bare: Self) -> Result<Vec<Figure>, Error> {
        let samples = |values| missing("dns", Samples::new(values));
        let figure = |name, unit, ours, bare| -> Result<Figure, Error> {
            Ok(Figure::new(
                name,
                unit,
                &samples(ours)?,
                Some(&samples(bare)?),
            ))
        };
        let ms = Unit::Milliseconds;
        Ok(vec![
            figure("dns.rate", Unit::PerSecond, self.rates, bare.rates)?.with_goal(Some(1.0), None),
            figure("dns.p99", ms, self.p99, bare.p99)?.with_goal(Some(1.0), None),
            figure("dns.p50", ms, self.p50, bare.p50)?,
        ])
    }
}
