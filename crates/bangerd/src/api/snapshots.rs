//! `/v1/sandboxes/{sandbox}/snapshots`, and what goes with them.

use super::Api;
use super::reply::{Answer, Json, Op, Refused};
use super::sandboxes::operate;
use crate::host;
use crate::layout::SandboxPaths;
use crate::operation::Asked;
use crate::services::blocking;
use crate::snapshots::{self, Snapshot as Inner, SnapshotError};
use axum::extract::{Path, State};
use axum::response::Response;
use banger_model::snapshot::Tag;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{RestoreRequest, Snapshot, SnapshotRequest};
use std::path::PathBuf;

/// Keeps this moment of a sandbox: its disks, and where its guest runs its memory. The guest stands still for as
/// long as that takes, and goes on.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/snapshots", request_body = SnapshotRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn take(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<SnapshotRequest>,
) -> Result<Response, Refused> {
    let tag = request.tag.or_else(|| host::utc_now().tag());
    let tag = tag.ok_or_else(|| Fault::new(FaultCode::BadRequest, "the clock says no date"))?;
    operate(&api, op, &name, |_| Asked::Snapshot { tag }).await
}

/// Saves the memory of a guest and ends its VMM. Whoever uses it next lets it go on.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/suspend", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn suspend(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Suspend).await
}

/// Takes a sandbox back to one of its snapshots. What it was until then is lost.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/restore", request_body = RestoreRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn restore(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<RestoreRequest>,
) -> Result<Response, Refused> {
    let tag = request.tag.ok_or_else(|| {
        Fault::new(FaultCode::BadRequest, "the tag of the snapshot is missing")
            .with_remedy(r#"send {"tag": "TAG"}"#)
    })?;
    operate(&api, op, &name, |_| Asked::Restore { tag }).await
}

/// The snapshots of a sandbox, the oldest first.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/snapshots", params(("sandbox" = String, Path)),
    responses((status = 200, body = Vec<Snapshot>), (status = 404, body = Fault)))]
pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Answer<Vec<Snapshot>> {
    let services = &api.supervisor.services;
    let sandbox = services.registry.find(&name)?;
    let parent = SandboxPaths::of(&services.layout, sandbox.id).snapshots();
    let found = blocking(move || Ok(Inner::list(&parent)?)).await?;
    let readable = found.snapshots.iter().map(shown);
    let unreadable = found.unreadable.iter().map(unreadable);
    Ok(axum::Json(readable.chain(unreadable).collect()))
}

/// Removes a snapshot. What went on from it is not touched.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}/snapshots/{tag}", params(("sandbox" = String, Path), ("tag" = String, Path)),
    responses((status = 200), (status = 404, body = Fault)))]
pub(super) async fn remove(
    State(api): State<Api>,
    Path((name, tag)): Path<(String, String)>,
) -> Answer<()> {
    let services = &api.supervisor.services;
    let sandbox = services.registry.find(&name)?;
    let tag: Tag = tag
        .parse()
        .map_err(|error| Fault::new(FaultCode::BadRequest, error))?;
    let directory = SandboxPaths::of(&services.layout, sandbox.id).snapshot(&tag);
    let none = || {
        let name = sandbox.record().name;
        let message = format!("sandbox {name} has no snapshot {tag}");
        Fault::new(FaultCode::NotFound, message)
            .with_remedy(format!("see `banger vm snapshots {name}`"))
    };
    if !directory.exists() {
        return Err(none().into());
    }
    match blocking(move || Ok(snapshots::remove(&directory)?)).await {
        // Somebody else has removed it meanwhile.
        Err(fault) if fault.code == FaultCode::NotFound => Err(none().into()),
        removed => Ok(axum::Json(removed?)),
    }
}

pub(super) fn shown(snapshot: &Inner) -> Snapshot {
    Snapshot {
        tag: name_of(&snapshot.directory),
        taken_at: snapshot.manifest.taken_at,
        memory: snapshot.saved().is_some(),
        disk_used: snapshot.size_on_disk().unwrap_or(0),
        trouble: None,
    }
}

pub(super) fn unreadable((directory, error): &(PathBuf, SnapshotError)) -> Snapshot {
    Snapshot {
        tag: name_of(directory),
        taken_at: 0,
        memory: false,
        disk_used: 0,
        trouble: Some(error.fault().message),
    }
}

fn name_of(directory: &std::path::Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
