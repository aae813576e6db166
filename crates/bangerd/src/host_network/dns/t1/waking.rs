//! Machines that are suspended, asked for over real sockets.

use super::super::answer::sleeper;
use super::super::fixtures::{addresses, guest, name, question, zone};
use super::super::{Asker, DnsServer, Waker};
use super::sockets::{ask, exchange, fill};
use banger_model::SandboxId;
use futures_util::FutureExt;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const ID: [u8; 16] = [7; 16];

fn id() -> SandboxId {
    SandboxId::from_random(ID)
}

/// A server with a machine `asleep` that is woken when it is let, and how often somebody tried.
struct Asleep {
    server: Arc<DnsServer>,
    let_it: watch::Sender<Option<bool>>,
    tries: Arc<AtomicUsize>,
}

impl Asleep {
    fn new() -> Self {
        let server = DnsServer::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let (server, tries) = (Arc::new(server), Arc::<AtomicUsize>::default());
        fill(server.authority());
        let sleeping = [(name("asleep"), id())];
        server.authority().set_sleeping(sleeping.into());
        let (let_it, allowed) = watch::channel(None);
        let (zone, counted) = (Arc::downgrade(server.authority()), Arc::clone(&tries));
        server.authority().wake_with(Waker::new(move |woken| {
            assert_eq!(woken, id());
            counted.fetch_add(1, Ordering::Relaxed);
            let (zone, mut allowed) = (zone.clone(), allowed.clone());
            async move {
                let runs = allowed.wait_for(Option::is_some).await;
                let runs = runs.ok().and_then(|runs| *runs).unwrap_or(false);
                if let Some(zone) = zone.upgrade().filter(|_| runs) {
                    zone.set(name("asleep"), addresses("172.16.0.9"));
                    zone.set_sleeping([].into());
                }
                runs
            }
            .boxed()
        }));
        Self {
            server,
            let_it,
            tries,
        }
    }

    async fn until_tried(&self, times: usize) {
        while self.tries.load(Ordering::Relaxed) < times {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a_question_for_one_is_answered_when_it_runs_and_holds_no_other_up() {
    let asleep = Asleep::new();
    let at = asleep.server.address();
    let asked = [RecordType::A, RecordType::AAAA].map(|kind| {
        tokio::spawn(async move { exchange(at.ip(), at, &question("api.asleep.vm.", kind)).await })
    });
    asleep.until_tried(2).await;
    assert_eq!(ask(at, "web.vm.").await.len(), 2, "others are served");
    let none = exchange(at.ip(), at, &question("asleep.vm.", RecordType::TXT)).await;
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    asleep.let_it.send(Some(true)).expect("waited for");
    let [v4, v6] = asked;
    let v4 = v4.await.expect("an answer");
    assert_eq!(v4.answers[0].data.to_string(), "172.16.0.9");
    let v6 = v6.await.expect("an answer");
    assert_eq!(v6.metadata.response_code, ResponseCode::NoError);
    assert!(v6.answers.is_empty(), "it has none");
    assert_eq!(asleep.tries.load(Ordering::Relaxed), 2);
    assert_eq!(ask(at, "asleep.vm.").await, ["172.16.0.9"]);
    assert_eq!(asleep.tries.load(Ordering::Relaxed), 2, "it runs");
}

#[tokio::test]
async fn one_that_cannot_be_woken_is_no_name_that_does_not_exist() {
    let asleep = Asleep::new();
    let at = asleep.server.address();
    asleep.let_it.send(Some(false)).expect("waited for");
    let answer = exchange(at.ip(), at, &question("asleep.vm.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(answer.queries.len(), 1);
}

#[tokio::test]
async fn those_who_wait_end_with_the_server() {
    let asleep = Asleep::new();
    let at = asleep.server.address();
    let waits = tokio::spawn(async move {
        let socket = tokio::net::UdpSocket::bind((at.ip(), 0))
            .await
            .expect("bound");
        socket
            .send_to(&question("asleep.vm.", RecordType::A), at)
            .await
            .expect("sent");
        socket
    });
    asleep.until_tried(1).await;
    asleep.server.close().await.expect("in order");
    drop(waits.await.expect("sent"));
    assert_eq!(asleep.let_it.receiver_count(), 1, "nobody waits any more");
}

#[test]
fn nobody_wakes_what_they_do_not_see() {
    let mut zone = zone();
    zone.set_sleeping([(name("db"), id())].into());
    let query = question("db.vm.", RecordType::A);
    assert_eq!(sleeper(&zone, &query, Asker::Host), Some(id()));
    assert_eq!(sleeper(&zone, &query, guest("172.16.0.2")), Some(id()));
    // `alone` sees only itself, and a stranger nothing.
    assert_eq!(sleeper(&zone, &query, guest("172.16.0.4")), None);
    assert_eq!(sleeper(&zone, &query, guest("10.0.0.9")), None);
    for other in ["db.", "vm.", "db.vm.example.", "other.vm."] {
        let query = question(other, RecordType::A);
        assert_eq!(sleeper(&zone, &query, Asker::Host), None, "{other}");
    }
    assert_eq!(sleeper(&zone, b"no query", Asker::Host), None);
}
