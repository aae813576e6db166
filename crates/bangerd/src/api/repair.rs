//! Repairs: of one sandbox, and of what belongs to none.

use super::reply::{Answer, Refused, follow, value};
use super::{Api, view};
use crate::progress::{Progress, Told};
use crate::sandbox::Command;
use axum::extract::{Path, State};
use axum::response::Response;
use banger_proto::fault::Fault;
use banger_proto::owner::repair::Strays;
use banger_proto::owner::sandbox::Repaired;
use std::sync::{Arc, Mutex, PoisonError};

/// Brings a sandbox's record and the host together: adopts what lives, finishes a deletion that was
/// begun, removes what should be gone. Starts nothing and makes no disk.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/repair", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events, the last with a `Repaired`", content_type = "application/x-ndjson"),
              (status = 404, body = Fault)))]
pub(super) async fn sandbox(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let supervisor = &api.supervisor;
    let sandbox = supervisor.services.registry.find(&name)?;
    let services = Arc::clone(&supervisor.services);
    let operations = &supervisor.operations;
    let operation = operations.begin(Some(sandbox.id), move |op, progress| async move {
        tracing::info!(%op, sandbox = %sandbox.record().name, "repairing");
        let report = Arc::<Mutex<Vec<String>>>::default();
        let (notes, told) = (Arc::clone(&report), progress.clone());
        let progress = Progress::of(op, move |one| {
            if let Told::Note(note) = &one {
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.push(note.clone());
            }
            told.tell(one);
        });
        let record = sandbox
            .request(|reply| Command::Repair(progress, reply))
            .await?;
        let report = report.lock().unwrap_or_else(PoisonError::into_inner);
        value(&Repaired {
            sandbox: view::sandbox(&services, record, &sandbox.listeners),
            deleted: sandbox.view().gone,
            report: report.clone(),
        })
    });
    Ok(follow(operation, ()))
}

/// Removes directories of sandboxes that no record knows, unless they have a work disk or a VMM runs
/// there, and tells what else lies where sandboxes are.
#[utoipa::path(post, path = "/v1/repair", responses((status = 200, body = Strays)))]
pub(super) async fn strays(State(api): State<Api>) -> Answer<Strays> {
    Ok(axum::Json(api.supervisor.clear_strays().await?))
}
