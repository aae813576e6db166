//! Published ports, as pieces of a driver's work: recorded first, then opened or closed.

use super::act::Work;
use super::works::Outcome;
use super::{Sandbox, View};
use crate::layout::SandboxPaths;
use crate::publish::{Endpoints, LinkSource, Listeners, Target};
use crate::services::Services;
use banger_model::admission::{Admission, Request, admit};
use banger_model::publish::{self, CannotAdd, PortSelector, Publication, Published};
use banger_model::{SandboxName, SandboxState, Spec};
use banger_proto::fault::{Fault, FaultCode};
use futures_util::future::FutureExt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// What the published ports of a sandbox lead to.
pub(super) fn target(
    view: watch::Receiver<View>,
    paths: &SandboxPaths,
    sandbox: Weak<Sandbox>,
) -> Target {
    let known = view.clone();
    Target {
        wake: Arc::new(move || {
            let sandbox = sandbox.upgrade();
            async move {
                match sandbox {
                    Some(sandbox) => sandbox.guest().await.map(drop),
                    None => Err(Fault::new(FaultCode::NotFound, "the sandbox is gone")),
                }
            }
            .boxed()
        }),
        link: link_source(view),
        known: Arc::new(move || {
            let record = known.borrow().record.clone();
            let run = record.run.filter(|_| record.state == SandboxState::Running);
            (record.name, run.map(|run| run.process))
        }),
        socket: paths.carrier_socket(),
    }
}

/// Where connections get the link from: it is waited for while the guest starts or the link is made
/// again.
fn link_source(view: watch::Receiver<View>) -> LinkSource {
    Arc::new(move || {
        let mut view = view.clone();
        async move {
            loop {
                {
                    let now = view.borrow_and_update();
                    let state = now.record.state;
                    match &now.link {
                        _ if matches!(admit(state, Request::Use), Admission::Refuse(_)) => {
                            return None;
                        }
                        Some(link) if link.lost().is_none() => return Some(Arc::clone(link)),
                        _ => {}
                    }
                }
                view.changed().await.ok()?;
            }
        }
        .boxed()
    })
}

/// Finds a port that somebody else has before anything is made: binds all, and gives them back.
///
/// # Errors
/// Whose the port is, or why it cannot be had.
pub(crate) fn ports_are_free(
    services: &Services,
    name: &SandboxName,
    spec: &Spec,
) -> Result<(), Fault> {
    let known = name.clone();
    let nobody = Target {
        wake: Arc::new(|| async { Ok(()) }.boxed()),
        link: Arc::new(|| async { None }.boxed()),
        known: Arc::new(move || (known.clone(), None)),
        socket: PathBuf::new(),
    };
    let endpoints: Arc<Endpoints> = Arc::clone(&services.endpoints);
    let trial = Listeners::new(name.clone(), endpoints, nobody);
    trial.bind(&spec.publish).map(drop)
}

/// The fault of publications that do not go together.
pub(crate) fn cannot_publish(error: &CannotAdd) -> Fault {
    match error {
        CannotAdd::Collision { .. } => Fault::new(FaultCode::Conflict, error)
            .with_remedy("choose another port; port 0 is any that is free"),
        CannotAdd::TooMany => Fault::new(FaultCode::BadRequest, error),
    }
}

/// Publishes ports besides those that are.
pub(super) async fn publish(mut work: Work, new: Vec<Publication>) -> Outcome {
    match try_publish(&mut work, &new).await {
        Ok(()) => Outcome::of(work, Ok(())),
        Err(fault) => Outcome::failed(work, fault),
    }
}

async fn try_publish(work: &mut Work, new: &[Publication]) -> Result<(), Fault> {
    let view = work.view.borrow().clone();
    let before = view.record.spec.publish.clone();
    let all = publish::add(&before, new).map_err(|error| cannot_publish(&error))?;
    if view.record.state != SandboxState::Running {
        return work.put(|record| record.spec.publish = all).await;
    }
    if view.link.as_ref().is_some_and(|link| !link.can_dial()) {
        return Err(too_old(&view.record.name));
    }
    let all = work.listeners.bind(&all)?;
    if let Err(fault) = work.put(|record| record.spec.publish = all).await {
        // What is not recorded must not be. That those before stay bound cannot fail.
        let _bound_before = work.listeners.bind(&before);
        return Err(fault);
    }
    work.listeners.serve().await;
    Ok(())
}

fn too_old(name: &SandboxName) -> Fault {
    Fault::new(
        FaultCode::Version,
        format!("the agent in the sandbox {name} is of an older banger and cannot publish ports"),
    )
    .with_remedy(format!(
        "get it the present one with `banger vm restart {name}`"
    ))
}

/// Publishes ports no longer; their connections are reset.
pub(super) async fn unpublish(mut work: Work, which: Vec<PortSelector>) -> Outcome {
    match try_unpublish(&mut work, &which).await {
        Ok(()) => Outcome::of(work, Ok(())),
        Err(fault) => Outcome::failed(work, fault),
    }
}

async fn try_unpublish(work: &mut Work, which: &[PortSelector]) -> Result<(), Fault> {
    let record = work.record();
    let mut rest = record.spec.publish;
    let selected =
        |selector: &PortSelector, all: &[Published]| all.iter().any(|one| selector.selects(one));
    if let Some(unknown) = which.iter().find(|selector| !selected(selector, &rest)) {
        let name = &record.name;
        let message = format!("the sandbox {name} does not publish {unknown}");
        return Err(
            Fault::new(FaultCode::NotFound, message).with_remedy(format!(
                "see what it publishes with `banger vm show {name}`"
            )),
        );
    }
    rest.retain(|one| !which.iter().any(|selector| selector.selects(one)));
    let kept = rest.clone();
    work.put(|record| record.spec.publish = rest).await?;
    if work.record().state == SandboxState::Running {
        work.listeners.bind(&kept)?;
        work.listeners.serve().await;
    }
    Ok(())
}

/// Opens the ports of a guest that a daemon before has started.
pub(super) async fn adopt(work: &Work) {
    work.listeners.adopt(&work.record().spec.publish).await;
}
