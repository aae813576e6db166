//! Another name: recorded first, then for everybody who knows the one before.

use super::act::{Failure, Work};
use super::identity;
use super::works::Outcome;
use crate::registry::NewName;
use banger_model::{SandboxName, SandboxState};
use banger_proto::fault::Fault;
use std::time::Duration;

/// How long a guest may take to call itself by another name. It renames nothing but itself: a second is
/// long under emulation.
const GUEST_LIMIT: Duration = Duration::from_secs(10);

/// Gives the sandbox a name that was reserved for it.
pub(super) async fn rename(work: Work, new: NewName) -> Outcome {
    let result = try_rename(&work, new).await;
    Outcome::of(work, result.map_err(Failure::from))
}

async fn try_rename(work: &Work, new: NewName) -> Result<(), Fault> {
    let name = new.name.clone();
    if work.record().name == name {
        work.progress.note(format!("it is called {name} already"));
        return Ok(());
    }
    work.put(|record| record.name = name.clone()).await?;
    new.take();
    work.listeners.rename(&name);
    let (id, op) = (work.record().id, work.progress.op());
    work.services.host_network.rename(id, &name, op);
    if work.record().state == SandboxState::Running {
        tell_guest(work, &name).await;
    }
    Ok(())
}

/// The name is the sandbox's whatever its guest says: what it calls itself follows with the next start.
async fn tell_guest(work: &Work, name: &SandboxName) {
    let link = work.view.borrow().link.clone();
    let why = match link.filter(|link| link.lost().is_none()) {
        None => "its agent does not answer now".to_owned(),
        Some(link) => {
            match tokio::time::timeout(GUEST_LIMIT, identity::configure(work, &link)).await {
                Ok(Ok(_)) => {
                    work.progress
                        .note(format!("the guest's host name is {name} from now on"));
                    return;
                }
                Ok(Err(fault)) => fault.message,
                Err(_late) => format!("no answer within {} s", GUEST_LIMIT.as_secs()),
            }
        }
    };
    work.progress.note(format!(
        "the guest's host name changes with the next start: {why}"
    ));
}
