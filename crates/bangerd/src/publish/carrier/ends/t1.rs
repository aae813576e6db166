use super::*;
use crate::publish::carrier::crowd::Crowd;
use futures_util::FutureExt;
use std::rc::Rc;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// A connection, and whom it may be served by.
fn connection() -> (Ends, Rc<Crowd>) {
    let crowd = Crowd::new([7; 8]);
    (Ends::new(crowd.enter(false, 80)), crowd)
}

/// A daemon that begins to serve it, and what it was told.
async fn daemon(ends: &mut Ends, crowd: &Crowd) -> (Door, Serving) {
    let (served, mut stream) = UnixStream::pair().expect("a pair");
    let come = Vec::new();
    crowd.serve(
        1,
        Served {
            stream: served,
            come,
        },
    );
    assert!(step(ends).await.is_ok());
    let mut told = Vec::new();
    while told.last() != Some(&b'\n') {
        stream.read_buf(&mut told).await.expect("told");
    }
    let Ok(Reply::Serving(serving)) = serde_json::from_slice(&told) else {
        panic!("{told:?}");
    };
    (Door::over(stream, Vec::new()), serving)
}

async fn step(ends: &mut Ends) -> Result<Vec<u8>, BrokenOff> {
    let mut all = Vec::new();
    ends.fill();
    let ready = ends.ready().await;
    ends.go_on(ready, |bytes| all.extend_from_slice(bytes))?;
    Ok(all)
}

/// Lets the connection go on until a frame has come to the daemon.
async fn receive(ends: &mut Ends, door: &mut Door) -> Frame {
    loop {
        tokio::select! {
            biased;
            frame = door.receive() => return frame.expect("a frame"),
            stepped = step(ends) => drop(stepped.expect("it goes on")),
        }
    }
}

const fn connected(stdin: u64) -> Frame {
    Frame::Connected {
        stdin,
        lasting: true,
    }
}

const fn credit(acked: u64) -> Frame {
    Frame::Credit {
        acked,
        limit: acked + 100,
    }
}

#[tokio::test]
async fn what_a_daemon_took_and_the_guest_has_not_is_said_again_to_the_next() {
    let (mut ends, crowd) = connection();
    ends.put(b"abcdef");
    let (mut door, serving) = daemon(&mut ends, &crowd).await;
    assert!(!serving.connected);
    door.put(&connected(0));
    door.send(&credit(0)).await.expect("sent");
    assert_eq!(
        receive(&mut ends, &mut door).await,
        Frame::Data(b"abcdef".into())
    );
    door.send(&Frame::Data(b"12".into())).await.expect("sent");
    assert_eq!(step(&mut ends).await.expect("it goes on"), b"12");
    drop(door);
    assert!(step(&mut ends).await.is_ok());
    ends.end();
    let (mut door, serving) = daemon(&mut ends, &crowd).await;
    assert!(serving.connected);
    assert_eq!(serving.from, 2, "what came is here");
    door.put(&connected(4));
    door.send(&credit(4)).await.expect("sent");
    assert_eq!(
        receive(&mut ends, &mut door).await,
        Frame::Data(b"ef".into())
    );
    assert_eq!(receive(&mut ends, &mut door).await, Frame::End);
    door.send(&Frame::Closed).await.expect("sent");
    assert!(step(&mut ends).await.is_ok() && ends.closed);
    assert!(crowd.sessions().is_empty(), "the guest may forget it");
    drop(door);
    assert!(
        step(&mut ends).await.is_ok(),
        "no daemon is needed any more"
    );
    crowd.all_wait();
    assert!(crowd.next_waiting().now_or_never().is_none());
}

#[tokio::test]
async fn without_a_daemon_no_more_is_kept_than_the_credit() {
    let (mut ends, _crowd) = connection();
    while ends.room() > 0 {
        ends.put(&vec![7; ends.room().min(40_000)]);
    }
    assert_eq!(ends.unsent(), CARRIED as u64);
}

#[tokio::test]
async fn a_connection_that_does_not_outlive_its_link_is_broken_off_with_its_daemon() {
    let (mut ends, crowd) = connection();
    let (door, _) = daemon(&mut ends, &crowd).await;
    drop(door);
    assert!(step(&mut ends).await.is_ok(), "nobody has it yet");
    let (mut door, _) = daemon(&mut ends, &crowd).await;
    let old = Frame::Connected {
        stdin: 0,
        lasting: false,
    };
    door.send(&old).await.expect("sent");
    assert!(step(&mut ends).await.is_ok());
    drop(door);
    assert!(step(&mut ends).await.is_err());
}

#[tokio::test]
async fn offsets_that_cannot_be_break_it_off_and_what_may_not_come_ends_the_door() {
    let (mut ends, crowd) = connection();
    let (mut door, _) = daemon(&mut ends, &crowd).await;
    door.send(&connected(9)).await.expect("sent");
    assert!(step(&mut ends).await.is_err(), "nothing was sent");

    let (mut ends, crowd) = connection();
    let (mut door, _) = daemon(&mut ends, &crowd).await;
    door.send(&Frame::Data(b"early".into()))
        .await
        .expect("sent");
    assert!(step(&mut ends).await.is_ok());
    assert!(door.receive().await.is_err(), "it was let go");
}

#[tokio::test]
async fn a_guest_that_sends_more_than_is_taken_is_not_listened_to() {
    let (mut ends, crowd) = connection();
    let (mut door, serving) = daemon(&mut ends, &crowd).await;
    door.send(&connected(0)).await.expect("sent");
    assert!(step(&mut ends).await.is_ok());
    let mut come = 0;
    let all = serving.limit - serving.from;
    while come < all {
        door.send(&Frame::Data(vec![7; 32 * 1024]))
            .await
            .expect("sent");
        come += step(&mut ends).await.expect("it goes on").len() as u64;
    }
    assert_eq!(come, all);
    door.send(&Frame::Data(vec![7])).await.expect("sent");
    assert!(step(&mut ends).await.expect("it goes on").is_empty());
    assert!(door.receive().await.is_err(), "it was let go");
}
