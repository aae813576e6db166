//! What `banger vm try` needs beside forking: forks that are kept while somebody judges them, and the one that takes
//! its original's place.

use super::Api;
use super::reply::{Json, Op, Refused};
use super::sandboxes::operate;
use crate::operation::Asked;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::PromoteRequest;
use futures_util::{StreamExt, stream};
use std::io;

/// Keeps an ephemeral sandbox for as long as the answer is read, as a session does. A line comes at once, and nothing
/// after it until the daemon leaves.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/hold", params(("sandbox" = String, Path)),
    responses((status = 200, description = "a line, then nothing", content_type = "text/plain"), (status = 404, body = Fault)))]
pub(super) async fn hold(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let (guard, leaving) = (sandbox.attach(api.supervisor.clock), api.leaving.clone());
    let first = stream::once(async { Ok::<_, io::Error>(Bytes::from_static(b"held\n")) });
    let rest = stream::once(async move {
        leaving.cancelled().await;
        drop(guard);
        Ok(Bytes::new())
    });
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}

/// Replaces disks and memory of a sandbox by those of an ephemeral fork of it; name, id, ports and snapshots stay. What
/// it was until then is lost. A crash on the way leaves it as it was, or as the fork is.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/promote", request_body = PromoteRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn promote(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<PromoteRequest>,
) -> Result<Response, Refused> {
    if request.fork.is_empty() {
        let fault = Fault::new(FaultCode::BadRequest, "the fork is missing");
        return Err(fault.with_remedy(r#"send {"fork": "NAME"}"#).into());
    }
    let fork = api.supervisor.services.registry.find(&request.fork)?.id;
    operate(&api, op, &name, |_| Asked::Promote { fork }).await
}
