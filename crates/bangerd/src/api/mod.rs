//! The owner API: HTTP on the daemon's socket. Requests become inner types at this door, and faults
//! become statuses; nothing here decides.

mod artifacts;
mod capacity;
mod checkpoints;
mod daemon;
mod diff;
mod doctor;
mod events;
mod exec;
mod export;
mod files;
mod logs;
pub mod openapi;
mod operations;
mod repair;
mod reply;
mod sandboxes;
mod sent;
mod snapshots;
mod stats;
mod templates;
mod tries;
mod unread;
mod view;

use crate::audit::{self, Audit};
pub use operations::go_on;

use crate::supervise::Supervisor;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::Version;
use banger_proto::owner::{BUILD_HEADER, PREFIX, VERSION_HEADER};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// The longest JSON body: arguments and environment as Linux allows them, in base64, and room.
const LONGEST_JSON: usize = 4 << 20;

/// What every handler gets.
#[derive(Debug, Clone)]
pub struct Api {
    /// The sandboxes.
    pub supervisor: Supervisor,
    /// What is recorded of requests.
    pub audit: Audit,
    /// This daemon's version and build.
    pub version: Arc<Version>,
    /// Cancelled when the daemon is to leave.
    pub leaving: CancellationToken,
    /// When it started, in seconds since 1970.
    pub started_at: u64,
    /// When the last request came, in milliseconds of the supervisor's clock.
    pub last_request: Arc<AtomicU64>,
}

impl Api {
    /// Notes that the daemon is used.
    pub fn touch(&self) {
        let now = u64::try_from(self.supervisor.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_request.store(now, Ordering::Relaxed);
    }

    /// How long no request has come.
    #[must_use]
    pub fn quiet_for(&self) -> std::time::Duration {
        let last = std::time::Duration::from_millis(self.last_request.load(Ordering::Relaxed));
        self.supervisor.clock.elapsed().saturating_sub(last)
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let routes = Router::new()
        .route("/version", get(daemon::version))
        .route("/openapi.json", get(openapi::document))
        .route("/daemon", get(daemon::status))
        .route("/daemon/stop", post(daemon::stop))
        .route("/doctor", get(doctor::doctor))
        .route("/doctor/fix", post(doctor::fix))
        .route("/prove", get(doctor::prove))
        .route("/prove/baseline", post(doctor::baseline))
        .route("/capacity", get(capacity::capacity))
        .route("/defaults", get(daemon::defaults))
        .route("/events", get(events::events))
        .route("/operations", get(operations::list))
        .route("/operations/{op}", get(operations::follow))
        .route("/operations/{op}/cancel", post(operations::cancel))
        .route("/sandboxes", get(sandboxes::list).post(sandboxes::create))
        .route(
            "/sandboxes/{sandbox}",
            get(sandboxes::show).delete(sandboxes::delete),
        )
        .route("/sandboxes/{sandbox}/start", post(sandboxes::start))
        .route("/sandboxes/{sandbox}/stop", post(sandboxes::stop))
        .route("/sandboxes/{sandbox}/restart", post(sandboxes::restart))
        .route("/sandboxes/{sandbox}/kill", post(sandboxes::kill))
        .route("/sandboxes/{sandbox}/repair", post(repair::sandbox))
        .route("/repair", post(repair::strays))
        .route("/sandboxes/{sandbox}/ports", get(sandboxes::ports))
        .route("/sandboxes/{sandbox}/set", post(sandboxes::set))
        .route("/sandboxes/{sandbox}/prune", post(sandboxes::prune))
        .route("/sandboxes/{sandbox}/rename", post(sandboxes::rename))
        .route(
            "/sandboxes/{sandbox}/snapshots",
            get(snapshots::list).post(snapshots::take),
        )
        .route(
            "/sandboxes/{sandbox}/snapshots/{tag}",
            delete(snapshots::remove),
        )
        .route("/sandboxes/{sandbox}/diff", post(diff::diff))
        .route(
            "/sandboxes/{sandbox}/checkpoints",
            get(checkpoints::history).post(checkpoints::make),
        )
        .route("/sandboxes/{sandbox}/undo", post(checkpoints::undo))
        .route("/sandboxes/{sandbox}/export", post(export::export))
        .route("/export-key", get(export::key))
        .route("/import", put(export::import))
        .route("/sandboxes/{sandbox}/suspend", post(snapshots::suspend))
        .route("/sandboxes/{sandbox}/restore", post(snapshots::restore))
        .route("/sandboxes/{sandbox}/promote", post(tries::promote))
        .route("/sandboxes/{sandbox}/hold", get(tries::hold))
        .route("/sandboxes/{sandbox}/publish", post(sandboxes::publish))
        .route("/sandboxes/{sandbox}/unpublish", post(sandboxes::unpublish))
        .route("/sandboxes/{sandbox}/health", get(sandboxes::health))
        .route("/sandboxes/{sandbox}/stats", get(stats::one))
        .route("/stats", get(stats::all))
        .route("/sandboxes/{sandbox}/logs", get(logs::logs))
        .route("/sandboxes/{sandbox}/exec", get(exec::exec))
        .route("/sandboxes/{sandbox}/files", put(files::put))
        .route("/sandboxes/{sandbox}/files/get", post(files::get))
        .route("/sandboxes/{sandbox}/files/stat", post(files::stat))
        .route("/sandboxes/{sandbox}/files/list", post(files::list))
        .route(
            "/sandboxes/{sandbox}/files/directory",
            post(files::directory),
        )
        .route("/sandboxes/{sandbox}/files/symlink", post(files::symlink))
        .route("/templates", get(templates::list).post(templates::make))
        .route("/templates/{key}", delete(templates::remove))
        .route("/images", get(artifacts::images))
        .route(
            "/images/{name}",
            get(artifacts::image)
                .put(artifacts::import_image)
                .delete(artifacts::delete_image),
        )
        .route("/images/{name}/bootstrap", post(artifacts::bootstrap_image))
        .route("/kernels", get(artifacts::kernels))
        .route(
            "/kernels/{name}",
            get(artifacts::kernel)
                .post(artifacts::import_kernel)
                .delete(artifacts::delete_kernel),
        );
    Router::new()
        .nest(PREFIX, routes)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(LONGEST_JSON))
        .layer(middleware::from_fn(unread::read))
        .layer(middleware::from_fn_with_state(api.clone(), audit::record))
        .layer(middleware::from_fn_with_state(api.clone(), stamp))
        .with_state(api)
}

/// Every response says who answers.
async fn stamp(State(api): State<Api>, request: Request, next: Next) -> Response {
    api.touch();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    for (name, value) in [
        (VERSION_HEADER, &api.version.version),
        (BUILD_HEADER, &api.version.build),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn unknown_path(request: Request) -> reply::Refused {
    let path = request.uri().path().to_owned();
    reply::Refused(
        Fault::new(
            FaultCode::NotFound,
            format!("there is no {path} in this version of the API"),
        )
        .with_remedy(format!("see {PREFIX}/openapi.json for what there is")),
    )
}

async fn unknown_method(request: Request) -> reply::Refused {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    reply::Refused(
        Fault::new(
            FaultCode::BadRequest,
            format!("{method} is not possible on {path}"),
        )
        .with_remedy(format!("see {PREFIX}/openapi.json for what there is")),
    )
}
