//! `/v1/templates`.

use super::Api;
use super::operations::{begin, known};
use super::reply::{Answer, Json, Op, Refused};
use super::snapshots::{shown, unreadable};
use crate::operation::{Asked, Entry, Subject};
use crate::services::blocking;
use crate::snapshots::{self, Snapshot as Inner};
use axum::extract::{Path, State};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{CreateRequest, Snapshot};

/// Boots a machine of this kind once, for others to go on from. What is one machine's alone (its name, ports, who
/// it may talk to) does not count.
#[utoipa::path(post, path = "/v1/templates", request_body = CreateRequest,
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 400, body = Fault)))]
pub(super) async fn make(
    State(api): State<Api>,
    Op(op): Op,
    Json(request): Json<CreateRequest>,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    api.supervisor.spec(&request)?;
    let supervisor = api.supervisor.clone();
    let asked = Asked::TemplateMake {
        request: Box::new(request.clone()),
    };
    let entry = Entry::new(op, Subject::artifact("template"), asked);
    begin(&api, entry, move |going| async move {
        supervisor.make_template(request, &going).await
    })
    .await
}

/// All templates, the oldest first; each by its key.
#[utoipa::path(get, path = "/v1/templates", responses((status = 200, body = Vec<Snapshot>)))]
pub(super) async fn list(State(api): State<Api>) -> Answer<Vec<Snapshot>> {
    let parent = api.supervisor.services.layout.templates();
    let found = blocking(move || Ok(Inner::list(&parent)?)).await?;
    let readable = found.snapshots.iter().map(shown);
    let unreadable = found.unreadable.iter().map(unreadable);
    Ok(axum::Json(readable.chain(unreadable).collect()))
}

/// Removes a template. Machines that went on from it are not touched.
#[utoipa::path(delete, path = "/v1/templates/{key}", params(("key" = String, Path)),
    responses((status = 200), (status = 404, body = Fault)))]
pub(super) async fn remove(State(api): State<Api>, Path(key): Path<String>) -> Answer<()> {
    let none = || {
        let message = format!("there is no template {key}");
        Fault::new(FaultCode::NotFound, message).with_remedy("see `banger template list`")
    };
    // Of what it is made: nothing else is a part of a path here.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(none().into());
    }
    let directory = api.supervisor.services.layout.template(&key);
    match blocking(move || Ok(snapshots::remove(&directory)?)).await {
        Err(fault) if fault.code == FaultCode::NotFound => Err(none().into()),
        removed => Ok(axum::Json(removed?)),
    }
}
