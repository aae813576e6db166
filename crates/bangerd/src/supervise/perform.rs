//! What operations do, whether a request began them here or the daemon before did.

use super::Supervisor;
use crate::checkpoints::{Checkpoints, Kept};
use crate::images::Image;
use crate::kernels::{Kernel, KernelSource};
use crate::layout::SandboxPaths;
use crate::operation::{self, Asked, Going, RunMark};
use crate::progress::{Progress, Told};
use crate::record::Record;
use crate::sandbox::command::{Back, parse_signal};
use crate::sandbox::{self, Command, PlaceInLine, Reply, Sandbox, Wanted};
use crate::services::blocking;
use banger_model::admission::Refusal;
use banger_model::{ArtifactName, SandboxState, Wait};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::artifact::KernelImport;
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What an operation made or changed.
#[derive(Debug)]
pub enum Made {
    /// A sandbox, with its record at that moment.
    Sandbox(Arc<Sandbox>, Box<Record>),
    /// An image.
    Image(Box<Image>),
    /// A kernel.
    Kernel(Box<Kernel>),
    /// A sandbox that was repaired, and what was found and done.
    Repaired(Arc<Sandbox>, Box<Record>, Vec<String>),
    /// Nothing that is there any more.
    Nothing,
}

impl Supervisor {
    /// Has a sandbox's driver do what was asked, when it is its turn; of what another daemon began
    /// (`again`), the rest.
    ///
    /// # Errors
    /// Whatever that gives; `Cancelled`.
    pub async fn change(
        &self,
        sandbox: Arc<Sandbox>,
        asked: Asked,
        place: PlaceInLine,
        again: bool,
        going: &Going,
    ) -> Result<Made, Fault> {
        let turn = tokio::select! {
            turn = place.first() => turn,
            () = going.cancelled.cancelled() => {
                return Err(operation::cancelled("it had not begun"));
            }
        };
        let asked = match again {
            true => match asked {
                Asked::Undo { to } => self.rest_of_undo(&sandbox, to).await?,
                asked => rest_of(&sandbox, asked).await,
            },
            false => asked,
        };
        if again && self.is_made(&sandbox, &asked).await {
            let record = Box::new(sandbox.record());
            return Ok(Made::Sandbox(sandbox, record));
        }
        let replacing = match &asked {
            Asked::Promote { fork } => Some(
                self.what_takes_its_place(&sandbox, *fork, &going.progress)
                    .await?,
            ),
            _ => None,
        };
        let signal = match &asked {
            Asked::Kill { signal } => parse_signal(signal)?,
            _ => Signal::KILL,
        };
        if asked == Asked::Prune && self.operations.creates(sandbox.id) {
            // Between its disks and its start it is like one that nobody wants.
            return Err(sandbox::refused(&sandbox.view(), Refusal::InUse));
        }
        let new_name = match &asked {
            Asked::Rename { to } => Some(self.services.registry.rename(sandbox.id, to.clone())?),
            _ => None,
        };
        let repairs = asked == Asked::Repair;
        let (progress, notes) = noting(&going.progress);
        let command = |reply| match (new_name, &replacing) {
            (Some(new), _) => Command::Rename(new, progress, reply),
            (None, Some(by)) => Command::Restore(Back::Into(by.snapshot()), progress, reply),
            (None, None) => command(&asked, signal, progress, reply),
        };
        let sent = sandbox.send(command).await;
        drop(turn);
        let answered = match sent {
            Ok(answer) => answer.await,
            Err(gone) => Err(gone),
        };
        let record = Box::new(match answered {
            // Who deleted it has left nothing that is to be repaired.
            Err(_) if repairs && sandbox.view().gone => sandbox.record(),
            answered => answered?,
        });
        drop(replacing);
        Ok(match repairs {
            true => {
                let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                Made::Repaired(sandbox, record, notes.clone())
            }
            false => Made::Sandbox(sandbox, record),
        })
    }

    /// Whether a snapshot that another daemon had begun was made, and only not told.
    async fn is_made(&self, sandbox: &Sandbox, asked: &Asked) -> bool {
        let Asked::Snapshot { tag } = asked else {
            return false;
        };
        sandbox.settled().await;
        let paths = SandboxPaths::of(&self.services.layout, sandbox.id);
        paths.snapshot(tag).exists()
    }

    /// Of an undo that was done, what is left is that the guest goes on.
    async fn rest_of_undo(&self, sandbox: &Sandbox, to: u32) -> Result<Asked, Fault> {
        sandbox.settled().await;
        let paths = SandboxPaths::of(&self.services.layout, sandbox.id);
        let listed = blocking(move || Ok(Checkpoints::of(paths.checkpoints()).list()?)).await?;
        let is_done = |newest: &Kept| newest.undone && newest.number == to;
        Ok(match listed.last().is_some_and(is_done) {
            true => Asked::Start {
                wait: Wait::default(),
            },
            false => Asked::Undo { to },
        })
    }

    /// Makes an image of the host's own distribution.
    ///
    /// # Errors
    /// Whatever that gives; `Cancelled`.
    pub async fn make_image(&self, name: ArtifactName, going: &Going) -> Result<Made, Fault> {
        let making = self.services.make_image(&name, &going.progress);
        let image = tokio::select! {
            image = making => image?,
            () = going.cancelled.cancelled() => {
                return Err(operation::cancelled("the image is not made for it"));
            }
        };
        Ok(Made::Image(Box::new(image)))
    }

    /// Takes a kernel in.
    ///
    /// # Errors
    /// Whatever that gives; `Cancelled`.
    pub async fn import_kernel(
        &self,
        name: ArtifactName,
        from: KernelImport,
        going: &Going,
    ) -> Result<Made, Fault> {
        let source = source_of(from)?;
        let importing = self.services.import_kernel(&name, source, &going.progress);
        let kernel = tokio::select! {
            kernel = importing => kernel?,
            () = going.cancelled.cancelled() => {
                return Err(operation::cancelled("the kernel is not imported for it"));
            }
        };
        Ok(Made::Kernel(Box::new(kernel)))
    }
}

/// What a driver is asked; `signal` is the one of a kill.
fn command(asked: &Asked, signal: Signal, progress: Progress, reply: Reply) -> Command {
    match asked {
        Asked::Start { wait } => Command::Start(*wait, progress, reply),
        Asked::Stop => Command::Stop(progress, reply),
        Asked::Restart { wait, .. } => Command::Restart(*wait, progress, reply),
        Asked::Kill { .. } => Command::Kill(signal, progress, reply),
        Asked::Set { change } => Command::Set(change.clone(), progress, reply),
        Asked::Delete => Command::Delete(progress, reply),
        Asked::Prune => Command::Prune(progress, reply),
        Asked::Repair => Command::Repair(progress, reply),
        Asked::Snapshot { tag } => Command::Snapshot(Wanted::Tagged(tag.clone()), progress, reply),
        Asked::Suspend => Command::Suspend(progress, reply),
        Asked::Restore { tag } => Command::Restore(Back::To(tag.clone()), progress, reply),
        Asked::Undo { to } => Command::Undo(*to, progress, reply),
        // These are no driver's, or take more than what was asked.
        Asked::Rename { .. }
        | Asked::Promote { .. }
        | Asked::Create { .. }
        | Asked::Import
        | Asked::ImageImport
        | Asked::ImageMake
        | Asked::TemplateMake { .. }
        | Asked::PoolFill { .. }
        | Asked::KernelImport { .. } => Command::Prepare(None, progress, reply),
    }
}

/// The same progress, which keeps its notes.
fn noting(progress: &Progress) -> (Progress, Arc<Mutex<Vec<String>>>) {
    let (told, kept) = (progress.clone(), Arc::<Mutex<Vec<String>>>::default());
    let notes = Arc::clone(&kept);
    let noting = Progress::of(progress.op(), move |one| {
        if let Told::Note(note) = &one {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.push(note.clone());
        }
        told.tell(one);
    });
    (noting.until(progress.cancelled().clone()), kept)
}

/// What is left to do of what another daemon began.
async fn rest_of(sandbox: &Sandbox, asked: Asked) -> Asked {
    let Asked::Restart { wait, before } = asked else {
        return asked;
    };
    sandbox.settled().await;
    let record = sandbox.record();
    let now = record.run.as_ref().map(|run| RunMark::from(&run.process));
    match rest_of_restart(record.state, before == now) {
        Rest::All => Asked::Restart { wait, before },
        Rest::Start => Asked::Start { wait },
    }
}

/// What is left of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    All,
    Start,
}

/// By what was found when the sandbox had settled: a guest that runs, and is the one that ran before, has
/// not been stopped yet. Starting one that runs already is no work.
const fn rest_of_restart(state: SandboxState, same_run: bool) -> Rest {
    match (state, same_run) {
        (SandboxState::Running, true) => Rest::All,
        _ => Rest::Start,
    }
}

/// Where a kernel comes from; `None`: what the host's package manager offers.
///
/// # Errors
/// `BadRequest` for a path that is not absolute.
pub fn source_of(from: KernelImport) -> Result<Option<KernelSource>, Fault> {
    Ok(match from {
        KernelImport::Package { path } => Some(KernelSource::Package(absolute(path)?)),
        KernelImport::Directory { path } => Some(KernelSource::Directory(absolute(path)?)),
        KernelImport::File { path } => Some(KernelSource::File(absolute(path)?)),
        KernelImport::DistributionPackage { name } => Some(KernelSource::DistributionPackage(name)),
        KernelImport::Default => None,
    })
}

fn absolute(path: String) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Fault::new(
        FaultCode::BadRequest,
        format!("{} is not an absolute path", path.display()),
    )
    .with_remedy("the daemon has another working directory than you: give the whole path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_restart_only_what_is_left_is_done() {
        assert_eq!(rest_of_restart(SandboxState::Running, true), Rest::All);
        for state in SandboxState::ALL {
            assert_eq!(rest_of_restart(state, false), Rest::Start, "{state}");
        }
        assert_eq!(rest_of_restart(SandboxState::Stopped, true), Rest::Start);
    }

    #[test]
    fn a_path_of_another_directory_is_refused() {
        let relative = source_of(KernelImport::File { path: "x".into() });
        assert_eq!(relative.expect_err("refused").code, FaultCode::BadRequest);
        let absolute = source_of(KernelImport::File { path: "/x".into() });
        assert!(absolute.is_ok_and(|source| source.is_some()));
    }
}
