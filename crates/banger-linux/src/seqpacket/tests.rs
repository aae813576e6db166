//! Both ends of a socket. Unit tests of T1: sockets in a directory of their own.

use super::*;
use crate::wait::deadline;
use proptest::prelude::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

const MOST: usize = 256 * 1024;

fn soon() -> Instant {
    deadline(Duration::from_secs(40))
}

fn at_once() -> Instant {
    deadline(Duration::from_millis(20))
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("root.sock")
    }

    fn bind(&self) -> Result<Listener, SocketError> {
        Listener::bind(&self.path(), rustix::process::geteuid().as_raw())
    }
}

fn pair() -> (Place, Listener, Connection, Connection) {
    let place = Place::new();
    let listener = place.bind().expect("bound");
    let client = Connection::connect(&place.path()).expect("connected");
    let server = listener.accept(soon()).expect("accepted").expect("one");
    (place, listener, client, server)
}

#[test]
fn the_socket_is_its_owner_s_alone_whatever_the_umask() {
    let place = Place::new();
    let _listener = place.bind().expect("bound");
    let found = place.path().metadata().expect("there");
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
    drop(_listener);
    assert!(!place.path().exists(), "it goes with its listener");
}

#[test]
fn packets_go_both_ways_whole() {
    let (_place, _listener, client, server) = pair();
    client.send(b"one", soon()).expect("sent");
    client.send(b"two", soon()).expect("sent");
    assert_eq!(server.receive(MOST, soon()), Ok(b"one".to_vec()));
    assert_eq!(server.receive(MOST, soon()), Ok(b"two".to_vec()));
    server.send(b"answer", soon()).expect("sent");
    assert_eq!(client.receive(MOST, soon()), Ok(b"answer".to_vec()));
}

#[test]
fn a_packet_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let (_place, _listener, client, server) = pair();
    let largest = vec![7; MOST];
    client.send(&largest, soon()).expect("sent");
    assert_eq!(
        server.receive(MOST, soon()).map(|packet| packet.len()),
        Ok(MOST)
    );
    client.send(&vec![7; MOST + 1], soon()).expect("sent");
    client.send(b"next", soon()).expect("sent");
    assert_eq!(
        server.receive(MOST, soon()),
        Err(PacketError::TooLong(MOST))
    );
    assert_eq!(
        server.receive(MOST, soon()),
        Ok(b"next".to_vec()),
        "the rest of it is gone"
    );
    assert!(matches!(
        client.send(&vec![7; 64 << 20], soon()),
        Err(PacketError::TooLong(_))
    ));
}

#[test]
fn the_peer_is_who_the_kernel_says_it_is() {
    let (_place, _listener, _client, server) = pair();
    let peer = server.peer().expect("known");
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    assert_eq!(peer.pid, std::process::id());
    if let Some(process) = peer.process {
        let alive = rustix::process::pidfd_send_signal(&process, rustix::process::Signal::CONT);
        assert_eq!(alive, Ok(()), "it is this process");
    }
}

#[test]
fn descriptors_are_refused_and_closed() {
    let (_place, _listener, client, server) = pair();
    for count in [1, 200] {
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let descriptors = vec![write.as_fd(); count];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let packet = [IoSlice::new(b"take this")];
        sendmsg(&client, &packet, &mut ancillary, SendFlags::empty()).expect("sent");
        assert_eq!(server.receive(MOST, soon()), Err(PacketError::Descriptors));
        drop(write);
        // The pipe ends when its last writer is closed: nobody has kept one.
        let mut end = [PollFd::new(&read, PollFlags::IN)];
        assert!(wait::until(soon(), &mut end).expect("poll"));
        assert_eq!(rustix::io::read(&read, &mut [0; 1]), Ok(0));
    }
    client.send(b"go on", soon()).expect("sent");
    assert_eq!(server.receive(MOST, soon()), Ok(b"go on".to_vec()));
}

#[test]
fn one_that_says_nothing_and_one_that_takes_nothing_are_given_up() {
    let (_place, _listener, client, server) = pair();
    assert_eq!(
        server.receive(MOST, at_once()),
        Err(PacketError::Late("send anything"))
    );
    let packet = vec![0; 100_000];
    let given_up = (0..1000).find_map(|_| server.send(&packet, at_once()).err());
    assert_eq!(given_up, Some(PacketError::Late("take the packet")));
    drop(client);
}

#[test]
fn a_peer_that_goes_is_noticed_and_what_it_sent_is_still_read() {
    let (_place, _listener, client, server) = pair();
    assert!(!server.is_gone());
    client.send(b"last", soon()).expect("sent");
    assert!(!server.is_gone(), "a packet is no departure");
    drop(client);
    assert!(server.is_gone());
    assert_eq!(server.receive(MOST, soon()), Ok(b"last".to_vec()));
    assert_eq!(server.receive(MOST, soon()), Err(PacketError::Closed));
    assert_eq!(server.send(b"x", soon()), Err(PacketError::Closed));
}

#[test]
fn what_a_dead_process_left_is_replaced_and_a_living_one_s_is_not() {
    let place = Place::new();
    let listener = place.bind().expect("bound");
    assert!(matches!(place.bind(), Err(SocketError::InUse { .. })));
    let kept = place.directory.path().join("kept");
    std::fs::rename(place.path(), &kept).expect("moved away");
    drop(listener);
    std::fs::rename(&kept, place.path()).expect("what is left of it");
    place.bind().expect("replaced");
}

#[test]
fn what_is_no_socket_of_ours_stays() {
    let place = Place::new();
    let occupied = |place: &Place| matches!(place.bind(), Err(SocketError::Occupied { .. }));
    std::fs::write(place.path(), "text").expect("written");
    assert!(occupied(&place));
    assert_eq!(std::fs::read(place.path()).expect("stays"), b"text");
    std::fs::remove_file(place.path()).expect("removed");
    std::os::unix::fs::symlink("/dev/null", place.path()).expect("linked");
    assert!(occupied(&place));
    std::fs::remove_file(place.path()).expect("removed");
    let _stream = std::os::unix::net::UnixListener::bind(place.path()).expect("a stream socket");
    assert!(occupied(&place));
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let place = Place::new();
    let mode = |mode: u32| PermissionsExt::from_mode(mode);
    std::fs::set_permissions(place.directory.path(), mode(0o777)).expect("mode");
    let error = place
        .bind()
        .expect_err("anybody may write there")
        .to_string();
    assert!(error.ends_with(": others can write to it"), "{error}");
    let relative = Listener::bind(Path::new("root.sock"), 0);
    assert!(matches!(relative, Err(SocketError::Refused { .. })));
    let long = place.directory.path().join("x".repeat(120));
    std::fs::set_permissions(place.directory.path(), mode(0o700)).expect("mode");
    assert!(matches!(
        Listener::bind(&long, 0),
        Err(SocketError::Refused { .. })
    ));
}

#[test]
fn only_a_listening_socket_of_this_kind_is_inherited() {
    let place = Place::new();
    let listener = place.bind().expect("bound");
    let copy = listener.socket.try_clone().expect("a copy");
    let inherited = Listener::inherit(copy).expect("fits");
    let client = Connection::connect(&place.path()).expect("connected");
    assert!(inherited.accept(soon()).expect("accepted").is_some());
    for other in [
        client.as_fd().try_clone_to_owned().expect("a copy"),
        new_socket(SocketFlags::empty()).expect("a socket"),
        std::fs::File::open("/dev/null").expect("opened").into(),
        std::net::TcpListener::bind("127.0.0.1:0")
            .expect("bound")
            .into(),
    ] {
        assert!(matches!(
            Listener::inherit(other),
            Err(SocketError::NotListening)
        ));
    }
    assert!(inherited.accept(at_once()).expect("no error").is_none());
    drop(inherited);
    assert!(place.path().exists(), "it belongs to who made it");
}

#[test]
fn a_client_that_left_before_it_was_accepted_does_no_harm() {
    let place = Place::new();
    let listener = place.bind().expect("bound");
    drop(Connection::connect(&place.path()).expect("connected"));
    let gone = listener
        .accept(soon())
        .expect("no error")
        .expect("still queued");
    assert!(gone.is_gone());
    assert_eq!(gone.receive(MOST, soon()), Err(PacketError::Closed));
}

proptest! {
    #[test]
    fn any_bytes_pass_unchanged(packet in prop::collection::vec(any::<u8>(), 1..5000)) {
        let (_place, _listener, client, server) = pair();
        client.send(&packet, soon()).expect("sent");
        prop_assert_eq!(server.receive(5000, soon()), Ok(packet));
    }
}
