use banger_linux::seqpacket::{Connection, Listener};
use std::os::unix::fs::MetadataExt;

#[test]
fn the_socket_belongs_to_the_owner_that_was_named() {
    let directory = tempfile::Builder::new()
        .prefix("banger-test-")
        .tempdir_in("/run");
    let directory = directory.expect("these tests need root");
    let path = directory.path().join("root.sock");
    let _listener = Listener::bind(&path, 4242).expect("bound");
    let found = path.metadata().expect("there");
    assert_eq!((found.uid(), found.mode() & 0o777), (4242, 0o600));
    Connection::connect(&path).expect("root may as well");
}
