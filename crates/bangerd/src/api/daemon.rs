//! The daemon itself: version, status, stop, defaults.

use super::Api;
use super::reply::{Answer, Json, Refused};
use crate::host;
use axum::extract::State;
use banger_model::defaults::vm_defaults;
use banger_model::spec::Source;
use banger_proto::fault::Fault;
use banger_proto::owner::daemon::{Defaults, Status, StopRequest, Version};
use banger_proto::owner::sandbox::Sourced;

/// Which version and build answers.
#[utoipa::path(get, path = "/v1/version", responses((status = 200, body = Version)))]
pub(super) async fn version(State(api): State<Api>) -> axum::Json<Version> {
    axum::Json(Version::clone(&api.version))
}

/// How the daemon is.
#[utoipa::path(get, path = "/v1/daemon", responses((status = 200, body = Status)))]
pub(super) async fn status(State(api): State<Api>) -> axum::Json<Status> {
    let services = &api.supervisor.services;
    let all = services.registry.owned();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    axum::Json(Status {
        version: Version::clone(&api.version),
        pid: std::process::id(),
        uid: rustix::process::getuid().as_raw(),
        socket: services.layout.socket().display().to_string(),
        log: services.layout.daemon_log().display().to_string(),
        state_directory: services.layout.state.display().to_string(),
        started_at: api.started_at,
        running: count(
            all.iter()
                .filter(|s| s.record().state.may_have_vmm())
                .count(),
        ),
        pooled: count(services.registry.offered()),
        sandboxes: count(all.len()),
        operations: count(api.supervisor.operations.count()),
        sessions: all.iter().map(|sandbox| sandbox.sessions()).sum(),
        memory_kib: host::own_memory_kib(),
    })
}

/// Asks the daemon to leave. Guests go on; the next command starts a daemon that finds them.
#[utoipa::path(post, path = "/v1/daemon/stop", request_body = StopRequest,
    responses((status = 200), (status = 409, body = Fault)))]
pub(super) async fn stop(
    State(api): State<Api>,
    Json(request): Json<StopRequest>,
) -> Result<axum::Json<()>, Refused> {
    if request.if_idle {
        api.supervisor.is_idle()?;
    }
    api.leaving.cancel();
    Ok(axum::Json(()))
}

/// What a request that leaves it open gets.
#[utoipa::path(get, path = "/v1/defaults", responses((status = 200, body = Defaults)))]
pub(super) async fn defaults(State(api): State<Api>) -> Answer<Defaults> {
    let config = &api.supervisor.services.config;
    let vm = vm_defaults(config.vm_defaults, host::size());
    let named = |(name, configured): &(banger_model::ArtifactName, bool)| Sourced {
        value: name.to_string(),
        source: if *configured {
            Source::Config
        } else {
            Source::Builtin
        },
    };
    Ok(axum::Json(Defaults {
        image: named(&config.default_image),
        kernel: named(&config.default_kernel),
        vcpu: Sourced {
            value: vm.vcpu.value.get(),
            source: vm.vcpu.source,
        },
        memory_mib: Sourced {
            value: vm.memory.value.mib(),
            source: vm.memory.source,
        },
        disk_mib: Sourced {
            value: vm.work_disk.value.mib(),
            source: vm.work_disk.source,
        },
        system_disk_mib: Sourced {
            value: vm.system_disk.value.mib(),
            source: vm.system_disk.source,
        },
    }))
}
