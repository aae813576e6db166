//! The WebSocket of a session, made from an ordinary connection (RFC 6455 section 4).

use super::io::HyperIo;
use super::request::{self, Ask, Unanswered};
use super::{Client, Lost};
use banger_proto::fault::Fault;
use banger_proto::guest::flow::WINDOW;
use banger_proto::owner::exec::SUBPROTOCOL;
use hyper::{Method, Response, StatusCode, body::Incoming};
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A session's connection.
pub type WebSocket = WebSocketStream<UnixStream>;
/// The longest message that is taken, in bytes: a client that was slow gets a whole window in one,
/// behind the byte that names its channel.
const LONGEST_MESSAGE: usize = 2 * WINDOW;

impl Client {
    /// Opens a WebSocket.
    ///
    /// # Errors
    /// `Lost` when the connection broke and may be tried again, else the daemon's fault.
    pub async fn web_socket(&self, path: String) -> Result<WebSocket, Lost> {
        let key = generate_key();
        let mut ask = Ask::bare(Method::GET, path);
        ask.headers = vec![
            ("connection", "Upgrade".into()),
            ("upgrade", "websocket".into()),
            ("sec-websocket-version", "13".into()),
            ("sec-websocket-key", key.clone()),
            ("sec-websocket-protocol", SUBPROTOCOL.into()),
        ];
        let mut connection = self.connection().await?;
        let answer = request::send(&mut connection, ask).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(answer).await?.into());
        }
        let header = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
        if header("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str())
            || header("sec-websocket-protocol") != Some(SUBPROTOCOL)
        {
            let what = "it does not speak the protocol of sessions".to_owned();
            return Err(Fault::from(Unanswered::Unreadable(what)).into());
        }
        take_over(answer).await
    }
}

async fn refused(answer: Response<Incoming>) -> Result<Fault, Unanswered> {
    let (status, op) = (answer.status().as_u16(), request::op_of(&answer));
    let body = request::bytes(answer).await?;
    Ok(request::fault_of(status, op.as_deref(), &body))
}

async fn take_over(answer: Response<Incoming>) -> Result<WebSocket, Lost> {
    let upgraded = hyper::upgrade::on(answer).await.map_err(Unanswered::Lost)?;
    let parts = upgraded
        .downcast::<HyperIo>()
        .map_err(|_| Fault::from(Unanswered::Unreadable("not a socket of ours".into())))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE));
    let (stream, early) = (parts.io.into_stream(), parts.read_buf.to_vec());
    Ok(WebSocketStream::from_partially_read(stream, early, Role::Client, Some(config)).await)
}
