//! `/v1/sandboxes`.

use super::operations::{begin, known};
use super::reply::{Answer, Json, Op, Refused};
use super::{Api, view};
use crate::guest::stream::CallError;
use crate::operation::{Asked, Entry, OpId, RunMark, Subject};
use crate::record::Record;
use crate::sandbox::Sandbox as Inner;
use crate::sandbox::command::{Command, parse_signal, signal_name};
use crate::supervise::{Beginning, Made};
use axum::extract::{Path, State};
use axum::response::Response;
use banger_model::publish::{Protocol, Published};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::message::{self, Call, InitState};
use banger_proto::owner::sandbox::{
    CreateRequest, Health, KillRequest, Port, PublishRequest, RenameRequest, Sandbox, SetRequest,
    StartRequest, UnpublishRequest,
};
use std::time::Duration;

/// How long a guest may take to say how it is, once its link is there.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);
/// How long the agent may take to tell something about its guest.
const TELL_LIMIT: Duration = Duration::from_secs(30);
/// How long a sandbox that the daemon before has left may be waited for: it is looked at within milliseconds, but where
/// a process of its stands still.
const ADOPTION_LIMIT: Duration = Duration::from_secs(3);

/// All sandboxes.
#[utoipa::path(get, path = "/v1/sandboxes", responses((status = 200, body = Vec<Sandbox>)))]
pub(super) async fn list(State(api): State<Api>) -> axum::Json<Vec<Sandbox>> {
    let services = &api.supervisor.services;
    let all = services.registry.owned();
    let shown = all
        .iter()
        .map(|sandbox| view::sandbox(services, sandbox.record(), &sandbox.listeners));
    axum::Json(shown.collect())
}

fn shown(api: &Api, sandbox: &Inner, record: Record) -> Sandbox {
    view::sandbox(&api.supervisor.services, record, &sandbox.listeners)
}

/// One sandbox, by name, id or unique prefix of the id. Behind the start of a daemon it is looked at before it is shown.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}", params(("sandbox" = String, Path)),
    responses((status = 200, body = Sandbox), (status = 404, body = Fault)))]
pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer<Sandbox> {
    let services = &api.supervisor.services;
    let sandbox = services.registry.find(&name)?;
    // Until then its ports are not known to be open.
    let _as_recorded = tokio::time::timeout(ADOPTION_LIMIT, sandbox.settled()).await;
    Ok(axum::Json(shown(&api, &sandbox, sandbox.record())))
}

/// Creates a sandbox, and starts it when `start` is given. A stream of events; when nobody reads it any
/// more before its end, the creation is cancelled, and nothing is left of it.
#[utoipa::path(post, path = "/v1/sandboxes", request_body = CreateRequest,
    responses((status = 200, description = "events, the last with the sandbox", content_type = "application/x-ndjson"),
              (status = 400, body = Fault)))]
pub(super) async fn create(
    State(api): State<Api>,
    Op(op): Op,
    Json(request): Json<CreateRequest>,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    let mut spec = api.supervisor.spec(&request)?;
    let reserving = api.supervisor.reserve_for(&request, &mut spec, op);
    let reservation = reserving.await.map_err(|fault| fault.with_op(op))?;
    let (start, supervisor) = (request.start, api.supervisor.clone());
    let origin = Beginning::of(&request);
    let subject = Subject::sandbox(reservation.id, &reservation.name);
    let asked = Asked::Create {
        request: Box::new(request),
    };
    begin(
        &api,
        Entry::new(op, subject, asked),
        move |going| async move {
            let creating = supervisor.create(reservation, spec, origin, start, &going);
            let sandbox = creating.await?;
            let record = Box::new(sandbox.record());
            Ok(Made::Sandbox(sandbox, record))
        },
    )
    .await
}

/// Has a sandbox's driver do something, as an operation.
pub(super) async fn operate(
    api: &Api,
    op: OpId,
    name: &str,
    asked: impl FnOnce(&Record) -> Asked,
) -> Result<Response, Refused> {
    if let Some(known) = known(api, op).await? {
        return Ok(known);
    }
    let sandbox = api.supervisor.services.registry.find(name)?;
    let record = sandbox.record();
    let asked = asked(&record);
    let entry = Entry::new(op, Subject::sandbox(sandbox.id, record.name), asked.clone());
    let (place, supervisor) = (sandbox.queue().await, api.supervisor.clone());
    begin(api, entry, move |going| async move {
        supervisor
            .change(sandbox, asked, place, false, &going)
            .await
    })
    .await
}

/// Starts a sandbox.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/start", request_body = StartRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn start(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<StartRequest>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Start { wait: request.wait }).await
}

/// Shuts a guest down: its agent syncs and powers off; harder means if it does not follow.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/stop", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn stop(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Stop).await
}

/// Stops, then starts.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/restart", request_body = StartRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn restart(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<StartRequest>,
) -> Result<Response, Refused> {
    let restart = |record: &Record| Asked::Restart {
        wait: request.wait,
        before: record.run.as_ref().map(|run| RunMark::from(&run.process)),
    };
    operate(&api, op, &name, restart).await
}

/// Ends the VMM at once, or sends it another signal.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/kill", request_body = KillRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 400, body = Fault)))]
pub(super) async fn kill(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<KillRequest>,
) -> Result<Response, Refused> {
    let signal = request.signal.unwrap_or_else(|| "KILL".into());
    let signal = signal_name(parse_signal(&signal)?).to_owned();
    operate(&api, op, &name, |_| Asked::Kill { signal }).await
}

/// Changes what a sandbox is to be. What cannot change while its guest runs changes with the next
/// start, which a note says.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/set", request_body = SetRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn set(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<SetRequest>,
) -> Result<Response, Refused> {
    api.supervisor.judge_sizes(&request)?;
    operate(&api, op, &name, |_| Asked::Set { change: request }).await
}

/// Gives a sandbox another name. The guest's host name follows at once or with the next start, which a
/// note says.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/rename", request_body = RenameRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn rename(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(request): Json<RenameRequest>,
) -> Result<Response, Refused> {
    let to = request.name.ok_or_else(|| {
        Fault::new(FaultCode::BadRequest, "the new name is missing")
            .with_remedy(r#"send {"name": "NAME"}"#)
    })?;
    operate(&api, op, &name, |_| Asked::Rename { to }).await
}

/// Ends a sandbox and removes everything of it.
#[utoipa::path(delete, path = "/v1/sandboxes/{sandbox}", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Delete).await
}

/// Ends a sandbox and removes everything of it, if it does not run when it is its turn; else refused.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/prune", params(("sandbox" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 404, body = Fault)))]
pub(super) async fn prune(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    operate(&api, op, &name, |_| Asked::Prune).await
}

/// Publishes ports besides those that are: at once when the guest runs, else with its next start.
/// What is published already stays as it is.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/publish", request_body = PublishRequest, params(("sandbox" = String, Path)),
    responses((status = 200, body = Sandbox), (status = 400, body = Fault), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn publish(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(request): Json<PublishRequest>,
) -> Answer<Sandbox> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let record = sandbox
        .request(|reply| Command::Publish(request.publish, reply))
        .await?;
    Ok(axum::Json(shown(&api, &sandbox, record)))
}

/// Publishes ports no longer; their connections are reset.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/unpublish", request_body = UnpublishRequest, params(("sandbox" = String, Path)),
    responses((status = 200, body = Sandbox), (status = 400, body = Fault), (status = 404, body = Fault)))]
pub(super) async fn unpublish(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(request): Json<UnpublishRequest>,
) -> Answer<Sandbox> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let record = sandbox
        .request(|reply| Command::Unpublish(request.ports, reply))
        .await?;
    Ok(axum::Json(shown(&api, &sandbox, record)))
}

/// Asks a sandbox's agent.
pub(super) async fn ask(api: &Api, name: &str, call: &Call) -> Result<message::Answer, Fault> {
    let link = api.supervisor.services.registry.find(name)?.guest().await?;
    Ok(link.call(call, TELL_LIMIT).await?)
}

/// The agent answered something else.
pub(super) fn nonsense() -> Refused {
    Refused(CallError::Nonsense("an answer to another call").into())
}

/// Sockets that listen in the guest.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/ports", params(("sandbox" = String, Path)),
    responses((status = 200, body = Vec<Port>), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn ports(State(api): State<Api>, Path(name): Path<String>) -> Answer<Vec<Port>> {
    let message::Answer::Ports(ports) = ask(&api, &name, &Call::Ports).await? else {
        return Err(nonsense());
    };
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let publish = sandbox.record().spec.publish;
    let published = |port: &message::Port| {
        let protocol = if port.udp {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let of_it = publish.iter().filter(move |one| {
            (one.asked.protocol, one.asked.guest.get()) == (protocol, port.port)
        });
        let endpoints = of_it.filter_map(Published::endpoint);
        endpoints.map(|endpoint| endpoint.to_string()).collect()
    };
    let shown = ports.into_iter().take(message::MAX_LIST).map(|port| Port {
        published: published(&port),
        protocol: if port.udp { "udp".into() } else { "tcp".into() },
        address: port.address.to_string(),
        port: port.port,
        pid: port.process.as_ref().map(|(pid, _)| *pid),
        process: port.process.map(|(_, name)| name),
    });
    Ok(axum::Json(shown.collect()))
}

/// Asks how the guest is; it gets less time than for anything else, because not to answer is an answer.
async fn vitals(sandbox: &Inner) -> Result<message::Answer, Fault> {
    if let Some(stalled) = sandbox.view().stalled {
        let name = sandbox.record().name;
        return Err(
            Fault::new(FaultCode::Guest, format!("sandbox {name} is {stalled}"))
                .with_remedy("delete what is not needed, or free room otherwise"),
        );
    }
    let link = tokio::time::timeout(HEALTH_LIMIT, sandbox.guest()).await;
    let link = link.unwrap_or_else(|_| {
        let limit = HEALTH_LIMIT.as_secs();
        let words = format!("the guest's agent was not there within {limit} s");
        Err(Fault::new(FaultCode::TimedOut, words)
            .with_remedy("it may still start: see `banger vm show NAME`"))
    })?;
    Ok(link.call(&Call::Health, HEALTH_LIMIT).await?)
}

/// How the guest is. A fault within ten seconds where it cannot say.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/health", params(("sandbox" = String, Path)),
    responses((status = 200, body = Health), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn health(State(api): State<Api>, Path(name): Path<String>) -> Answer<Health> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let message::Answer::Health(health) = vitals(&sandbox).await? else {
        return Err(nonsense());
    };
    let init = match health.init {
        InitState::None => "none",
        InitState::Starting => "starting",
        InitState::Settled => "settled",
    };
    Ok(axum::Json(Health {
        init: init.into(),
        uptime_ms: health.uptime_ms,
        memory_available_kib: health.memory_available_kib,
        memory_total_kib: health.memory_total_kib,
        sessions: health.sessions,
        agent_version: sandbox.view().agent_version,
    }))
}
