//! What the daemon before did not end is gone on with, under the same id.

use super::{Made, Supervisor};
use crate::operation::{self, Asked, Entry, Fate, Going, Operation};
use crate::sandbox::Sandbox;
use banger_model::{SandboxName, SandboxState};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long the client of a creation may take to come back after the daemon was lost.
const CREATION_GRACE: Duration = Duration::from_secs(15);

/// How the daemon before left an operation.
struct Left {
    /// The host has not been restarted since.
    same_boot: bool,
    /// Somebody was told that it is cancelled.
    cancelled: bool,
}

impl Supervisor {
    /// Goes on with every operation that the journal has and nobody ended, in the order in which they
    /// began. To be called once every sandbox has its driver; waits for none of them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn go_on(
        &self,
        show: impl Fn(Made) -> Result<Value, Fault> + Clone + Send + 'static,
    ) -> Result<(), Fault> {
        let Some(journal) = self.operations.journal() else {
            return Ok(());
        };
        for unfinished in journal.unfinished_operations().await? {
            match unfinished.entry {
                Ok(entry) if unfinished.cancelled && !entry.asked.is_its_clients() => {
                    tracing::info!(op = %entry.op, "the daemon before was told to cancel this");
                    self.end_cancelled(entry, show.clone());
                }
                Ok(entry) => {
                    let left = Left {
                        same_boot: unfinished.same_boot,
                        cancelled: unfinished.cancelled,
                    };
                    self.go_on_with(entry, left, show.clone()).await;
                }
                Err(why) => self.give_up(unfinished.op, &why).await,
            }
        }
        Ok(())
    }

    async fn go_on_with(
        &self,
        entry: Entry,
        left: Left,
        show: impl Fn(Made) -> Result<Value, Fault> + Send + 'static,
    ) {
        let (op, kind, name) = (entry.op, entry.asked.kind(), entry.subject.name.clone());
        let fate = match left.cancelled {
            true => Fate::IsUndone,
            false => self.fate(&entry, left.same_boot),
        };
        tracing::info!(%op, kind, name, ?fate, "the daemon before did not end this");
        let (asked, subject) = (entry.asked.clone(), entry.subject.clone());
        let sandbox = subject
            .sandbox
            .and_then(|id| self.services.registry.get(id));
        let kept = sandbox
            .clone()
            .filter(|sandbox| makes_one(&asked) && has_run(sandbox))
            // What a power cut has lost may be that it came to its end before it was cancelled.
            .filter(|_| !(left.cancelled && left.same_boot));
        let is_over = kept.is_some();
        // In line at once: others that are gone on with, and requests, come behind it.
        let line = match (&asked, sandbox) {
            (asked, _) if makes_one(asked) => None,
            (_, None) => None,
            (_, Some(sandbox)) => Some((sandbox.queue().await, sandbox)),
        };
        let supervisor = self.clone();
        let operation = self.operations.go_on(entry, move |going| async move {
            if let (Asked::Import, Some(id), None) = (&asked, subject.sandbox, &kept) {
                supervisor.remove_what_there_is(id).await;
            }
            if let Some(sandbox) = kept {
                let record = Box::new(sandbox.record());
                return show(Made::Sandbox(sandbox, record));
            }
            if let Fate::Fails(why) = fate {
                return Err(Fault::new(
                    FaultCode::Failed,
                    format!("{kind} {name}: {why}"),
                ));
            }
            let made = match (asked, line) {
                (asked, Some((place, sandbox))) => {
                    supervisor.change(sandbox, asked, place, true, &going).await
                }
                (Asked::Delete | Asked::Prune, None) => Ok(Made::Nothing),
                (Asked::Create { request }, None) => {
                    let Some(id) = subject.sandbox else {
                        return Err(Fault::new(FaultCode::Failed, "it has no id"));
                    };
                    let name = read_name(&name)?;
                    let rest = supervisor.create_the_rest(id, name, &request, &going);
                    let sandbox = rest.await?;
                    let record = Box::new(sandbox.record());
                    Ok(Made::Sandbox(sandbox, record))
                }
                (Asked::Import, None) => Err(operation::cancelled("nothing of it is left")),
                (asked, None) => supervisor.make_the_rest(asked, &name, &going).await,
            };
            show(made?)
        });
        if let Ok(operation) = operation
            && !is_over
        {
            watch_client(operation, fate);
        }
    }

    /// What becomes of it, by what was asked and what there is.
    fn fate(&self, entry: &Entry, same_boot: bool) -> Fate {
        let is_made = || {
            let name = entry.subject.name.parse().ok();
            name.is_some_and(|name| self.services.images.get(&name).is_ok())
        };
        match entry.asked {
            // It was free when this began: it was made, and only not told.
            Asked::ImageImport if is_made() => Fate::GoesOn,
            _ => entry.asked.fate(same_boot),
        }
    }

    async fn make_the_rest(&self, asked: Asked, name: &str, going: &Going) -> Result<Made, Fault> {
        let named = |error| Fault::new(FaultCode::BadRequest, error);
        match asked {
            Asked::ImageImport => {
                let image = self.services.images.get(&name.parse().map_err(named)?)?;
                Ok(Made::Image(Box::new(image)))
            }
            Asked::ImageMake => self.make_image(name.parse().map_err(named)?, going).await,
            Asked::KernelImport { from } => {
                let name = name.parse().map_err(named)?;
                match self.services.kernels.get(&name) {
                    Ok(kernel) => Ok(Made::Kernel(Box::new(kernel))),
                    Err(_) => self.import_kernel(name, from, going).await,
                }
            }
            _ => Err(Fault::new(
                FaultCode::NotFound,
                format!("the sandbox {name} was deleted"),
            )),
        }
    }

    /// An entry of a newer banger, or a damaged one: ended, so that whoever asks is told.
    async fn give_up(&self, op: String, why: &str) {
        tracing::error!(
            op,
            "an operation of the journal cannot be gone on with: {why}"
        );
        let message = format!("this daemon does not understand what was asked: {why}");
        let fault = Fault::new(FaultCode::Version, message).with_op(&op);
        let last = Event::Failed { fault };
        if let Some(journal) = self.operations.journal()
            && let Err(error) = journal.end_operation_named(op, &last).await
        {
            tracing::error!("nor can that be recorded: {error}");
        }
    }
}

/// Whether it makes the sandbox that it is about.
const fn makes_one(asked: &Asked) -> bool {
    matches!(asked, Asked::Create { .. } | Asked::Import)
}

/// A machine that has run is not taken away though the end of its creation was not recorded, or the
/// record of it was lost with the host's power: somebody may have worked in it since.
fn has_run(sandbox: &Sandbox) -> bool {
    let record = sandbox.record();
    // One of the pool has run for nobody.
    let is_somebodys = record.spec.pooled.is_none();
    let answered = record
        .run
        .is_some_and(|run| !run.times.agent_answered.is_zero());
    answered
        && is_somebodys
        && matches!(record.state, SandboxState::Running | SandboxState::Stopped)
}

fn read_name(name: &str) -> Result<SandboxName, Fault> {
    name.parse()
        .map_err(|error| Fault::new(FaultCode::BadRequest, error))
}

/// A creation whose client does not come back is cancelled; after a restart of the host none can.
fn watch_client(operation: Arc<Operation>, fate: Fate) {
    if fate == Fate::IsUndone {
        operation.cancel();
    } else if operation.entry.asked.is_its_clients() {
        tokio::spawn(async move {
            let coming = tokio::time::timeout(CREATION_GRACE, operation.until_followed());
            if coming.await.is_err() {
                tracing::info!(op = %operation.id(), "its client has not come back");
                operation.cancel();
            }
        });
    }
}
