//! TCP between host and guest: over our bridge with its rules, and over the same bridge without any.
//!
//! It is one guest, by turns: two boots of one guest differ by a fifth in what they copy (measured), and each keeps to
//! its rate as long as it runs. While the rules are away the bridge and the TAP are as `ip` would make them.

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
/// Copies of both kinds each way with one guest.
const COPIES: usize = 10;
/// Bytes of one copy.
const BYTES: u64 = 128 * 1024 * 1024;
const MIB: f64 = 128.0;

/// Serves at [`PORT`] with what Debian's `perl-base` has. A connection says by its first byte what it
/// wants: `s`, [`BYTES`] zeros; `r`, the number of the bytes that follow.
const SERVE: &str = r#"use Socket;
socket(S, PF_INET, SOCK_STREAM, 0) and setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1)
    and bind(S, sockaddr_in(5001, INADDR_ANY)) and listen(S, 9) or die $!;
my $zeros = "\0" x 65536;
while (accept(C, S)) {
    sysread(C, my $what, 1);
    if ($what eq "s") { print C $zeros for 1 .. 2048 }
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
        let copies = COPIES.min(count - done);
        eprintln!("network.tcp: a guest for {copies} copies each way");
        alone(|| with_new_guest(copies, &mut sent, &mut received))?;
        done += copies;
    }
    Ok(vec![
        figure("network.tcp.sent", &sent)?,
        figure("network.tcp.received", &received)?,
    ])
}

fn with_new_guest(copies: usize, sent: &mut Times, received: &mut Times) -> Result<(), Error> {
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
    let mut once = |kept: bool| {
        for which in [OURS, BARE] {
            if which == BARE {
                rules.take_away()?;
            }
            let (out, back) = (end.send_to_host()?, end.send_to_guest()?);
            if which == BARE {
                rules.put_back()?;
            }
            if kept {
                sent[which].push(out);
                received[which].push(back);
            }
        }
        Ok(())
    };
    once(false)?;
    repeat("network.tcp", copies, |_| once(true))?;
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

fn figure(name: &'static str, [ours, bare]: &Times) -> Result<Figure, Error> {
    let (ours, bare) = (milliseconds(name, ours)?, milliseconds(name, bare)?);
    Ok(Figure::rate(name, MIB, &ours, Some(&bare)).with_goal(Some(0.95), None))
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

    fn send_to_host(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut stream = self.connect()?;
        let asked = stream.write_all(b"s");
        asked.map_err(Error::io("ask the guest for bytes"))?;
        let zeros = Zeros::read(&mut stream);
        let took = begun.elapsed();
        zeros.demand(BYTES)?;
        Ok(took)
    }

    fn send_to_guest(&self) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut stream = self.connect()?;
        let mut said = String::new();
        let sent = stream
            .write_all(b"r")
            .and_then(|()| write_zeros(&mut stream, BYTES))
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .and_then(|()| stream.read_to_string(&mut said));
        sent.map_err(Error::io("send bytes to the guest"))?;
        let took = begun.elapsed();
        if said != BYTES.to_string() {
            return Err(Error::wrong(format!(
                "the guest got {said} bytes of {BYTES}"
            )));
        }
        Ok(took)
    }
}
