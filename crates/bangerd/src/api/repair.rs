//! Repairs: of one sandbox, and of what belongs to none.

use super::Api;
use super::reply::{Answer, Op, Refused};
use super::sandboxes::operate;
use crate::operation::Asked;
use axum::extract::{Path, State};
use axum::response::Response;
use banger_proto::fault::Fault;
use banger_proto::owner::repair::Strays;

/// Brings a sandbox's record and the host together: adopts what lives, finishes a deletion that was
/// begun, removes what should be gone. Starts nothing and makes no disk.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/repair", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events, the last with a `Repaired`", content_type = "application/x-ndjson"),
              (status = 404, body = Fault)))]
pub(super) async fn sandbox(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Repair).await
}

/// Removes directories of sandboxes that no record knows, unless they have a work disk or a VMM runs
/// there, and tells what else lies where sandboxes are.
#[utoipa::path(post, path = "/v1/repair", responses((status = 200, body = Strays)))]
pub(super) async fn strays(State(api): State<Api>) -> Answer<Strays> {
    Ok(axum::Json(api.supervisor.clear_strays().await?))
}
