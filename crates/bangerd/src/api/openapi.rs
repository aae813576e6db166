//! The OpenAPI document: generated from the handlers, committed at `docs/openapi.json`, compared by a
//! test, served at `/v1/openapi.json`.

use super::{
    artifacts, capacity, checkpoints, daemon, diff, doctor, events, exec, export, files, logs,
    operations, repair, sandboxes, snapshots, stats, templates, tries,
};
use banger_proto::fault::Fault;
use banger_proto::owner::exec::{Ended, Open, Opened, Size};
use banger_proto::owner::file::PutRequest;
use banger_proto::owner::operation::Event;
use banger_proto::owner::sandbox::Repaired;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "banger owner API",
        description = "HTTP and JSON on the daemon's Unix socket. Long operations answer with one \
                       `Event` per line; commands run over a WebSocket.",
        license(name = "Apache-2.0")
    ),
    paths(
        daemon::version,
        daemon::status,
        daemon::stop,
        doctor::doctor,
        doctor::fix,
        doctor::prove,
        doctor::baseline,
        daemon::defaults,
        capacity::capacity,
        events::events,
        operations::list,
        operations::follow,
        operations::cancel,
        sandboxes::list,
        sandboxes::show,
        sandboxes::create,
        sandboxes::start,
        sandboxes::stop,
        sandboxes::restart,
        sandboxes::kill,
        sandboxes::delete,
        repair::sandbox,
        repair::strays,
        sandboxes::ports,
        sandboxes::set,
        sandboxes::prune,
        sandboxes::rename,
        templates::list,
        templates::make,
        templates::remove,
        snapshots::list,
        snapshots::take,
        snapshots::remove,
        snapshots::suspend,
        snapshots::restore,
        diff::diff,
        tries::promote,
        tries::hold,
        checkpoints::history,
        checkpoints::make,
        checkpoints::undo,
        export::export,
        export::key,
        export::import,
        sandboxes::publish,
        sandboxes::unpublish,
        sandboxes::health,
        stats::one,
        stats::all,
        logs::logs,
        exec::exec,
        files::stat,
        files::list,
        files::directory,
        files::symlink,
        files::get,
        files::put,
        artifacts::images,
        artifacts::image,
        artifacts::import_image,
        artifacts::bootstrap_image,
        artifacts::delete_image,
        artifacts::kernels,
        artifacts::kernel,
        artifacts::import_kernel,
        artifacts::delete_kernel,
    ),
    components(schemas(Event, Fault, Open, Opened, Ended, Size, PutRequest, Repaired))
)]
struct Document;

/// The document, as text with a closing newline.
#[must_use]
pub fn text() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Serves the document.
pub(super) async fn document() -> axum::Json<utoipa::openapi::OpenApi> {
    axum::Json(Document::openapi())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_the_generated_one() {
        let committed = include_str!("../../../../docs/openapi.json");
        assert!(
            committed == super::text(),
            "docs/openapi.json is out of date: run `cargo run -p bangerd -- openapi > docs/openapi.json`"
        );
    }
}
