//! `/v1/sandboxes/{sandbox}/logs`: what the guest's console printed, or the VMM.

use super::Api;
use super::reply::Refused;
use crate::layout::SandboxPaths;
use crate::sandbox::Sandbox;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use futures_util::stream;
use serde::Deserialize;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(200);

/// What of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct LogQuery {
    /// Go on as it grows, until the sandbox stops.
    #[serde(default)]
    follow: bool,
    /// `console` (what the guest printed) or `vmm`.
    source: Option<String>,
}

/// The log from its beginning.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/logs", params(("sandbox" = String, Path), LogQuery),
    responses((status = 200, description = "the bytes", content_type = "application/octet-stream"), (status = 404, body = Fault)))]
pub(super) async fn logs(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refused> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let paths = SandboxPaths::of(&api.supervisor.services.layout, sandbox.id);
    let path = match query.source.as_deref().unwrap_or("console") {
        "console" => paths.console_log(),
        "vmm" => paths.vmm_log(),
        other => {
            return Err(Refused(Fault::new(
                FaultCode::BadRequest,
                format!("{other:?} is no log: give console or vmm"),
            )));
        }
    };
    let reader = Reader {
        path,
        at: 0,
        follow: query.follow,
        sandbox,
        leaving: api.leaving.clone(),
    };
    let bytes = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((bytes, reader))
    });
    Ok(Response::new(Body::from_stream(bytes)))
}

struct Reader {
    path: PathBuf,
    at: u64,
    follow: bool,
    sandbox: Arc<Sandbox>,
    leaving: tokio_util::sync::CancellationToken,
}

impl Reader {
    /// The next bytes; `None` at the end. A log that was cut to its newest part is read on from
    /// there.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        loop {
            let over = !self.follow || !self.sandbox.record().state.may_have_vmm();
            match self.read().await {
                Ok(bytes) if !bytes.is_empty() => return Some(Ok(bytes)),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Some(Err(error)),
            }
            if over || self.leaving.is_cancelled() {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn read(&mut self) -> std::io::Result<Bytes> {
        let mut file = tokio::fs::File::open(&self.path).await?;
        let length = file.metadata().await?.len();
        if length < self.at {
            self.at = 0;
        }
        file.seek(SeekFrom::Start(self.at)).await?;
        let mut bytes = Vec::new();
        file.take(65_536).read_to_end(&mut bytes).await?;
        self.at += bytes.len() as u64;
        Ok(bytes.into())
    }
}
