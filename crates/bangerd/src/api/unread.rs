//! What a client sends and no handler reads. With bytes of a request unread a connection is closed, and the
//! kernel resets it then: its client would get no answer.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// The most that is read for nobody, in bytes: whole archives of images are sent.
const MOST: usize = 256 << 20;
/// How long a client may take to send it.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads what the handler has left of a body, before the answer is sent. A client that waits for "100 Continue"
/// (RFC 9110, section 10.1.1) has sent nothing yet, and would begin to if it were read.
pub(super) async fn read(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(EXPECT);
    if waits || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let left = Left::default();
    let lent = |body| {
        Body::new(Lent {
            body,
            left: left.clone(),
        })
    };
    let response = next.run(request.map(lent)).await;
    let rest = left.lock().take();
    if let Some(rest) = rest {
        let _too_long = tokio::time::timeout(LIMIT, drain(rest)).await;
    }
    response
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

/// What is left of a body when whoever had it is done with it.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<Body>>>);

impl Left {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body on loan: dropped, it is given back.
struct Lent {
    body: Body,
    left: Left,
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
        if !self.body.is_end_stream() {
            *self.left.lock() = Some(std::mem::take(&mut self.body));
        }
    }
}
