//! Published ports through the real daemon and the real agent's code: the guest is the host, so the
//! tests' own servers are the guest's.

mod asleep;
mod broken;
mod bytes;
mod carrier;
mod many;
mod moments;
mod old_agent;
mod taken;

use banger_testkit::World;
use banger_testkit::checks::publish::{endpoint, free_port};
use banger_testkit::checks::run;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a test waits for bytes: many times what moving them takes.
const LIMIT: Duration = Duration::from_secs(40);

/// A sandbox `v` that publishes one port of the guest at any free one.
fn publishing(guest: &str) -> (World, SocketAddr) {
    let world = World::simulated();
    let at = publish_in(&world, guest);
    (world, at)
}

fn publish_in(world: &World, guest: &str) -> SocketAddr {
    let asked = format!("0:{guest}");
    let _ = world.run(run(&["-d", "--name", "v", "-p", &asked])).good();
    endpoint(world, "v")
}

/// A listener of the guest, and its port.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    (listener, port.to_string())
}

fn connect(at: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(at).expect("connected");
    connection.set_read_timeout(Some(LIMIT)).expect("set");
    connection.set_write_timeout(Some(LIMIT)).expect("set");
    connection
}

/// A client that is connected, and its connection at the server: bytes have gone through.
fn connected(server: &TcpListener, at: SocketAddr) -> (TcpStream, TcpStream) {
    let client = connect(at);
    // accept(2) has the limit of a read.
    set_socket_timeout(server, Timeout::Recv, Some(LIMIT)).expect("set");
    let (connection, _) = server.accept().expect("accepted");
    connection.set_read_timeout(Some(LIMIT)).expect("set");
    passes(&client, &connection);
    (client, connection)
}

fn passes(mut client: &TcpStream, mut connection: &TcpStream) {
    client.write_all(b"x").expect("written");
    connection.read_exact(&mut [0]).expect("read");
    connection.write_all(b"y").expect("written");
    client.read_exact(&mut [0]).expect("read");
}

fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8))
        .flat_map(|_| next())
        .take(count)
        .collect()
}

/// Resident memory of the daemon in KiB.
fn daemon_memory(world: &World) -> u64 {
    let daemon = world.daemon().expect("a daemon");
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.expect("a line").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

/// Whether a connection was broken off, not ended.
fn is_reset(result: &std::io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

/// Whether nobody listens there.
fn is_closed(at: SocketAddr) -> bool {
    matches!(TcpStream::connect(at), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}
