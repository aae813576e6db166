//! How answers leave: JSON, faults with their status, streams of events.

use crate::audit::Audited;
use crate::operation::journal::Past;
use crate::operation::{Follower, OpId, Operation, Place, new_id};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use banger_proto::owner::{NDJSON, OP_HEADER};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a handler that fails returns.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Fault);

impl<E: Into<Fault>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let audited = Audited {
            fault: Some(self.0.code),
            op: self.0.op.clone(),
            ..Audited::default()
        };
        let mut response = (status, axum::Json(self.0)).into_response();
        response.extensions_mut().insert(audited);
        response
    }
}

/// A JSON answer or a fault.
pub(super) type Answer<T> = Result<axum::Json<T>, Refused>;

/// A JSON body; an empty one is the type's default.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| Refused(Fault::new(FaultCode::BadRequest, error.body_text())))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(&bytes).map(Self)
    }
}

/// The operation's id that the client chose, or a new one.
pub(super) struct Op(pub(super) OpId);

impl<S: Send + Sync> FromRequestParts<S> for Op {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let Some(chosen) = parts.headers.get(OP_HEADER) else {
            return Ok(Self(new_id()));
        };
        let text = chosen.to_str().unwrap_or_default();
        let id = text.parse();
        id.map(Self)
            .map_err(|error| Fault::new(FaultCode::BadRequest, error).into())
    }
}

/// Reads JSON that must be there.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| {
        Refused(Fault::new(
            FaultCode::BadRequest,
            format!("the request cannot be read: {error}"),
        ))
    })
}

/// An answer about a file of a guest, which the audit log names.
pub(super) fn about_file(answer: impl IntoResponse, path: Vec<u8>) -> Response {
    let mut response = answer.into_response();
    let audited: &mut Audited = response.extensions_mut().get_or_insert_default();
    audited.path = Some(path);
    response
}

/// The value of an operation's last event.
pub(super) fn value<T: Serialize>(result: &T) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(result).map_err(|error| Fault::from_error(FaultCode::Failed, &error))
}

/// Follows an operation, one event per line, until its last; ends without one when the daemon leaves.
pub(super) fn follow(
    operation: Arc<Operation>,
    follower: Follower,
    leaving: CancellationToken,
) -> Response {
    let id = operation.id().to_string();
    let audited = Audited {
        sandbox: operation.entry.subject.sandbox.map(|id| id.to_string()),
        ..Audited::default()
    };
    let begin = (operation, Place::default(), follower, leaving);
    let events = stream::unfold(
        begin,
        |(operation, mut place, follower, leaving)| async move {
            let event = tokio::select! {
                biased;
                event = operation.next(&mut place) => event?,
                () = leaving.cancelled() => return None,
            };
            Some((event, (operation, place, follower, leaving)))
        },
    );
    let mut response = events_of(&id, events);
    response.extensions_mut().insert(audited);
    response
}

/// An operation that has ended: that it was accepted, and its last event.
pub(super) fn ended(past: Past) -> Response {
    let accepted = Event::Accepted {
        op: past.op.clone(),
        sandbox: past.sandbox,
    };
    events_of(&past.op, stream::iter([accepted, past.last]))
}

fn events_of(id: &str, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let lines = events.map(|event| {
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(OP_HEADER, id);
    }
    response
}
