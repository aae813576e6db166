//! `/v1/sandboxes/{sandbox}/logs`: what the guest's console printed, or the VMM.

use super::Api;
use super::reply::Refused;
use crate::layout::SandboxPaths;
use crate::sandbox::Sandbox;
use crate::vmm::console::Console;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::{FROM_HEADER, SANDBOXES_HEADER};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(200);

/// The most that is read at once, in bytes.
const CHUNK: u64 = 65_536;

/// What of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct LogQuery {
    /// Go on as it grows, until the sandbox stops.
    #[serde(default)]
    follow: bool,
    /// `console` (what the guest printed) or `vmm`.
    source: Option<String>,
    /// From this place on, in bytes since the log's beginning, what was cut off included.
    #[serde(default)]
    from: u64,
}

/// The log from its beginning, as far as it is kept, or from a place on. The header `banger-from` says at
/// which place the answer begins, `banger-sandboxes` has the sandbox's id. It breaks off when the daemon leaves:
/// the next one, asked by that id, goes on from there.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/logs", params(("sandbox" = String, Path), LogQuery),
    responses((status = 200, description = "the bytes", content_type = "application/octet-stream"), (status = 404, body = Fault)))]
pub(super) async fn logs(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refused> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let paths = SandboxPaths::of(&api.supervisor.services.layout, sandbox.id);
    let log = match query.source.as_deref().unwrap_or("console") {
        "console" => Log::Console(Arc::clone(&sandbox.console)),
        "vmm" => Log::Vmm(paths.vmm_log()),
        other => {
            return Err(Refused(Fault::new(
                FaultCode::BadRequest,
                format!("{other:?} is no log: give console or vmm"),
            )));
        }
    };
    let id = sandbox.id.to_string();
    let mut reader = Reader {
        log,
        at: query.from,
        follow: query.follow,
        sandbox,
        leaving: api.leaving.clone(),
    };
    let failed = |error: std::io::Error| Fault::from_error(FaultCode::Failed, &error);
    let first = reader.read().await.map_err(failed)?;
    let from = reader.at - first.len() as u64;
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    let rest = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((bytes, reader))
    });
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    let headers = response.headers_mut();
    headers.insert(FROM_HEADER, from.into());
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(SANDBOXES_HEADER, id);
    }
    Ok(response)
}

#[derive(Clone)]
enum Log {
    Console(Arc<Console>),
    Vmm(PathBuf),
}

impl Log {
    /// Bytes from a place on, and the place that they are at.
    fn read(&self, place: u64) -> std::io::Result<(u64, Vec<u8>)> {
        match self {
            Self::Console(console) => console.read(place, CHUNK),
            Self::Vmm(path) => read(path, place),
        }
    }
}

/// As [`Console::read`], of a log that is cut only while nothing runs: then it begins anew.
fn read(path: &std::path::Path, place: u64) -> std::io::Result<(u64, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut log = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((place, bytes)),
        opened => opened?,
    };
    let length = log.metadata()?.len();
    let place = if length < place { 0 } else { place };
    log.seek(SeekFrom::Start(place))?;
    log.take(CHUNK).read_to_end(&mut bytes)?;
    Ok((place, bytes))
}

struct Reader {
    log: Log,
    at: u64,
    follow: bool,
    sandbox: Arc<Sandbox>,
    leaving: tokio_util::sync::CancellationToken,
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        loop {
            // One that is deleted stays *deleting*.
            let ended = self.sandbox.view().gone || !self.sandbox.record().state.may_have_vmm();
            let over = !self.follow || ended;
            match self.read().await {
                Ok(bytes) if !bytes.is_empty() => return Some(Ok(bytes)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            if over {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.leaving.cancelled() => {
                    return Some(Err(std::io::Error::other("the daemon leaves")));
                }
            }
        }
    }

    async fn read(&mut self) -> std::io::Result<Bytes> {
        let (log, at) = (self.log.clone(), self.at);
        let reading = tokio::task::spawn_blocking(move || log.read(at));
        let (at, bytes) = reading.await.map_err(std::io::Error::other)??;
        self.at = at + bytes.len() as u64;
        Ok(bytes.into())
    }
}
