use super::*;
use crate::publish::carrier::crowd::{Crowd, Served};
use crate::publish::door::Door;
use banger_proto::carrier::frame::Frame;
use banger_proto::guest::datagram::PREFIX;
use std::future::Future;
use tokio::net::UnixStream;
use tokio::task::LocalSet;

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

async fn locally(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

/// A flow after it has been offered a datagram, and what knows of it.
async fn offered() -> (Flow, Rc<Crowd>) {
    let crowd = Crowd::new([7; 8]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let peer = socket.local_addr().expect("bound");
    let ends = Ends::new(crowd.enter(true, 53));
    let places = Arc::new(Semaphore::new(1));
    let place = places.try_acquire_owned().expect("free");
    let flow = begin(Rc::new(socket), peer, ends, SHORT, place);
    flow.offer(b"hello");
    (flow, crowd)
}

async fn over(flow: &Flow) {
    let over = flow.queue.closed();
    tokio::time::timeout(LIMIT, over).await.expect("it ends");
    assert!(flow.is_over());
}

/// The daemon's end of a flow that it serves.
fn served(crowd: &Crowd) -> UnixStream {
    let (stream, daemon) = UnixStream::pair().expect("a pair");
    let come = Vec::new();
    crowd.serve(1, Served { stream, come });
    daemon
}

#[tokio::test]
async fn a_flow_that_is_idle_ends_with_or_without_a_daemon() {
    locally(async {
        let (flow, crowd) = offered().await;
        over(&flow).await;
        assert!(crowd.sessions().is_empty());
        let (flow, crowd) = offered().await;
        let _daemon = served(&crowd);
        over(&flow).await;
        assert!(crowd.sessions().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_flow_that_the_guest_refuses_stays_for_a_moment_so_that_it_is_not_asked_each_time() {
    locally(async {
        let (flow, crowd) = offered().await;
        let mut door = Door::over(served(&crowd), Vec::new());
        door.send(&Frame::Reset).await.expect("sent");
        while !crowd.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!flow.is_over());
        over(&flow).await;
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_bounded_whatever_comes() {
    locally(async {
        let (flow, _crowd) = offered().await;
        let waiting = || {
            let bytes = MOST_WAITING_BYTES - flow.room.available_permits();
            (MOST_WAITING - flow.queue.capacity(), bytes)
        };
        assert_eq!(waiting(), (1, PREFIX + 5), "hello");
        flow.offer(&[7; 66_000]);
        assert_eq!(waiting().0, 1, "what is no datagram does not wait");
        for _ in 0..1000 {
            flow.offer(&[7; 30_000]);
            flow.offer(&[]);
        }
        // Four long ones fill the bytes, empty ones the rest of the places.
        assert_eq!(waiting(), (64, 64 * PREFIX + 5 + 4 * 30_000));
    })
    .await;
}
