//! What a client sends and no handler reads. With bytes of a request unread a connection is closed, and the
//! kernel resets it then: its client would get no answer.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, future, stream};
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// The most that is read for nobody, in bytes: whole archives of images are sent.
const MOST: usize = 256 << 20;
/// How long a client may take to send it.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads what the handler has left of a body, before the answer is sent. A client that waits for "100 Continue"
/// (RFC 9110, section 10.1.1) has sent nothing yet, and would begin to if it were read.
///
/// Where the handler has answered with a stream of what becomes of the body, whoever reads the body may give up on
/// it later: what is left is read before the stream ends.
pub(super) async fn read(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(EXPECT);
    if waits || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (loan, mut lent) = watch::channel(Loan::Out);
    let lend = |body| Body::new(Lent { body, loan });
    let response = next.run(request.map(lend)).await;
    if matches!(*lent.borrow(), Loan::Out) {
        return response.map(|body| {
            let rest = stream::once(async move { read_rest(&mut lent).await });
            let nothing = rest.filter_map(|()| future::ready(None));
            Body::from_stream(body.into_data_stream().chain(nothing))
        });
    }
    read_rest(&mut lent).await;
    response
}

/// Waits until nobody has the body any more, and reads what is left of it; not for ever.
async fn read_rest(lent: &mut watch::Receiver<Loan>) {
    let reading = async {
        // Whoever had it is gone: it was given back.
        let _ = lent.wait_for(|loan| !matches!(loan, Loan::Out)).await;
        let rest = match &*lent.borrow() {
            Loan::Back(rest) => rest.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Loan::Out | Loan::Read => None,
        };
        if let Some(rest) = rest {
            drain(rest).await;
        }
    };
    let _too_long = tokio::time::timeout(LIMIT, reading).await;
}

async fn drain(body: Body) {
    let mut length = 0;
    let mut stream = body.into_data_stream();
    while let Some(Ok(bytes)) = stream.next().await {
        length += bytes.len();
        if length > MOST {
            return;
        }
    }
}

/// What has become of a body.
enum Loan {
    /// Somebody has it.
    Out,
    /// It was read to its end.
    Read,
    /// It was not; who takes the rest leaves nothing.
    Back(Mutex<Option<Body>>),
}

/// A body on loan: dropped, it is given back.
struct Lent {
    body: Body,
    loan: watch::Sender<Loan>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.loan.send_replace(if self.body.is_end_stream() {
            Loan::Read
        } else {
            Loan::Back(Mutex::new(Some(std::mem::take(&mut self.body))))
        });
    }
}

#[cfg(test)]
mod t1 {
    use super::*;
    use axum::Router;
    use axum::routing::put;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    const PART: usize = 1 << 20;
    const PARTS: usize = 8;

    /// A client whose body is with somebody who gives up on it only when told, answered long before; and how
    /// they are told.
    fn answered_early() -> (UnixStream, Arc<Notify>) {
        let gives_up = Arc::new(Notify::new());
        let told = Arc::clone(&gives_up);
        let handler = move |body: Body| async move {
            tokio::spawn(async move {
                told.notified().await;
                drop(body);
            });
            "answered"
        };
        let router = Router::new().route("/", put(handler));
        let router = router.layer(axum::middleware::from_fn(read));
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(theirs), TowerToHyperService::new(router)),
        );
        (ours, gives_up)
    }

    #[tokio::test]
    async fn who_gives_up_on_a_body_after_the_answer_leaves_nobody_with_a_broken_pipe() {
        let (mut client, gives_up) = answered_early();
        let length = PARTS * PART;
        let head = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"answered\r\n") {
            let read = client.read_buf(&mut answer).await.expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
        gives_up.notify_one();
        for _ in 0..PARTS {
            client.write_all(&[7; PART]).await.expect("it is read");
        }
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            let read = client.read_buf(&mut answer).await.expect("its end");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
    }
}
