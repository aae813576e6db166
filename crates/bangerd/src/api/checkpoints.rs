//! `/v1/sandboxes/{sandbox}/checkpoints`: what can be undone, and undoing it.

use super::Api;
use super::reply::{Answer, Json, Op, Refused};
use super::sandboxes::operate;
use crate::checkpoints::{Checkpoints, Kept};
use crate::layout::SandboxPaths;
use crate::operation::Asked;
use crate::sandbox::Sandbox;
use crate::services::blocking;
use axum::extract::{Path, State};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{Checkpoint, CheckpointRequest, History, UndoRequest};

/// What can be undone of a sandbox, the newest command first.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/checkpoints", params(("sandbox" = String, Path)),
    responses((status = 200, body = History), (status = 404, body = Fault)))]
pub(super) async fn history(State(api): State<Api>, Path(name): Path<String>) -> Answer<History> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let checkpoints = of(&api, &sandbox);
    let base = checkpoints.base_bytes();
    let (all, trouble) = match blocking(move || Ok(checkpoints.list()?)).await {
        Ok(all) => (all, None),
        Err(fault) => (Vec::new(), Some(fault.message)),
    };
    let config = &api.supervisor.services.config;
    Ok(axum::Json(History {
        kept: sandbox.record().spec.checkpoint,
        gone: all
            .first()
            .map_or(0, |oldest| oldest.number.saturating_sub(1)),
        most: config.checkpoints as u64,
        budget: config.checkpoint_budget,
        disk_used: base + all.iter().map(|kept| kept.bytes).sum::<u64>(),
        checkpoints: (1..)
            .zip(to_undo(&all))
            .map(|(back, kept)| shown(back, kept))
            .collect(),
        trouble,
    }))
}

/// Makes a checkpoint of a sandbox that keeps them, before something that the daemon does not know for one command:
/// a copy of many files. Commands have theirs without this.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/checkpoints", request_body = CheckpointRequest, params(("sandbox" = String, Path)),
    responses((status = 200), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn make(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(request): Json<CheckpointRequest>,
) -> Answer<()> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    // A guest that is suspended goes on before.
    sandbox.guest().await?;
    Ok(axum::Json(sandbox.checkpoint(&request.command).await?))
}

/// Takes a sandbox back to what it was before one of its last commands.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/undo", request_body = UndoRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn undo(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<UndoRequest>,
) -> Result<Response, Refused> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let (checkpoints, commands) = (of(&api, &sandbox), request.commands.unwrap_or(1));
    let all = blocking(move || Ok(checkpoints.list()?)).await?;
    let chosen = usize::try_from(commands.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(to) = to_undo(&all).nth(chosen).map(|kept| kept.number) else {
        return Err(none(&sandbox, to_undo(&all).count()).into());
    };
    operate(&api, op, &name, |_| Asked::Undo { to }).await
}

fn of(api: &Api, sandbox: &Sandbox) -> Checkpoints {
    let paths = SandboxPaths::of(&api.supervisor.services.layout, sandbox.id);
    Checkpoints::of(paths.checkpoints())
}

/// The newest first; what was undone is none.
fn to_undo(all: &[Kept]) -> impl Iterator<Item = &Kept> {
    all.iter().rev().filter(|kept| !kept.undone)
}

fn shown(back: u32, kept: &Kept) -> Checkpoint {
    Checkpoint {
        back,
        command: kept.entry.command.clone(),
        taken_at: kept.entry.taken_at,
        disk_used: kept.bytes,
    }
}

fn none(sandbox: &Sandbox, there: usize) -> Fault {
    let record = sandbox.record();
    let name = record.name;
    let message = match there {
        0 => format!("sandbox {name} has no command that can be undone"),
        1 => format!("only the last command of sandbox {name} can be undone"),
        there => format!("only the last {there} commands of sandbox {name} can be undone"),
    };
    let remedy = match record.spec.checkpoint {
        true => format!("see `banger vm history {name}`"),
        false => "checkpoints are made for machines that were created with --checkpoint".into(),
    };
    Fault::new(FaultCode::NotFound, message).with_remedy(remedy)
}
