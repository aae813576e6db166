//! `/v1/sandboxes/{sandbox}/export` and `/v1/import`: a sandbox as one file.

use super::Api;
use super::operations::{begin, known};
use super::reply::{Answer, Json, Op, Refused};
use super::sent::Sent;
use crate::export::key::is_one as is_key;
use crate::operation::{Asked, Entry, Subject};
use crate::progress::Progress;
use crate::supervise::Made;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use banger_model::SandboxName;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::export::{ExportKey, ExportRequest};
use futures_util::stream;
use serde::Deserialize;
use std::io::{self, BufWriter, Write};
use tokio::sync::mpsc;

/// Bytes that are sent at a time.
const PART: usize = 256 << 10;
/// How many of them may wait for the client.
const PARTS: usize = 4;

/// A sandbox as one file: its disks and its image, packed and signed, and its memory where that is wished. Of one
/// that runs, a moment is kept first, as for a snapshot; it goes with the answer.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/export", request_body = ExportRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "the file", content_type = "application/octet-stream"), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn export(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<ExportRequest>,
) -> Result<Response, Refused> {
    let supervisor = &api.supervisor;
    let sandbox = supervisor.services.registry.find(&name)?;
    let session = sandbox.attach(supervisor.clock);
    let progress = Progress::of(op, |_| {});
    let exporting = supervisor.begin_export(&sandbox, request, &progress);
    let exporting = exporting.await?;
    let (sender, receiver) = mpsc::channel(PARTS);
    tokio::task::spawn_blocking(move || {
        let _session = session;
        let mut parts = BufWriter::with_capacity(PART, Parts(sender.clone()));
        // So it ends when its client has left, too.
        if let Err(fault) = exporting.write(&mut parts, &progress) {
            tracing::warn!("an export was broken off: {fault}");
            let _gone = sender.blocking_send(Err(io::Error::other(fault.message)));
        }
    });
    let parts = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Where the bytes of an answer go.
struct Parts(mpsc::Sender<io::Result<Bytes>>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The key with which this daemon signs exports.
#[utoipa::path(get, path = "/v1/export-key", responses((status = 200, body = ExportKey)))]
pub(super) async fn key(State(api): State<Api>) -> Answer<ExportKey> {
    let key = api.supervisor.export_key().await?;
    Ok(axum::Json(ExportKey { key }))
}

/// How a file is imported.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct ImportQuery {
    /// What the sandbox is to be called; invented where absent.
    name: Option<String>,
    /// A public key that is trusted for this file: 64 hexadecimal digits.
    trust: Option<String>,
}

/// Makes a sandbox of a file that was exported, which is the body. It is another one: what makes a guest itself is
/// renewed with its first start.
#[utoipa::path(put, path = "/v1/import", params(ImportQuery),
    responses((status = 200, description = "events, the last with the sandbox", content_type = "application/x-ndjson"), (status = 400, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn import(
    State(api): State<Api>,
    Op(op): Op,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    let name: Option<SandboxName> = match query.name.as_deref().map(str::parse).transpose() {
        Ok(name) => name,
        Err(error) => return Err(Fault::new(FaultCode::BadRequest, error).into()),
    };
    if let Some(key) = query.trust.as_ref().filter(|key| !is_key(key)) {
        let message = format!("{key:?} is no public key: it has 64 hexadecimal digits");
        return Err(Fault::new(FaultCode::BadRequest, message)
            .with_remedy("give what `banger vm export --key` prints where it was exported")
            .into());
    }
    let supervisor = api.supervisor.clone();
    let reservation = supervisor.hold_import(name.as_ref())?;
    let sent = Sent::begin(body).await;
    let subject = Subject::sandbox(reservation.id, &reservation.name);
    let entry = Entry::new(op, subject, Asked::Import);
    begin(&api, entry, move |going| async move {
        let (reading, progress) = (supervisor.clone(), going.progress.clone());
        let reading = sent.read(&going, move |file| {
            reading.read_import(file, query.trust, &progress)
        });
        let imported = reading.await?;
        let sandbox = supervisor.import(reservation, imported, &going).await?;
        let record = Box::new(sandbox.record());
        Ok(Made::Sandbox(sandbox, record))
    })
    .await
}
