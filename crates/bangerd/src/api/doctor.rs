//! `/v1/doctor` and `/v1/prove`.

use super::Api;
use super::reply::{Answer, Refused};
use crate::doctor::{self, Looker, proof};
use axum::extract::{Query, State};
use banger_proto::fault::Fault;
use banger_proto::owner::daemon::Check;
use banger_proto::owner::doctor::{Baseline, Fixed, Proof};
use serde::Deserialize;

/// Checks of everything that banger needs, and of what it left.
#[utoipa::path(get, path = "/v1/doctor", responses((status = 200, body = Vec<Check>)))]
pub(super) async fn doctor(State(api): State<Api>) -> axum::Json<Vec<Check>> {
    let services = &api.supervisor.services;
    axum::Json(doctor::examine(services, &Looker::daemon()).await)
}

/// Repairs what can be repaired without losing anything, and checks again.
#[utoipa::path(post, path = "/v1/doctor/fix", responses((status = 200, body = Fixed), (status = 500, body = Fault)))]
pub(super) async fn fix(State(api): State<Api>) -> Answer<Fixed> {
    let supervisor = api.supervisor.clone();
    // Begun repairs are finished, whoever has asked for them.
    let fixing = tokio::spawn(async move { doctor::fix(&supervisor).await }).await;
    let broken = |error: tokio::task::JoinError| {
        let code = banger_proto::fault::FaultCode::Failed;
        Refused(Fault::new(
            code,
            format!("an error in banger itself: {error}"),
        ))
    };
    Ok(axum::Json(fixing.map_err(broken)??))
}

/// What of a proof is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct ProofQuery {
    /// What is not banger's and new since the baseline, too.
    #[serde(default)]
    all: bool,
}

/// Compares what there is with the baseline and with what living machines have.
#[utoipa::path(get, path = "/v1/prove", params(ProofQuery),
    responses((status = 200, body = Proof), (status = 500, body = Fault)))]
pub(super) async fn prove(
    State(api): State<Api>,
    Query(query): Query<ProofQuery>,
) -> Answer<Proof> {
    let looker = Looker::daemon();
    let proof = proof::prove(&api.supervisor.services, &looker, query.all);
    Ok(axum::Json(proof.await?))
}

/// Records what there is, for later proofs.
#[utoipa::path(post, path = "/v1/prove/baseline", responses((status = 200, body = Baseline), (status = 500, body = Fault)))]
pub(super) async fn baseline(State(api): State<Api>) -> Answer<Baseline> {
    let looker = Looker::daemon();
    let baseline = proof::record(&api.supervisor.services, &looker);
    Ok(axum::Json(baseline.await?))
}
