//! What arrives, and how it ends.

use super::*;
use banger_testkit::checks::publish::echoed;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::thread;

#[test]
fn a_hundred_megabytes_go_both_ways_at_once_and_each_way_ends_on_its_own() {
    let (server, port) = listener();
    let (_world, at) = publishing(&port);
    let (up, down) = (noise(100_000_000), noise(100_000_003));
    let bytes = down.clone();
    let serving = thread::spawn(move || {
        let (mut connection, _) = server.accept().expect("accepted");
        let mut back = connection.try_clone().expect("cloned");
        let writing = thread::spawn(move || {
            back.write_all(&bytes).expect("written");
            back.shutdown(Shutdown::Write).expect("half closed");
        });
        let mut all = Vec::new();
        connection.read_to_end(&mut all).expect("read");
        writing.join().expect("written");
        all
    });
    let mut client = connect(at);
    let mut writer = client.try_clone().expect("cloned");
    let bytes = up.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).expect("written");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("read");
    writing.join().expect("written");
    assert!(all == down, "{} bytes came down", all.len());
    let all = serving.join().expect("served");
    assert!(all == up, "{} bytes came up", all.len());
}

#[test]
fn a_server_that_ends_first_hears_the_client_to_its_end() {
    let (server, port) = listener();
    let (_world, at) = publishing(&port);
    let serving = thread::spawn(move || {
        let (mut connection, _) = server.accept().expect("accepted");
        connection.write_all(b"bye").expect("written");
        connection.shutdown(Shutdown::Write).expect("half closed");
        let mut all = Vec::new();
        connection.read_to_end(&mut all).expect("read");
        all
    });
    let mut client = connect(at);
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("read");
    assert_eq!(all, b"bye");
    let bytes = noise(2_000_000);
    client.write_all(&bytes).expect("written");
    drop(client);
    assert!(serving.join().expect("served") == bytes);
}

#[test]
fn a_reset_of_the_server_is_one_for_the_client() {
    let (server, port) = listener();
    let (_world, at) = publishing(&port);
    let mut client = connect(at);
    let (connection, _) = server.accept().expect("accepted");
    rustix::net::sockopt::set_socket_linger(&connection, Some(Duration::ZERO)).expect("set");
    drop(connection);
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
}

#[test]
fn a_reset_of_the_client_is_one_for_the_server() {
    let (server, port) = listener();
    let (_world, at) = publishing(&port);
    let client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.set_read_timeout(Some(LIMIT)).expect("set");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("set");
    drop(client);
    let ended = connection.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
}

#[test]
fn a_port_where_nobody_listens_resets_its_client_and_serves_the_next() {
    let guest = free_port();
    let (_world, at) = publishing(&guest.to_string());
    let ended = connect(at).read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    let server = TcpListener::bind(("127.0.0.1", guest)).expect("bound");
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"x").expect("written");
    client.read_exact(&mut [0]).expect("read");
}

#[test]
fn datagrams_of_every_size_come_back_each_to_its_own_peer() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let port = server.local_addr().expect("bound").port();
    thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok((count, peer)) = server.recv_from(&mut bytes) {
            let _gone = server.send_to(&bytes[..count], peer);
        }
    });
    let (_world, at) = publishing(&format!("{port}/udp"));
    let peers = ["a", "bb", "ccc"].map(|word| {
        let word = word.to_owned();
        thread::spawn(move || {
            for repeat in [1, 0, 500, 15_000] {
                echoed(at, word.repeat(repeat).as_bytes());
            }
        })
    });
    for peer in peers {
        peer.join().expect("its own datagrams, and nobody else's");
    }
    echoed(at, &noise(65_507));
}
