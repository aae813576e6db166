//! `/v1/events`: what happened to sandboxes, of before and as it happens.

use super::Api;
use super::reply::Refused;
use crate::registry::Registry;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use banger_model::SandboxId;
use banger_proto::fault::Fault;
use banger_proto::owner::event::{Event, SINCE_HEADER};
use banger_proto::owner::{NDJSON, SANDBOXES_HEADER};
use futures_util::stream;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::watch;

/// How often a follower that hears nothing counts as a use of the daemon.
const TOUCH_EVERY: Duration = Duration::from_secs(1);
/// The least of an id that means a sandbox which is no more.
const SHORTEST_ID: usize = 6;

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct EventQuery {
    /// Go on as things happen.
    #[serde(default)]
    follow: bool,
    /// Only events beyond this number. Without it all that are kept; with `follow` only those to come.
    since: Option<u64>,
    /// Only of these sandboxes: names or ids, parted by commas.
    sandbox: Option<String>,
}

/// What happened to sandboxes: one `Event` a line, oldest first. The header `banger-since` has the number
/// that the stream begins after, `banger-sandboxes` the ids of those that were asked for and are there.
#[utoipa::path(get, path = "/v1/events", params(EventQuery),
    responses((status = 200, body = Event, description = "events", content_type = "application/x-ndjson")))]
pub(super) async fn events(
    State(api): State<Api>,
    Query(query): Query<EventQuery>,
) -> Result<Response, Refused> {
    let newest = api.supervisor.services.feed.newest();
    let last = *newest.borrow();
    let since = match query.since {
        // Numbers were begun anew: nothing that there is was seen.
        Some(since) if since > last => 0,
        Some(since) => since,
        None if query.follow => last,
        None => 0,
    };
    let wanted = Wanted::of(query.sandbox.as_deref(), &api.supervisor.services.registry);
    let ids = wanted.ids();
    let follower = Follower {
        wanted,
        newest,
        at: since,
        follow: query.follow,
        api,
    };
    let lines = stream::unfold(follower, |mut follower| async move {
        let lines = follower.next().await?;
        Some((lines, follower))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(SINCE_HEADER, since.into());
    if let Ok(ids) = HeaderValue::from_str(&ids) {
        headers.insert(SANDBOXES_HEADER, ids);
    }
    Ok(response)
}

struct Follower {
    api: Api,
    wanted: Wanted,
    newest: watch::Receiver<u64>,
    /// The last that it has seen.
    at: u64,
    follow: bool,
}

impl Follower {
    /// The next lines; `None` after the last, and when the daemon leaves: whoever follows asks the next one
    /// on. One that reads slowly is served what is kept: for it nothing waits.
    async fn next(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        loop {
            // Before looking: what comes meanwhile is seen by the next look.
            self.newest.borrow_and_update();
            let events = match self.api.supervisor.services.feed.after(self.at).await {
                Ok(events) => events,
                Err(fault) => return Some(Err(fault)),
            };
            self.at = events.last().map_or(self.at, |event| event.seq);
            let mut lines = Vec::new();
            for event in events.iter().filter(|event| self.wanted.is(event)) {
                lines.append(&mut serde_json::to_vec(event).unwrap_or_default());
                lines.push(b'\n');
            }
            if !lines.is_empty() {
                return Some(Ok(lines));
            }
            if !self.follow || self.api.leaving.is_cancelled() {
                return None;
            }
            tokio::select! {
                _ = self.newest.changed() => {}
                () = tokio::time::sleep(TOUCH_EVERY) => self.api.touch(),
                () = self.api.leaving.cancelled() => {}
            }
        }
    }
}

/// Which sandboxes' events are wanted; none means all.
struct Wanted(Vec<(String, Option<SandboxId>)>);

impl Wanted {
    fn of(references: Option<&str>, registry: &Registry) -> Self {
        let references = references.unwrap_or_default().split(',');
        let references = references.filter(|reference| !reference.is_empty());
        let found = |reference: &str| registry.find(reference).ok().map(|found| found.id);
        Self(
            references
                .map(|reference| (reference.to_owned(), found(reference)))
                .collect(),
        )
    }

    /// The ids of those that there are.
    fn ids(&self) -> String {
        let ids = self.0.iter().filter_map(|(_, id)| *id);
        let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        ids.join(",")
    }

    fn is(&self, event: &Event) -> bool {
        let is_it = |(reference, id): &(String, Option<SandboxId>)| {
            event.name == *reference
                || id.is_some_and(|id| event.sandbox == id.to_string())
                || (reference.len() >= SHORTEST_ID && event.sandbox.starts_with(reference))
        };
        self.0.is_empty() || self.0.iter().any(is_it)
    }
}
