//! One request and its answer over one connection.

use super::io::HyperIo;
use banger_proto::fault::{Fault, FaultCode, chain};
use banger_proto::owner::{OP_HEADER, SANDBOXES_HEADER};
use futures_util::Stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;
/// A connection that can take a request.
pub(super) type Connection = SendRequest<Body>;
/// The longest JSON answer that is read, in bytes: a list of some ten thousand sandboxes.
const LONGEST_JSON: usize = 64 * 1024 * 1024;
/// How long a body waits to be wanted before it is sent all the same.
const WANTED_LIMIT: Duration = Duration::from_secs(5);

/// A body of these bytes.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body that is produced while it is sent.
pub fn streamed(parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    use futures_util::StreamExt;
    StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync()
}

/// What is asked.
pub struct Ask {
    /// The method.
    pub method: Method,
    /// Path and query, encoded.
    pub path: String,
    /// Headers besides the usual.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Told when the daemon wants the body (`100 Continue`).
    pub wanted: Option<Arc<Notify>>,
    /// All of the body, where it can be sent again.
    whole: Option<Bytes>,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub fn bare(method: Method, path: String) -> Self {
        Self::with_body(method, path, Bytes::new())
    }

    fn with_body(method: Method, path: String, content: Bytes) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            body: whole(content.clone()),
            wanted: None,
            whole: Some(content),
        }
    }

    /// The same once more, unless its body comes from somewhere.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let again = Self::with_body(self.method.clone(), self.path.clone(), self.whole.clone()?);
        Some(Self {
            headers: self.headers.clone(),
            ..again
        })
    }

    /// A request with a long body, which is sent once the daemon wants it (RFC 9110 section
    /// 10.1.1): one that refuses at once would close the connection under the body, and its reason
    /// would be lost.
    #[must_use]
    pub fn with_long_body(
        mut self,
        parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        use futures_util::{FutureExt, StreamExt};
        let wanted = Arc::new(Notify::new());
        let told = wanted.clone();
        let gate = async move { tokio::time::timeout(WANTED_LIMIT, told.notified()).await };
        let parts = gate.map(|_late_or_told| parts).flatten_stream();
        self.headers.push(("expect", "100-continue".into()));
        self.body = streamed(parts.boxed());
        self.wanted = Some(wanted);
        self.whole = None;
        self
    }

    /// A request with JSON in its body.
    #[must_use]
    pub fn json(method: Method, path: String, content: &impl serde::Serialize) -> Self {
        let content = serde_json::to_vec(content).unwrap_or_default();
        Self {
            headers: vec![("content-type", "application/json".into())],
            ..Self::with_body(method, path, content.into())
        }
    }
}

/// The connection or the answer on it is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The connection broke.
    #[error("the daemon closed the connection: {}", chain(.0))]
    Lost(#[source] hyper::Error),
    /// The request cannot be written down.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// What came is not what was promised.
    #[error("the daemon's answer cannot be read: {0}")]
    Unreadable(String),
}

impl From<Unanswered> for Fault {
    fn from(error: Unanswered) -> Self {
        match &error {
            Unanswered::Lost(_) => Self::new(FaultCode::Unavailable, &error)
                .with_remedy("run the command again: the daemon is started when it is needed"),
            Unanswered::Unsendable(_) => Self::new(FaultCode::BadRequest, &error),
            Unanswered::Unreadable(_) => Self::new(FaultCode::Version, &error)
                .with_remedy("see with `banger daemon status` which version answers"),
        }
    }
}

/// Makes a stream ready for requests.
pub(super) async fn open(stream: UnixStream) -> Result<Connection, Unanswered> {
    let (sender, connection) = http1::handshake(HyperIo::new(stream))
        .await
        .map_err(Unanswered::Lost)?;
    // It ends with the connection; its error reaches whoever waits for the answer.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn send(
    connection: &mut Connection,
    ask: Ask,
) -> Result<Response<Incoming>, Unanswered> {
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header("host", "banger");
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    let mut request = request
        .body(ask.body)
        .map_err(|error| Unanswered::Unsendable(error.to_string()))?;
    if let Some(wanted) = ask.wanted {
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                wanted.notify_one();
            }
        });
    }
    connection.ready().await.map_err(Unanswered::Lost)?;
    connection
        .send_request(request)
        .await
        .map_err(Unanswered::Lost)
}

/// Reads a whole JSON body.
pub(super) async fn bytes(answer: Response<Incoming>) -> Result<Bytes, Unanswered> {
    Limited::new(answer.into_body(), LONGEST_JSON)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| Unanswered::Unreadable(error.to_string()))
}

/// The fault that an answer with an error status carries.
pub fn fault_of(status: u16, op: Option<&str>, body: &[u8]) -> Fault {
    let fault = serde_json::from_slice(body).unwrap_or_else(|_| {
        let code = FaultCode::ALL
            .into_iter()
            .rev()
            .find(|code| code.http_status() == status)
            .unwrap_or(FaultCode::Failed);
        let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
        match text.trim() {
            "" => Fault::new(code, format!("the daemon answered with status {status}")),
            said => Fault::new(code, format!("the daemon answered with {status}: {said}")),
        }
    });
    match op {
        Some(op) => fault.with_op(op),
        None => fault,
    }
}

/// The operation's id in an answer's head.
pub(super) fn op_of<T>(answer: &Response<T>) -> Option<String> {
    Some(answer.headers().get(OP_HEADER)?.to_str().ok()?.to_owned())
}

/// The ids of the sandboxes that a request named, by its answer's head; none of an older daemon.
pub fn sandboxes_of<T>(answer: &Response<T>) -> Vec<String> {
    let ids = answer.headers().get(SANDBOXES_HEADER);
    let ids = ids.and_then(|ids| ids.to_str().ok()).unwrap_or_default();
    let ids = ids.split(',').filter(|id| !id.is_empty());
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_taken_as_it_is_and_anything_else_is_made_one() {
        let sent = Fault::new(FaultCode::Conflict, "taken").with_remedy("choose another");
        let body = serde_json::to_vec(&sent).expect("plain");
        assert_eq!(fault_of(409, Some("op-1"), &body), sent.with_op("op-1"));
        let made = fault_of(404, None, b"no such route");
        assert_eq!(made.code, FaultCode::NotFound);
        assert!(made.message.contains("no such route"), "{made}");
        assert_eq!(fault_of(599, None, b"").code, FaultCode::Failed);
    }
}
