//! Every request as an entry: around all handlers, so that none can be forgotten.

use super::entry::{bounded, milliseconds};
use super::{Asker, Entry};
use crate::api::Api;
use crate::host;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use banger_proto::fault::FaultCode;
use banger_proto::owner::OP_HEADER;
use std::time::Instant;

/// What only a handler knows of a request; it hands it on as an extension of its response.
#[derive(Debug, Clone, Default)]
pub struct Audited {
    /// The fault that it answered with.
    pub fault: Option<FaultCode>,
    /// The operation's id.
    pub op: Option<String>,
    /// The sandbox's id.
    pub sandbox: Option<String>,
    /// The path of a file.
    pub path: Option<Vec<u8>>,
}

/// Who asks, as a connection's information.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Asker);

impl Connected<axum::serve::IncomingStream<'_, crate::serve::OwnersOnly>> for Peer {
    fn connect_info(stream: axum::serve::IncomingStream<'_, crate::serve::OwnersOnly>) -> Self {
        *stream.remote_addr()
    }
}

/// Answers a request and records it.
pub async fn record(State(api): State<Api>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let asker = request.extensions().get::<ConnectInfo<Peer>>();
    let asker = asker.map(|ConnectInfo(Peer(asker))| *asker);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(|route| route.as_str().to_owned());
    let target = target(route.as_deref(), request.uri().path());
    let response = next.run(request).await;
    if !is_worth_a_line(&method, route.as_deref(), response.status()) {
        return response;
    }
    let known = response.extensions().get::<Audited>().cloned();
    let known = known.unwrap_or_default();
    let op = response.headers().get(OP_HEADER);
    let op = op.and_then(|op| op.to_str().ok()).map(str::to_owned);
    let find = |target: &str| api.supervisor.services.registry.find(target).ok();
    let is_sandbox = route
        .as_deref()
        .is_some_and(|route| route.contains("{sandbox}"));
    let found = target.as_deref().filter(|_| is_sandbox).and_then(find);
    api.audit.put(Entry {
        asker,
        verb: Some(format!(
            "{method} {}",
            route.as_deref().unwrap_or("(no such path)")
        )),
        target,
        sandbox: known.sandbox.or_else(|| Some(found?.id.to_string())),
        path: known.path.map(|path| bounded(&path)),
        op: op.or(known.op),
        status: Some(response.status().as_u16()),
        fault: known.fault,
        took_ms: Some(milliseconds(begun.elapsed())),
        ..Entry::at(host::utc_now())
    });
    response
}

/// What is not recorded: looking at what the daemon itself knows. It changes nothing, reaches into no
/// guest, and comes several times with every command. A refusal is always recorded.
fn is_worth_a_line(method: &Method, route: Option<&str>, status: StatusCode) -> bool {
    let refused = status.is_client_error() || status.is_server_error();
    // Of a guest: its console, a command in it.
    let reaches_in = |route: &str| route.ends_with("/exec") || route.ends_with("/logs");
    // What `vm cp` asks about each file before it copies it.
    let only_looks = |route: &str| route.ends_with("/files/stat") || route.ends_with("/files/list");
    match (method, route) {
        _ if refused => true,
        (&Method::GET | &Method::HEAD, route) => route.is_some_and(reaches_in),
        (_, route) => !route.is_some_and(only_looks),
    }
}

/// What stands in the path where the route has a name: percent signs are left as they came. Without a
/// route the path as a whole.
fn target(route: Option<&str>, path: &str) -> Option<String> {
    let Some(route) = route else {
        return Some(bounded(path.as_bytes()));
    };
    let mut parts = route.split('/').zip(path.split('/'));
    let (_, named) = parts.find(|(part, _)| part.starts_with('{'))?;
    Some(bounded(named.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_is_not_recorded_and_everything_else_is() {
        let judged =
            |method: Method, route: &str| is_worth_a_line(&method, Some(route), StatusCode::OK);
        for route in [
            "/v1/version",
            "/v1/sandboxes",
            "/v1/sandboxes/{sandbox}",
            "/v1/doctor",
        ] {
            assert!(!judged(Method::GET, route), "{route}");
        }
        for route in [
            "/v1/sandboxes/{sandbox}/exec",
            "/v1/sandboxes/{sandbox}/logs",
        ] {
            assert!(judged(Method::GET, route), "{route}");
        }
        for (method, route) in [
            (Method::POST, "/v1/sandboxes"),
            (Method::DELETE, "/v1/sandboxes/{sandbox}"),
            (Method::PUT, "/v1/sandboxes/{sandbox}/files"),
            (Method::POST, "/v1/sandboxes/{sandbox}/files/get"),
            (Method::POST, "/v1/daemon/stop"),
            (Method::POST, "/v1/anything/new"),
        ] {
            assert!(judged(method, route), "{route}");
        }
    }

    #[test]
    fn a_refusal_is_recorded_whatever_was_asked() {
        for status in [
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::BAD_GATEWAY,
        ] {
            for route in [
                None,
                Some("/v1/sandboxes/{sandbox}"),
                Some("/v1/sandboxes/{sandbox}/files/stat"),
            ] {
                assert!(is_worth_a_line(&Method::GET, route, status));
            }
        }
    }

    #[test]
    fn the_target_is_what_the_path_names() {
        let of = |route, path| target(Some(route), path);
        assert_eq!(
            of("/v1/sandboxes/{sandbox}/exec", "/v1/sandboxes/web/exec").as_deref(),
            Some("web")
        );
        assert_eq!(of("/v1/sandboxes", "/v1/sandboxes"), None);
        assert_eq!(target(None, "/v9/x").as_deref(), Some("/v9/x"));
        let long = format!("/v1/{}", "x".repeat(100_000));
        assert!(target(None, &long).is_some_and(|target| target.len() < 300));
    }
}
