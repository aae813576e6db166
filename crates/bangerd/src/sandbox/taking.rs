//! Making somebody's what waits in the pool.
//!
//! ```text
//!  ports bound ── recorded: name, spec, nobody's no more ── name, rules and ports for everybody ── host name
//! ```
//!
//! The guest has an identity of its own since it went on from its template. What it was called there is the only part of it
//! that may have to change, and it is told so only then.

use super::View;
use super::act::{Failure, Work};
use super::identity;
use super::works::Outcome;
use crate::fault_points::Side;
use crate::guest::Link;
use crate::host;
use crate::host_network::Wish;
use crate::record::{Record, Times};
use crate::registry::NewName;
use banger_model::{SandboxState, Spec};
use banger_proto::fault::{Fault, FaultCode};
use std::sync::Arc;
use std::time::Duration;

/// How long the agent of a guest that runs may take to be met again: a millisecond, a second under load.
const MEETING: Duration = Duration::from_secs(20);

/// What one that waits in the pool is to be.
#[derive(Debug)]
pub struct Taking {
    /// The name that was reserved for it; its own one where absent.
    pub name: Option<NewName>,
    /// What was asked for. What cannot change while a guest runs is the same already.
    pub spec: Spec,
}

/// See the module. What fails leaves it to be deleted by whoever asked: it is nobody else's any more.
pub(super) async fn take(mut work: Work, taking: Taking) -> Outcome {
    let result = try_take(&mut work, taking).await;
    Outcome::of(work, result.map_err(Failure::from))
}

async fn try_take(work: &mut Work, Taking { name, spec }: Taking) -> Result<(), Fault> {
    work.progress.stage("taking it from the pool");
    let (before, link) = (work.record(), link(work).await?);
    let publish = work.listeners.bind(&spec.publish)?;
    work.pass("take", Side::Before).await?;
    work.put(|record| {
        if let Some(new) = &name {
            record.name = new.name.clone();
        }
        record.created_at = host::now().seconds;
        record.spec = Spec {
            pooled: None,
            publish,
            ..spec
        };
    })
    .await?;
    work.pass("take", Side::After).await?;
    let is_renamed = name.is_some();
    if let Some(new) = name {
        work.listeners.rename(&new.name);
        new.take();
    }
    let record = work.record();
    if let Some(place) = record.network {
        let wish = Wish::of(record.id, &record.name, &record.spec, place.host_part);
        let op = work.progress.op();
        let changing = work.services.host_network.change(record.id, wish, op);
        changing.await?;
    }
    if is_renamed {
        identity::configure(work, &link).await?;
    }
    work.listeners.serve().await;
    note_times(work, &before);
    Ok(())
}

/// The link to a guest that runs and waits; a daemon that has just begun has not met its agent yet.
async fn link(work: &Work) -> Result<Arc<Link>, Fault> {
    let mut view = work.view.watch();
    let found = view.wait_for(|view| !is_sought(view));
    let met = match tokio::time::timeout(MEETING, found).await {
        Ok(Ok(view)) if waits(&view) => view.link.clone(),
        _ => None,
    };
    met.ok_or_else(|| {
        let message = format!("{} waits in the pool no more", work.record().name);
        Fault::new(FaultCode::Unavailable, message).with_remedy("try again")
    })
}

fn waits(view: &View) -> bool {
    view.record.spec.pooled.is_some() && view.record.state == SandboxState::Running
}

/// Whether it may be had once its agent answers.
fn is_sought(view: &View) -> bool {
    let linked = view.link.as_ref().is_some_and(|link| link.lost().is_none());
    waits(view) && !linked && view.trouble.is_none()
}

/// For whoever gets it the start took what this took: its VMM and guest were there.
fn note_times(work: &Work, before: &Record) {
    let took = work.begun.elapsed();
    let init_settled = before.run.as_ref().and_then(|run| run.times.init_settled);
    work.learn(|run| {
        run.times = Times {
            vmm_up: Duration::ZERO,
            guest_running: Duration::ZERO,
            agent_answered: took,
            init_settled: init_settled.map(|_| took),
        };
    });
}
