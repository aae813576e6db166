//! A link against a scripted guest: honest, dead, and lying.

use super::*;
use crate::guest::Incoming;
use banger_proto::fault::FaultCode;
use banger_proto::guest::flow::WINDOW;
use banger_proto::guest::hello::GUEST_MAGIC;
use banger_proto::guest::message::{GuestFault, Health, InitState, Notice, STDOUT};
use tokio::net::UnixListener;

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Guest {
    connection: UnixStream,
    decoder: Decoder,
    epoch: u32,
}

impl Guest {
    /// Takes a connection and reads the host's hello.
    async fn accept(listener: &UnixListener) -> (Self, u64) {
        let (connection, _) = listener.accept().await.expect("a connection");
        let mut guest = Self {
            connection,
            decoder: Decoder::for_guest(),
            epoch: 0,
        };
        loop {
            if let Some(Received::Hello { nonce, .. }) = guest.decoder.next() {
                guest.epoch = hello::epoch(nonce);
                return (guest, nonce);
            }
            guest.read().await;
        }
    }

    async fn read(&mut self) {
        let mut bytes = vec![0; 65_536];
        let count = self.connection.read(&mut bytes).await.expect("bytes");
        assert_ne!(count, 0, "the host closed");
        self.decoder.push(&bytes[..count]);
    }

    async fn hello(&mut self, nonce: u64) {
        let hello = GuestHello {
            generation: 1,
            version: "t".into(),
            boot: [0; 16],
            configured: false,
        };
        let mut bytes = Vec::new();
        hello::write(&mut bytes, GUEST_MAGIC, nonce, &hello).expect("short");
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // A host that has given up does not read: that is what some tests are about.
        let _host_may_be_gone = self.connection.write_all(bytes).await;
    }

    async fn frame(&mut self, stream: u32, kind: Kind, parts: &[&[u8]]) {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, self.epoch, stream, kind, parts).expect("short");
        self.raw(&bytes).await;
    }

    pub(crate) async fn answer(&mut self, stream: u32, answer: &Result<Answer, GuestFault>) {
        let bytes = message::encode(answer).expect("plain");
        self.frame(stream, Kind::Answer, &[&bytes]).await;
    }

    pub(crate) async fn notice(&mut self, stream: u32, notice: &Notice) {
        let bytes = message::encode(notice).expect("plain");
        self.frame(stream, Kind::Notice, &[&bytes]).await;
    }

    /// Waits until the host closes a stream.
    pub(crate) async fn closed(&mut self, stream: u32) {
        loop {
            match self.decoder.next() {
                Some(Received::Frame(frame)) if frame.kind == Kind::Close => {
                    assert_eq!(frame.stream, stream);
                    return;
                }
                Some(_) => {}
                None => self.read().await,
            }
        }
    }

    /// The next call.
    pub(crate) async fn call(&mut self) -> u32 {
        loop {
            if let Some(Received::Frame(frame)) = self.decoder.next() {
                if frame.kind == Kind::Call {
                    return frame.stream;
                }
                continue;
            }
            self.read().await;
        }
    }
}

/// Meets a guest whose part is played by `script` after its honest hello.
pub(crate) async fn met<F, S>(script: S) -> (Link, tokio::task::JoinHandle<()>, tempfile::TempDir)
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Guest) -> F + Send + 'static,
{
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).expect("bound");
    let playing = tokio::spawn(async move {
        let (mut guest, nonce) = Guest::accept(&listener).await;
        guest.raw(b"the tail of something older").await;
        guest.hello(nonce).await;
        script(guest).await;
    });
    let met = Link::meet(&socket, LIMIT).await.expect("met");
    assert_eq!(met.hello.version, "t");
    (met.link, playing, directory)
}

fn health() -> Answer {
    Answer::Health(Health {
        init: InitState::None,
        uptime_ms: 1,
        memory_available_kib: 2,
        memory_total_kib: 3,
        sessions: 0,
    })
}

#[tokio::test]
async fn calls_are_answered_in_any_order() {
    let (link, playing, _directory) = met(|mut guest| async move {
        let first = guest.call().await;
        let second = guest.call().await;
        let refused = GuestFault {
            code: FaultCode::NotFound,
            message: "no such thing".into(),
        };
        guest.answer(second, &Err(refused)).await;
        guest.answer(first, &Ok(health())).await;
    })
    .await;
    let (first, second) = tokio::join!(
        link.call(&Call::Health, LIMIT),
        link.call(&Call::Ports, LIMIT)
    );
    assert_eq!(first.expect("answered"), health());
    assert_eq!(second.expect_err("refused").to_string(), "no such thing");
    playing.await.expect("played");
}

#[tokio::test]
async fn an_answer_in_parts_is_put_together_and_an_endless_one_is_not() {
    let (link, playing, _directory) = met(|mut guest| async move {
        let call = guest.call().await;
        let bytes = message::encode(&Ok::<_, GuestFault>(health())).expect("plain");
        guest.frame(call, Kind::Part, &[&bytes[..2]]).await;
        guest.frame(call, Kind::Answer, &[&bytes[2..]]).await;
        let call = guest.call().await;
        for _ in 0..40 {
            guest.frame(call, Kind::Part, &[&[0; 65_000]]).await;
        }
    })
    .await;
    assert_eq!(
        link.call(&Call::Health, LIMIT).await.expect("whole"),
        health()
    );
    let error = link.call(&Call::Health, LIMIT).await.expect_err("endless");
    assert!(error.to_string().contains("too long"), "{error}");
    playing.await.expect("played");
}

#[tokio::test]
async fn a_guest_that_ignores_credit_is_cut_off_and_kept_bounded() {
    let (link, playing, _directory) = met(|mut guest| async move {
        let call = guest.call().await;
        guest.answer(call, &Ok(Answer::Done)).await;
        for _ in 0..100 {
            guest
                .frame(call, Kind::Data, &[&[STDOUT], &[7; 60_000]])
                .await;
        }
    })
    .await;
    let stream = link.open(&Call::Health).await.expect("open");
    stream
        .begin(Credit {
            channel: STDOUT,
            acked: 0,
            limit: WINDOW as u64,
        })
        .await
        .expect("sent");
    stream.answer(LIMIT).await.expect("answered");
    let mut bytes = 0;
    let reason = loop {
        match stream.next().await {
            Incoming::Data(_, data) => bytes += data.len(),
            Incoming::Closed(reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(bytes <= WINDOW, "{bytes}");
    assert!(
        reason
            .expect("a reason")
            .to_string()
            .contains("more bytes than it was allowed")
    );
    playing.await.expect("played");
}

#[tokio::test]
async fn a_stream_is_closed_even_while_others_fill_the_queue() {
    let (read, may_read) = tokio::sync::oneshot::channel::<()>();
    let (link, playing, _directory) = met(|mut guest| async move {
        let _filling = guest.call().await;
        let closed = guest.call().await;
        may_read.await.expect("told");
        guest.closed(closed).await;
    })
    .await;
    let filling = link.open(&Call::Health).await.expect("open");
    let closed = link.open(&Call::Health).await.expect("open");
    // Of a length that does not divide the bound.
    let bytes = vec![7; 60_000];
    let fill = async { while filling.data(0, &bytes).await.is_ok() {} };
    let full = tokio::time::timeout(Duration::from_secs(1), fill).await;
    assert!(full.is_err(), "the link takes everything, or is lost");
    drop(closed);
    read.send(()).expect("it plays");
    let playing = tokio::time::timeout(LIMIT, playing).await;
    playing.expect("it was told in time").expect("played");
}

/// What a lying guest sends after its hello, and what the user is told.
#[tokio::test]
async fn whatever_breaks_the_protocol_ends_the_link_with_its_reason() {
    let cases: [(&[u8], &str); 4] = [
        (b"garbage that is no frame at all", "no frame"),
        (&[0xb9, 2, 0xff, 0xff, 1, 0, 0, 0], "no frame"),
        (&[0xb9, 77, 0, 0, 1, 0, 0, 0], "no frame"),
        (&[0xb9, 2, 1, 0, 1, 0, 0, 0, 5, 1, 2, 3, 4], "no frame"),
    ];
    for (bytes, why) in cases {
        let (link, playing, _directory) = met(move |mut guest| async move {
            guest.call().await;
            guest.raw(bytes).await;
            guest.raw(&[0xb9; 16]).await;
        })
        .await;
        let error = link.call(&Call::Health, LIMIT).await.expect_err("broken");
        assert!(error.to_string().contains(why), "{bytes:?}: {error}");
        assert!(link.open(&Call::Ports).await.is_err());
        playing.await.expect("played");
    }
}

#[tokio::test]
async fn a_guest_that_closes_and_one_that_is_silent_are_told_apart() {
    let (link, _playing, _directory) = met(|mut guest| async move {
        guest.call().await;
    })
    .await;
    let error = link.call(&Call::Health, LIMIT).await.expect_err("closed");
    assert!(error.to_string().contains("closed"), "{error}");

    let (link, playing, _directory) = met(|mut guest| async move {
        guest.call().await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = link
        .call(&Call::Health, Duration::from_millis(50))
        .await
        .expect_err("silent");
    assert!(matches!(error, CallError::TimedOut(_)));
    playing.abort();
}

#[tokio::test]
async fn endless_garbage_instead_of_a_hello_is_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).expect("bound");
    let playing = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        while connection.write_all(&[0x55; 65_536]).await.is_ok() {}
    });
    let error = Link::meet(&socket, LIMIT).await.expect_err("garbage");
    assert!(error.to_string().contains("garbage"), "{error}");
    playing.await.expect("played");
}

#[tokio::test]
async fn no_socket_and_no_hello_are_clear_errors() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("agent.sock");
    let error = Link::meet(&socket, LIMIT).await.expect_err("no socket");
    assert!(matches!(error, LinkError::Unreachable { .. }));
    let _listener = UnixListener::bind(&socket).expect("bound");
    let error = Link::meet(&socket, Duration::from_millis(50))
        .await
        .expect_err("silent");
    assert!(matches!(error, LinkError::Silent(_)));
}

#[tokio::test]
async fn a_guest_that_does_not_read_makes_senders_wait_and_memory_stay() {
    let (link, playing, _directory) = met(|mut guest| async move {
        guest.call().await;
        std::future::pending::<()>().await;
    })
    .await;
    let stream = link.open(&Call::Health).await.expect("open");
    let flood = async {
        for _ in 0..1000 {
            stream.data(0, &[1; 60_000]).await.expect("sent");
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_millis(200), flood)
            .await
            .is_err()
    );
    assert!(link.shared.outgoing().len() <= MOST_OUTGOING + 65_536);
    playing.abort();
}
