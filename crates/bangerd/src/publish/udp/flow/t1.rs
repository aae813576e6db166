use super::*;
use crate::guest::Link;
use crate::guest::link::t1::{Guest, met};
use crate::publish::LinkSource;
use banger_model::publish::Protocol;
use banger_proto::fault::FaultCode;
use banger_proto::guest::datagram::PREFIX;
use banger_proto::guest::message::{Answer, GuestFault};
use futures_util::future::FutureExt;
use std::num::NonZeroU16;

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// What outlives the flow: the guest's end, the link, and where they meet.
struct Rest {
    playing: tokio::task::JoinHandle<()>,
    _link: Arc<Link>,
    _directory: tempfile::TempDir,
}

/// A flow to a guest that plays a script, after it has been offered a datagram.
async fn offered<F, S>(script: S) -> (Flow, Rest)
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Guest) -> F + Send + 'static,
{
    let (link, playing, directory) = met(script).await;
    let link = Arc::new(link);
    let of_flow = Arc::clone(&link);
    let source: LinkSource = Arc::new(move || {
        let link = Arc::clone(&of_flow);
        async move { Some(link) }.boxed()
    });
    let to = GuestPort {
        sandbox: "v".parse().expect("a name"),
        link: source,
        protocol: Protocol::Udp,
        port: NonZeroU16::MIN,
    };
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let peer = socket.local_addr().expect("bound");
    let flow = begin(Arc::new(socket), peer, to, SHORT);
    flow.offer(b"hello");
    let rest = Rest {
        playing,
        _link: link,
        _directory: directory,
    };
    (flow, rest)
}

async fn over(flow: &Flow) {
    let over = flow.queue.closed();
    tokio::time::timeout(LIMIT, over).await.expect("it ends");
    assert!(flow.is_over());
}

#[tokio::test]
async fn a_flow_that_is_idle_ends_and_is_closed_in_the_guest() {
    let (flow, rest) = offered(|mut guest| async move {
        let call = guest.call().await;
        guest.answer(call, &Ok(Answer::Done)).await;
        guest.closed(call).await;
    })
    .await;
    over(&flow).await;
    rest.playing.await.expect("played");
}

#[tokio::test]
async fn a_flow_that_the_guest_refuses_stays_for_a_moment_so_that_it_is_not_asked_each_time() {
    let (flow, rest) = offered(|mut guest| async move {
        let call = guest.call().await;
        let refused = GuestFault {
            code: FaultCode::Refused,
            message: "nobody".into(),
        };
        guest.answer(call, &Err(refused)).await;
        guest.closed(call).await;
    })
    .await;
    rest.playing.await.expect("played");
    assert!(!flow.is_over());
    over(&flow).await;
}

#[tokio::test]
async fn what_a_guest_does_not_take_is_bounded_whatever_comes() {
    let (called, was_called) = tokio::sync::oneshot::channel();
    let (flow, rest) = offered(|mut guest| async move {
        let call = guest.call().await;
        called.send(()).expect("awaited");
        guest.closed(call).await;
    })
    .await;
    was_called.await.expect("called");
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
    drop(flow);
    rest.playing.await.expect("played");
}
