//! Many connections, and those whose ends do not move: bounded memory, and no harm to others.

use super::*;
use banger_testkit::checks::publish::mirrored;
use banger_testkit::eventually;
use std::io::{Read, Write};
use std::thread;

/// What the daemon may have when hundreds of connections are full, in KiB. One that keeps what it is
/// given has a hundred megabytes more after a second.
const MOST_MEMORY: u64 = 120 * 1024;

/// Sends back what comes when a connection has ended its side, for ever.
fn mirror(server: TcpListener) {
    thread::spawn(move || {
        for connection in server.incoming() {
            let mut connection = connection.expect("accepted");
            thread::spawn(move || {
                let mut all = Vec::new();
                // A client of a test that is over is gone.
                if connection.read_to_end(&mut all).is_ok() {
                    let _gone = connection.write_all(&all);
                }
            });
        }
    });
}

#[test]
fn two_hundred_connections_at_once_each_get_their_own_bytes() {
    let (server, port) = listener();
    mirror(server);
    let (_world, at) = publishing(&port);
    let mut open: Vec<(u8, _)> = (0..200).map(|number| (number, connect(at))).collect();
    for (number, connection) in &mut open {
        connection.write_all(&[*number; 10_000]).expect("written");
    }
    for (_, connection) in &open {
        connection
            .shutdown(std::net::Shutdown::Write)
            .expect("half closed");
    }
    for (number, connection) in &mut open {
        let mut back = Vec::new();
        connection.read_to_end(&mut back).expect("read");
        assert!(back == [*number; 10_000], "of {number}");
    }
}

#[test]
fn the_daemon_takes_as_many_files_as_connections_need() {
    let (world, _) = publishing("80");
    let daemon = world.daemon().expect("a daemon");
    let limits = std::fs::read_to_string(format!("/proc/{daemon}/limits")).expect("a process");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.expect("a line").split_whitespace();
    let soft: u64 = numbers
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    let hard: u64 = numbers
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(u64::MAX);
    assert!(soft >= hard.min(16_384), "{limits}");
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let (server, port) = listener();
    server.set_nonblocking(true).expect("set");
    let (world, at) = publishing(&port);
    let next = || eventually("a connection to come", LIMIT, || server.accept()).0;
    let mut clients: Vec<_> = (0..260).map(|_| connect(at)).collect();
    let served: Vec<_> = (0..256).map(|_| next()).collect();
    // By the way that one more would have come.
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    let more = server.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(more, Err(ErrorKind::WouldBlock), "beyond the limit");
    drop(served);
    clients.drain(..256);
    let late: Vec<_> = clients.iter().map(|_| next()).collect();
    for mut connection in &late {
        connection.write_all(b"x").expect("written");
    }
    for client in &mut clients {
        client.read_exact(&mut [0]).expect("its turn has come");
    }
}

#[test]
fn clients_that_never_read_cost_little_and_hold_nobody_up() {
    let (server, port) = listener();
    thread::spawn(move || {
        for connection in server.incoming() {
            let mut connection = connection.expect("accepted");
            thread::spawn(move || while connection.write_all(&[7; 65_536]).is_ok() {});
        }
    });
    let (world, at) = publishing(&port);
    let idle: Vec<_> = (0..60).map(|_| connect(at)).collect();
    let mut client = connect(at);
    // Others are full long before this one has had so much.
    let mut bytes = vec![0; 50_000_000];
    client.read_exact(&mut bytes).expect("read");
    let memory = daemon_memory(&world);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    drop(idle);
}

#[test]
fn a_server_that_never_accepts_holds_nobody_up() {
    let (deaf, deaf_port) = listener();
    let (server, port) = listener();
    mirror(server);
    let (world, at) = publishing(&deaf_port);
    let other = format!("0:{port}");
    let other = world
        .run(["vm", "publish", "-q", "v", &other])
        .good()
        .text();
    let other: SocketAddr = other.trim().parse().expect("an address");
    let full: Vec<_> = (0..20).map(|_| connect(at)).collect();
    let sent: Vec<_> = full
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                client
                    .set_write_timeout(Some(Duration::from_secs(2)))
                    .expect("set");
                let mut sent = 0;
                while let Ok(count) = client.write(&[7; 65_536]) {
                    sent += count;
                    assert!(sent < 100_000_000, "somebody keeps it all");
                }
            })
        })
        .collect();
    let bytes = noise(1_000_000);
    assert!(mirrored(other, &bytes).expect("carried") == bytes);
    for sent in sent {
        sent.join().expect("it was stopped");
    }
    let memory = daemon_memory(&world);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    drop(deaf);
}

#[test]
fn a_flood_of_datagrams_from_many_peers_is_bounded_and_leaves_room() {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let port = server.local_addr().expect("bound").port();
    thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok((count, peer)) = server.recv_from(&mut bytes) {
            let _gone = server.send_to(&bytes[..count], peer);
        }
    });
    let (world, at) = publishing(&format!("{port}/udp"));
    for _ in 0..400 {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        for _ in 0..5 {
            let _full = socket.send_to(&[7; 30_000], at);
        }
    }
    banger_testkit::checks::publish::echoed(at, b"still there");
    let memory = daemon_memory(&world);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    eventually("the flows of the guest to be bounded", LIMIT, || {
        let guest = world.vmms()[0];
        let open = std::fs::read_dir(format!("/proc/{guest}/fd")).map_or(0, Iterator::count);
        if open < 200 { Ok(()) } else { Err(open) }
    });
}
