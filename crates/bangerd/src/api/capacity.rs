//! `/v1/capacity`.

use super::Api;
use super::reply::Answer;
use axum::Json;
use axum::extract::{Query, State};
use banger_proto::fault::Fault;
use banger_proto::owner::capacity::{Capacity, CapacityQuery};

/// How many more machines the host has room for, and what binds: new ones of the default size or another, or
/// forks of one.
#[utoipa::path(get, path = "/v1/capacity", params(CapacityQuery),
    responses((status = 200, body = Capacity), (status = 400, body = Fault), (status = 404, body = Fault)))]
pub(super) async fn capacity(
    State(api): State<Api>,
    Query(query): Query<CapacityQuery>,
) -> Answer<Capacity> {
    Ok(Json(api.supervisor.capacity(&query).await?))
}
