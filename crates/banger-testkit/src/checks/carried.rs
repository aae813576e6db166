//! Connections to published ports, over the ends of many daemons.

use super::publish::endpoint;
use super::restarts::{End, end_daemon, two_programs};
use super::run;
use crate::world::LIMIT;
use crate::{World, eventually};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many bytes are under way at the same time, at most, so that each end of a daemon is met by some.
const AHEAD: usize = 4 << 20;
const CHUNK: usize = 50_000;
/// Between two looks whether the other end has come after: who looks without a pause takes the processors from those who
/// carry.
const PAUSE: Duration = Duration::from_millis(1);

/// Bytes without end, in which each place can be told from those around it.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0.to_le_bytes()[3];
        }
    }
}

/// One way of a connection: how far it was read, each byte the right one, and when to end it.
#[derive(Clone, Default)]
struct Way {
    read: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
}

impl Way {
    /// Writes until it is told to end; how much.
    fn write(&self, mut into: TcpStream, seed: u64) -> JoinHandle<usize> {
        let way = self.clone();
        std::thread::spawn(move || {
            let (mut noise, mut bytes, mut written) = (Noise(seed), [0; CHUNK], 0);
            while !way.end.load(Ordering::SeqCst) {
                if written > way.read.load(Ordering::SeqCst) + AHEAD {
                    std::thread::park_timeout(PAUSE);
                    continue;
                }
                noise.fill(&mut bytes);
                into.write_all(&bytes).expect("a connection that goes on");
                written += bytes.len();
            }
            into.shutdown(Shutdown::Write).expect("half closed");
            written
        })
    }

    /// Reads to the end, in order; how much.
    fn read(&self, mut from: TcpStream, seed: u64) -> JoinHandle<usize> {
        let way = self.clone();
        std::thread::spawn(move || {
            let (mut noise, mut bytes, mut wanted) = (Noise(seed), [0; CHUNK], [0; CHUNK]);
            let mut all = 0;
            loop {
                let count = from.read(&mut bytes).expect("a connection that goes on");
                if count == 0 {
                    return all;
                }
                noise.fill(&mut wanted[..count]);
                assert!(bytes[..count] == wanted[..count], "wrong after {all} bytes");
                all += count;
                way.read.store(all, Ordering::SeqCst);
            }
        })
    }

    fn go_on(&self, what: &str) {
        let before = self.read.load(Ordering::SeqCst);
        eventually(what, LIMIT, || match self.read.load(Ordering::SeqCst) {
            now if now > before + CHUNK => Ok(()),
            now => Err(format!("{now} bytes have come, {before} before")),
        });
    }
}

/// # Panics
/// When a byte is lost or doubled, or a connection is broken off, while the daemon under a connection that is
/// busy both ways ends `ends` times.
pub fn connections_lose_and_double_no_byte_however_often_the_daemon_ends(
    world: &mut World,
    ends: usize,
) {
    let programs = two_programs(world);
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = server.local_addr().expect("bound").port();
    let asked = format!("0:{port}");
    let _ = world.run(run(&["-d", "--name", "v", "-p", &asked])).good();
    let client = TcpStream::connect(endpoint(world, "v")).expect("connected");
    let (served, _) = server.accept().expect("accepted");
    let (carriers, vmms) = (world.carriers(), world.vmms());
    let copy = |stream: &TcpStream| stream.try_clone().expect("cloned");
    let (up, down) = (Way::default(), Way::default());
    let sent = [up.write(copy(&client), 7), down.write(copy(&served), 8)];
    let read = [up.read(served, 7), down.read(client, 8)];

    for (number, end) in End::ALL.into_iter().cycle().take(ends).enumerate() {
        up.go_on(&format!("more bytes up before end {number}, {end:?}"));
        down.go_on(&format!("more bytes down before end {number}, {end:?}"));
        end_daemon(world, end, &programs);
        let _ = world.run(["vm", "list", "-q"]).good();
    }
    up.go_on("more bytes up after the last end");
    down.go_on("more bytes down after the last end");
    for way in [&up, &down] {
        way.end.store(true, Ordering::SeqCst);
    }
    let sent = sent.map(|writing| writing.join().expect("written"));
    let read = read.map(|reading| reading.join().expect("each byte the right one"));
    assert_eq!(read, sent, "all that went in came out");
    assert_eq!(world.carriers(), carriers, "the carrier is the same");
    assert_eq!(world.vmms(), vmms, "the guest is the same");
}
