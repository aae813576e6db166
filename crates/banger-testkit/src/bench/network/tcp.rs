//! TCP between host and guest: over our bridge with its rules, and over the same bridge without any.
//!
//! It is one guest, by turns: two boots of one guest differ by a fifth in what they copy (measured), and each keeps to
//! its rate as long as it runs. While the rules are away the bridge and the TAP are as `ip` would make them.
//!
//! On two processors that the guest, its VMM and we share, the times of two equal copies differ by a third (standard
//! deviation 28 % of 400 copies of 32 MiB, measured): a sample is the sum of many short ones.

use super::super::error::Error;
use super::super::figure::Figure;
use super::super::process::Process;
use super::super::raw::{Zeros, write_zeros};
use super::super::{milliseconds, repeat};
use super::ground::alone;
use super::kernel::nft;
use crate::{World, checks};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The guest's name.
const GUEST: &str = "t";
/// Where the guest listens.
const PORT: u16 = 5001;
/// How long the guest may take to listen, and a copy to go on: a guest under emulation beside others.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(20);
/// Samples of both kinds each way with one guest.
const SAMPLES: usize = 10;
/// How often a sample changes from one to the other: that takes half a second (measured).
const TURNS: usize = 8;
/// Copies each way of one turn.
const COPIES: usize = 2;
/// Bytes of one copy to the host, and of one to the guest, which takes them six times as fast under emulation.
const TO_HOST: u64 = 8 * 1024 * 1024;
const TO_GUEST: u64 = 32 * 1024 * 1024;
/// MiB of one sample likewise.
const MIB_TO_HOST: f64 = 8.0 * 2.0 * 8.0;
const MIB_TO_GUEST: f64 = 8.0 * 2.0 * 32.0;

/// Serves at [`PORT`] with what Debian's `perl-base` has. A connection says by its first byte what it
/// wants: `s`, [`TO_HOST`] zeros; `r`, the number of the bytes that follow.
const SERVE: &str = r#"use Socket;
socket(S, PF_INET, SOCK_STREAM, 0) and setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1)
    and bind(S, sockaddr_in(5001, INADDR_ANY)) and listen(S, 9) or die $!;
my $zeros = "\0" x 65536;
while (accept(C, S)) {
    sysread(C, my $what, 1);
    if ($what eq "s") { print C $zeros for 1 .. 128 }
    else { my ($sum, $got) = 0; $sum += $got while $got = sysread(C, my $some, 65536); print C $sum }
    close C;
}"#;

/// Measures it.
///
/// # Errors
/// When a guest does not come up, or other bytes come.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let (mut sent, mut received) = (Times::default(), Times::default());
    let mut done = 0;
    while done < count {
        let samples = SAMPLES.min(count - done);
        eprintln!("network.tcp: a guest for {samples} samples each way");
        alone(|| with_new_guest(samples, &mut sent, &mut received))?;
        done += samples;
    }
    Ok(vec![
        figure("network.tcp.sent", MIB_TO_HOST, &sent)?,
        figure("network.tcp.received", MIB_TO_GUEST, &received)?,
    ])
}

fn with_new_guest(samples: usize, sent: &mut Times, received: &mut Times) -> Result<(), Error> {
    let world = World::real();
    world.configure("network = \"bridge\"\n");
    checks::start(&world, GUEST);
    let address = world.show(GUEST)["addresses"][0]
        .as_str()
        .map(str::parse::<IpAddr>);
    let Some(Ok(address)) = address else {
        let shown = world.show(GUEST);
        return Err(Error::wrong(format!("no address on the bridge in {shown}")));
    };
    let mut serving = world.banger(["vm", "exec", GUEST, "--", "perl", "-e", SERVE]);
    let serving = Process::spawn(serving.stdin(Stdio::null()).stdout(Stdio::null()))?;
    let end = End::find(address)?;
    let rules = Rules::of(&world)?;
    let by_turns = || {
        rules.take_away()?;
        let bare = end.copies()?;
        rules.put_back()?;
        Ok((end.copies()?, bare))
    };
    by_turns()?;
    repeat("network.tcp", samples, |_| {
        let (mut ours, mut bare) = (BothWays::default(), BothWays::default());
        for _ in 0..TURNS {
            let (with, without) = by_turns()?;
            ours += with;
            bare += without;
        }
        for (which, sum) in [(OURS, ours), (BARE, bare)] {
            sent[which].push(sum.to_host);
            received[which].push(sum.to_guest);
        }
        Ok(())
    })?;
    drop(serving);
    for verb in ["kill", "rm"] {
        let _ = world.run(["vm", verb, GUEST]).good();
    }
    world.stop_daemon();
    world.assert_nothing_left();
    Ok(())
}

/// Ours, and the bare mechanism's.
type Times = [Vec<Duration>; 2];
const OURS: usize = 0;
const BARE: usize = 1;

fn figure(name: &'static str, mib: f64, [ours, bare]: &Times) -> Result<Figure, Error> {
    let (ours, bare) = (milliseconds(name, ours)?, milliseconds(name, bare)?);
    Ok(Figure::rate(name, mib, &ours, Some(&bare)).with_goal(Some(0.95), None))
}

/// All rules of this network namespace, which is ours alone.
#[derive(Debug)]
struct Rules(PathBuf);

impl Rules {
    fn of(world: &World) -> Result<Self, Error> {
        let file = world.path("rules.nft");
        std::fs::write(&file, nft("list ruleset")?).map_err(Error::io("keep the rules"))?;
        Ok(Self(file))
    }

    fn take_away(&self) -> Result<(), Error> {
        nft("flush ruleset").map(drop)
    }

    fn put_back(&self) -> Result<(), Error> {
        nft(&format!("-f {}", self.0.display())).map(drop)
    }
}

/// How long it took each way.
#[derive(Debug, Clone, Copy, Default)]
struct BothWays {
    to_host: Duration,
    to_guest: Duration,
}

impl AddAssign for BothWays {
    fn add_assign(&mut self, more: Self) {
        self.to_host += more.to_host;
        self.to_guest += more.to_guest;
    }
}

/// A guest that serves.
#[derive(Debug)]
struct End(SocketAddr);

impl End {
    /// Waits until it listens.
    fn find(address: IpAddr) -> Result<Self, Error> {
        let end = Self(SocketAddr::new(address, PORT));
        let until = Instant::now() + LIMIT;
        loop {
            match end.connect() {
                Ok(_) => return Ok(end),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => std::thread::park_timeout(AGAIN),
            }
            super::super::interrupt::check()?;
        }
    }

    fn connect(&self) -> Result<TcpStream, Error> {
        let connected = TcpStream::connect_timeout(&self.0, LIMIT).and_then(|stream| {
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            Ok(stream)
        });
        connected.map_err(Error::io(format!("connect to the guest at {}", self.0)))
    }

    /// [`COPIES`] each way.
    fn copies(&self) -> Result<BothWays, Error> {
        let mut sum = BothWays::default();
        for _ in 0..COPIES {
            sum += BothWays {
                to_host: self.send_to_host()?,
                to_guest: self.send_to_guest()?,
            };
        }
        Ok(sum)
    }

    fn send_to_host(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut stream = self.connect()?;
        let asked = stream.write_all(b"s");
        asked.map_err(Error::io("ask the guest for bytes"))?;
        let zeros = Zeros::read(&mut stream);
        let took = begun.elapsed();
        zeros.demand(TO_HOST)?;
        Ok(took)
    }

    fn send_to_guest(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut stream = self.connect()?;
        let mut said = String::new();
        let sent = stream
            .write_all(b"r")
            .and_then(|()| write_zeros(&mut stream, TO_GUEST))
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .and_then(|()| stream.read_to_string(&mut said));
        sent.map_err(Error::io("send bytes to the guest"))?;
        let took = begun.elapsed();
        if said != TO_GUEST.to_string() {
            return Err(Error::wrong(format!(
                "the guest got {said} bytes of {TO_GUEST}"
            )));
        }
        Ok(took)
    }
}
