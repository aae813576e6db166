use super::*;
use std::io::Read;
use std::os::unix::net::UnixStream;

fn bulk(byte: u8) -> Arc<DataFrame> {
    let mut frame = DataFrame::default();
    frame.room().fill(byte);
    frame.set_length(DataFrame::CAPACITY);
    frame.seal(1, 1, 1);
    Arc::new(frame)
}

#[tokio::test]
async fn all_arrives_in_order_however_little_goes_at_once() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("set");
    let mut wire = Wire::new(ours.into()).expect("a wire");
    let mut outgoing = Outgoing::default();
    for byte in 0..40 {
        outgoing.message(1, 1, Kind::Notice, &[byte; 3]);
        outgoing.data_frame(bulk(byte));
    }
    outgoing.frame(1, 1, Kind::End, &[&[1]]);
    let expected = outgoing.to_bytes();
    assert_eq!(outgoing.length, expected.len());
    assert!(!outgoing.has_room() && !outgoing.is_clogged());
    let mut came = Vec::new();
    while came.len() < expected.len() {
        outgoing.flush(&mut wire).expect("written");
        assert!(theirs.read_to_end(&mut came).is_err(), "it would wait");
        wire.changed().await.expect("there is room again");
    }
    assert!(came == expected);
    assert_eq!((outgoing.length, outgoing.written), (0, 0));
}
