//! A suspended machine that is woken, by a connection to a port that it publishes and by a command.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::process::LIMIT;
use super::super::{milliseconds, repeat};
use super::bare::Saved;
use super::{SHAPE, banger, end};
use crate::World;
use crate::checks::publish::{endpoint, free_port};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const NAME: &str = "sleeper";
/// Sends back each byte at once. Perl is part of every Debian.
const SERVER: &str = r#"
use IO::Socket::INET;
my $tcp = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], Listen => 5, ReuseAddr => 1) or die;
while (my $client = $tcp->accept) {
    while (sysread($client, my $byte, 1)) { syswrite($client, $byte) }
    close $client;
}
"#;
/// Starts it behind the command that this is.
const START: &str = r#"setsid perl -e "$1" "$2" > /dev/null 2>&1 < /dev/null &"#;

/// A thousand wakes by a connection are to show that none is lost: of what they are compared with, this is enough.
const MOST_BESIDE: usize = 20;

pub(super) fn measure(world: &World, saved: &Saved, count: usize) -> Result<Vec<Figure>, Error> {
    let port = free_port().to_string();
    let create = ["vm", "create", "--name", NAME, "-p"];
    banger(
        world,
        &create,
        &[&[&*format!("0:{port}")], &SHAPE[..]].concat(),
    )?;
    let serve = ["--", "sh", "-c", START, "sh", SERVER, &port];
    banger(world, &["vm", "exec", NAME], &serve)?;
    let at = endpoint(world, NAME);
    let (mut connected, mut commanded, mut bare) = (vec![], vec![], vec![]);
    // The server may not listen yet; and what the first one reads, the others find in memory.
    while first_byte(at).is_err() {}
    repeat("fork.wake", count, |_| {
        banger(world, &["vm", "suspend", NAME], &[])?;
        connected.push(first_byte(at)?);
        if bare.len() == MOST_BESIDE {
            return Ok(());
        }
        banger(world, &["vm", "suspend", NAME], &[])?;
        let ran = banger(world, &["vm", "exec", NAME], &["--", "true"])?;
        commanded.push(ran.took);
        bare.push(saved.resume(world)?.answered);
        Ok(())
    })?;
    end(world, &[NAME.to_owned()])?;
    let ms = Unit::Milliseconds;
    let connected = milliseconds("a connection", &connected)?;
    let commanded = milliseconds("a command", &commanded)?;
    let bare = milliseconds("a bare resume", &bare)?;
    Ok(vec![
        Figure::new("fork.wake", ms, &connected, Some(&bare)).with_goal(None, Some(500.0)),
        Figure::new("fork.wake.command", ms, &commanded, Some(&bare)),
    ])
}

/// From the connection until a byte has come back.
fn first_byte(at: SocketAddr) -> Result<Duration, Error> {
    let begun = Instant::now();
    let mut connection =
        TcpStream::connect(at).map_err(Error::io("connect to a published port"))?;
    connection
        .set_read_timeout(Some(LIMIT))
        .and_then(|()| connection.write_all(b"x"))
        .map_err(Error::io("write to a published port"))?;
    let mut byte = [0];
    connection
        .read_exact(&mut byte)
        .map_err(Error::io("read from a published port"))?;
    Ok(begun.elapsed())
}
