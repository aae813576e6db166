//! `/v1/operations`: what goes on, following it, and cancelling it; and how others begin one.

use super::artifacts::{show_image, show_kernel};
use super::reply::{Answer, Refused, ended, follow as follow_events, value};
use super::{Api, view};
use crate::operation::journal::Past;
use crate::operation::{self, Entry, Going, OpId};
use crate::supervise::Made;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::{Event, Operation, Outcome};
use banger_proto::owner::sandbox::Repaired;
use serde::Deserialize;
use serde_json::Value;

/// What an operation made, as its plain request would show it.
fn show(api: &Api, made: Made) -> Result<Value, Fault> {
    match made {
        Made::Sandbox(sandbox, record) => {
            let services = &api.supervisor.services;
            value(&view::sandbox(services, *record, &sandbox.listeners))
        }
        Made::Repaired(sandbox, record, report) => value(&Repaired {
            sandbox: view::sandbox(&api.supervisor.services, *record, &sandbox.listeners),
            deleted: sandbox.view().gone,
            report,
        }),
        Made::Image(image) => value(&show_image(api, *image)),
        Made::Kernel(kernel) => value(&show_kernel(api, *kernel)),
        Made::Nothing => Ok(Value::Null),
    }
}

/// Goes on with what the daemon before did not end.
///
/// # Errors
/// When the journal cannot be read.
pub async fn go_on(api: &Api) -> Result<(), Fault> {
    let this = api.clone();
    api.supervisor.go_on(move |made| show(&this, made)).await
}

/// Begins an operation and follows it; answers when it is recorded.
pub(super) async fn begin<F, W>(api: &Api, entry: Entry, work: W) -> Result<Response, Refused>
where
    W: FnOnce(Going) -> F + Send + 'static,
    F: Future<Output = Result<Made, Fault>> + Send + 'static,
{
    let op = entry.op;
    let (this, operations) = (api.clone(), &api.supervisor.operations);
    let begun = operations.begin(entry, move |going| async move {
        let made = work(going).await?;
        show(&this, made)
    });
    // The same request, sent again: it is followed.
    let operation = begun.unwrap_or_else(|same| same);
    let follower = operations.follow(&operation);
    let recorded = operation.recorded().await;
    recorded.map_err(|fault| fault.with_op(op))?;
    Ok(follow_events(operation, follower, api.leaving.clone()))
}

/// The events of an operation that was begun already, when this is its request sent again.
pub(super) async fn known(api: &Api, op: OpId) -> Result<Option<Response>, Fault> {
    let operations = &api.supervisor.operations;
    if let Some(operation) = operations.get(op) {
        let follower = operations.follow(&operation);
        return Ok(Some(follow_events(
            operation,
            follower,
            api.leaving.clone(),
        )));
    }
    Ok(past(api, op).await?.map(ended))
}

async fn past(api: &Api, op: OpId) -> Result<Option<Past>, Fault> {
    match api.supervisor.operations.journal() {
        Some(journal) => Ok(journal.ended_operation(op).await?),
        None => Ok(None),
    }
}

fn unknown(op: &str) -> Refused {
    let message = format!("there is no operation {op}: the newest few hundred are kept");
    Fault::new(FaultCode::NotFound, message)
        .with_remedy("see `banger operations --all`")
        .into()
}

fn shown(operation: &operation::Operation) -> Operation {
    let entry = &operation.entry;
    Operation {
        id: entry.op.to_string(),
        kind: entry.asked.kind().to_owned(),
        sandbox: entry.subject.sandbox.map(|id| id.to_string()),
        name: entry.subject.name.clone(),
        begun_at: entry.begun_at,
        stage: operation.stage(),
        ended_at: None,
        outcome: None,
        fault: None,
    }
}

fn shown_past(past: Past) -> Operation {
    Operation {
        id: past.op,
        kind: past.kind,
        sandbox: past.sandbox,
        name: past.name,
        begun_at: past.begun_at,
        stage: None,
        ended_at: Some(past.ended_at),
        outcome: Some(Outcome::of(&past.last)),
        fault: match past.last {
            Event::Failed { fault } => Some(fault),
            _ => None,
        },
    }
}

/// Which operations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Which {
    /// Also those that have ended: the newest few hundred.
    #[serde(default)]
    all: bool,
}

/// The operations that go on, the oldest first; before them those that have ended, if they are wanted.
#[utoipa::path(get, path = "/v1/operations", params(Which), responses((status = 200, body = Vec<Operation>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Answer<Vec<Operation>> {
    let operations = &api.supervisor.operations;
    let mut all = Vec::new();
    if which.all
        && let Some(journal) = operations.journal()
    {
        let past = journal.ended_operations().await.map_err(Fault::from)?;
        all.extend(past.into_iter().rev().map(shown_past));
    }
    let going_on = operations.all();
    // One that ended between the two looks is told once.
    let is_new = |one: &Operation| !all.iter().any(|past: &Operation| past.id == one.id);
    let going_on: Vec<_> = going_on
        .iter()
        .map(|one| shown(one))
        .filter(is_new)
        .collect();
    all.extend(going_on);
    Ok(axum::Json(all))
}

/// The events of an operation from the beginning, as its own request gives them; of one that has ended,
/// the first and the last. Those that an earlier daemon told are not known any more.
#[utoipa::path(get, path = "/v1/operations/{op}", params(("op" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn follow(
    State(api): State<Api>,
    Path(op): Path<String>,
) -> Result<Response, Refused> {
    let id = op.parse().map_err(|_| unknown(&op))?;
    known(&api, id).await?.ok_or_else(|| unknown(&op))
}

/// Asks an operation to end. It is over when its events are: as cancelled, or otherwise when that came
/// too late. What the request's sandbox, image or kernel is then, see docs/cli.md.
#[utoipa::path(post, path = "/v1/operations/{op}/cancel", params(("op" = String, Path)),
    responses((status = 200, body = Operation), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn cancel(State(api): State<Api>, Path(op): Path<String>) -> Answer<Operation> {
    let id: OpId = op.parse().map_err(|_| unknown(&op))?;
    if let Some(operation) = api.supervisor.operations.get(id) {
        api.supervisor.cancel(&operation).await?;
        return Ok(axum::Json(shown(&operation)));
    }
    match past(&api, id).await? {
        None => Err(unknown(&op)),
        Some(past) => {
            let outcome = Outcome::of(&past.last).word();
            let message = format!("{op} has ended already: {outcome}");
            Err(Fault::new(FaultCode::Conflict, message).into())
        }
    }
}
