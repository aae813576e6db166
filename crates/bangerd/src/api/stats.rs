//! `/v1/stats`.

use super::Api;
use super::reply::Answer;
use crate::stats;
use axum::Json;
use axum::extract::{Path, State};
use banger_proto::fault::Fault;
use banger_proto::owner::stats::Stats;
use futures_util::future::join_all;

/// What one sandbox takes, running or not. Counters and the time at which they were read: a rate is the
/// difference of two answers.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/stats", params(("sandbox" = String, Path)),
    responses((status = 200, body = Stats), (status = 404, body = Fault)))]
pub(super) async fn one(State(api): State<Api>, Path(name): Path<String>) -> Answer<Stats> {
    let services = &api.supervisor.services;
    let sandbox = services.registry.find(&name)?;
    Ok(Json(stats::of(services, &sandbox).await))
}

/// What each sandbox takes that has a VMM. A guest that does not answer within a second is shown with the
/// host's figures alone.
#[utoipa::path(get, path = "/v1/stats", responses((status = 200, body = Vec<Stats>)))]
pub(super) async fn all(State(api): State<Api>) -> Json<Vec<Stats>> {
    let services = &api.supervisor.services;
    let mut all = services.registry.owned();
    all.retain(|sandbox| sandbox.record().state.may_have_vmm());
    let counted = all.iter().map(|sandbox| stats::of(services, sandbox));
    Json(join_all(counted).await)
}
