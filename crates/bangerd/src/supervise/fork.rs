//! What a new sandbox begins from: nothing, or a snapshot.

use super::{Supervisor, network};
use crate::layout::SandboxPaths;
use crate::progress::Progress;
use crate::record::Record;
use crate::sandbox::{self, Command, Sandbox, Wanted};
use crate::services::blocking;
use crate::snapshots::{self, Snapshot};
use crate::store;
use banger_model::SandboxId;
use banger_model::snapshot::Tag;
use banger_model::spec::Spec;
use banger_model::{label, publish};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{CreateRequest, ForkOf};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Bytes of a moment's name.
const LONGEST_MOMENT: usize = 64;

/// What a creation was asked to begin from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// The image: it boots.
    Image,
    /// A template of what the request asks for, if there is one; else the image.
    Template(Box<CreateRequest>),
    /// Another sandbox.
    Fork(ForkOf),
    /// What an export had in it.
    Import(Arc<Snapshot>),
}

impl Beginning {
    /// By the request.
    #[must_use]
    pub fn of(request: &CreateRequest) -> Self {
        match &request.from {
            Some(of) => Self::Fork(of.clone()),
            None if request.cold => Self::Image,
            None => Self::Template(Box::new(request.clone())),
        }
    }
}

/// The snapshot whose disks and memory a new sandbox gets. One that was made for it alone is removed when this is
/// dropped.
#[derive(Debug)]
pub(super) struct Seed {
    snapshot: Arc<Snapshot>,
    for_it_alone: bool,
}

impl Seed {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if !self.for_it_alone {
            return;
        }
        let snapshot = Arc::clone(&self.snapshot);
        let remove = move || {
            let snapshot = Arc::unwrap_or_clone(snapshot);
            if let Err(error) = snapshot.remove() {
                // The next daemon does it: its name begins with a dot.
                tracing::warn!("cannot remove what a fork was made of: {error}");
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            // The daemon leaves.
            Err(_) => remove(),
        }
    }
}

impl Supervisor {
    /// The spec of a fork: that of the sandbox, but for what is one sandbox's alone.
    ///
    /// # Errors
    /// `BadRequest` for what a fork has from the sandbox; `NotFound`.
    pub(super) fn spec_of_fork(&self, of: &ForkOf, request: &CreateRequest) -> Result<Spec, Fault> {
        refuse_what_is_given(request)?;
        if of
            .moment
            .as_ref()
            .is_some_and(|moment| moment.len() > LONGEST_MOMENT)
        {
            let message = format!("the name of a moment has at most {LONGEST_MOMENT} bytes");
            return Err(
                Fault::new(FaultCode::BadRequest, message).with_remedy("give a shorter one")
            );
        }
        let parent = self.services.registry.find(&of.sandbox)?;
        let then = match &of.snapshot {
            None => parent.record().spec,
            Some(tag) => {
                let snapshot = self.snapshot_of(&parent, tag)?;
                let unreadable = |why| {
                    let message = format!("the snapshot {tag} does not say what it is of: {why}");
                    Fault::new(FaultCode::Failed, message)
                };
                store::read_spec(&snapshot.manifest.spec).map_err(unreadable)?
            }
        };
        let published = publish::add(&[], &request.publish);
        let publish = published.map_err(|error| sandbox::cannot_publish(&error))?;
        let mut labels = parent.record().spec.labels;
        labels.extend(request.labels.clone());
        label::check(&labels).map_err(|error| Fault::new(FaultCode::BadRequest, error))?;
        let links = network::links(request, |reference| {
            Ok(self.services.registry.find(reference)?.id)
        })?;
        Ok(Spec {
            nat: then.nat || request.nat,
            networks: then
                .networks
                .iter()
                .chain(&request.networks)
                .cloned()
                .collect(),
            links: then.links.iter().copied().chain(links).collect(),
            ephemeral: request.ephemeral,
            pooled: None,
            checkpoint: request.checkpoint.unwrap_or(then.checkpoint),
            labels,
            publish,
            ..then
        })
    }

    fn snapshot_of(&self, parent: &Sandbox, tag: &Tag) -> Result<Snapshot, Fault> {
        let name = parent.record().name;
        let directory = SandboxPaths::of(&self.services.layout, parent.id).snapshot(tag);
        if !directory.exists() {
            let message = format!("sandbox {name} has no snapshot {tag}");
            return Err(Fault::new(FaultCode::NotFound, message)
                .with_remedy(format!("see `banger vm snapshots {name}`")));
        }
        Ok(Snapshot::open(&directory)?)
    }

    /// The snapshot that a sandbox of this spec begins from, if any.
    pub(super) async fn seed(
        &self,
        beginning: &Beginning,
        spec: &Spec,
        progress: &Progress,
    ) -> Result<Option<Arc<Seed>>, Fault> {
        match beginning {
            Beginning::Image => Ok(None),
            Beginning::Template(_) => {
                let template = self.template(spec, progress).await?;
                Ok(template.map(|snapshot| {
                    Arc::new(Seed {
                        snapshot,
                        for_it_alone: false,
                    })
                }))
            }
            Beginning::Fork(of) => self.seed_of_fork(of, progress).await.map(Some),
            Beginning::Import(snapshot) => Ok(Some(Arc::new(Seed {
                snapshot: Arc::clone(snapshot),
                for_it_alone: false,
            }))),
        }
    }

    async fn seed_of_fork(&self, of: &ForkOf, progress: &Progress) -> Result<Arc<Seed>, Fault> {
        let parent = self.services.registry.find(&of.sandbox)?;
        match (&of.moment, &of.snapshot) {
            (Some(moment), None) => {
                let key = (parent.id, moment.clone());
                let saving = self.seed_alone(&parent, of, progress);
                self.services.moments.one(key, saving).await
            }
            _ => self.seed_alone(&parent, of, progress).await.map(Arc::new),
        }
    }

    /// What takes the place of a sandbox: what a fork is now, saved for it.
    ///
    /// # Errors
    /// `Refused` for what is no ephemeral fork of its kind; what saving it gives.
    pub(super) async fn what_takes_its_place(
        &self,
        original: &Sandbox,
        fork: SandboxId,
        progress: &Progress,
    ) -> Result<Arc<Seed>, Fault> {
        let gone = || {
            Fault::new(
                FaultCode::NotFound,
                "the fork that was to take its place is gone",
            )
        };
        let fork = self.services.registry.get(fork).ok_or_else(gone)?;
        may_take_the_place(&fork.record(), &original.record())?;
        let of = ForkOf {
            sandbox: fork.id.to_string(),
            snapshot: None,
            moment: None,
        };
        self.seed_alone(&fork, &of, progress).await.map(Arc::new)
    }

    async fn seed_alone(
        &self,
        parent: &Sandbox,
        of: &ForkOf,
        progress: &Progress,
    ) -> Result<Seed, Fault> {
        let verified = Arc::clone(&self.services.verified);
        if let Some(tag) = &of.snapshot {
            let snapshot = self.snapshot_of(parent, tag)?;
            let snapshot = blocking(move || {
                snapshot.verify(&verified)?;
                Ok(Arc::new(snapshot))
            });
            let snapshot = snapshot.await?;
            return Ok(Seed {
                snapshot,
                for_it_alone: false,
            });
        }
        self.moment(parent, "fork", progress).await
    }

    /// This moment of a sandbox, saved for one purpose alone, which is a part of its name.
    pub(super) async fn moment(
        &self,
        parent: &Sandbox,
        purpose: &str,
        progress: &Progress,
    ) -> Result<Seed, Fault> {
        let place = parent.queue().await;
        let turn = place.first().await;
        let paths = SandboxPaths::of(&self.services.layout, parent.id);
        let name = format!(".{purpose}-{}", progress.op());
        let target = paths.snapshots().join(name);
        let wanted = Wanted::At(target.clone());
        let saving = parent.send(|reply| Command::Snapshot(wanted, progress.clone(), reply));
        let saving = saving.await?;
        drop(turn);
        // Who waits for it may leave: what was saved for them goes then, too.
        let kept = tokio::spawn(async move {
            let saved = saving.await.map(drop);
            blocking(move || kept_for_one(&target, saved)).await
        });
        let kept = kept.await;
        kept.map_err(|error| Fault::from_error(FaultCode::Failed, &error))?
    }
}

/// What was saved. Where that failed behind its last step, it is there all the same, and removed.
fn kept_for_one(target: &Path, saved: Result<(), Fault>) -> Result<Seed, Fault> {
    if saved.is_err()
        && target.exists()
        && let Err(error) = snapshots::remove(target)
    {
        tracing::warn!("cannot remove what was saved for nobody: {error}");
    }
    saved?;
    Ok(Seed {
        snapshot: Arc::new(Snapshot::open(target)?),
        for_it_alone: true,
    })
}

/// Of two that replaced each other at once neither would be left: only an ephemeral one takes the place of one that
/// is not.
fn may_take_the_place(fork: &Record, original: &Record) -> Result<(), Fault> {
    let (new, old) = (&fork.spec, &original.spec);
    let why_not = if !new.ephemeral || old.ephemeral {
        "is no fork that a try has made of it"
    } else if new.image.value != old.image.value
        || new.kernel.value != old.kernel.value
        || new.memory.value != old.memory.value
        || new.vcpu.value != old.vcpu.value
        || new.work_disk.value != old.work_disk.value
        || new.system_disk.value != old.system_disk.value
        || new.network.value != old.network.value
    {
        "is another machine: image, kernel, sizes and network must be the same"
    } else {
        return Ok(());
    };
    let message = format!(
        "{} cannot take the place of {}: it {why_not}",
        fork.name, original.name
    );
    Err(Fault::new(FaultCode::Refused, message)
        .with_remedy("keep it beside it, with `banger vm set` and `banger vm rename`"))
}

/// A fork is the same machine: what would make it another cannot be asked for.
fn refuse_what_is_given(request: &CreateRequest) -> Result<(), Fault> {
    let given = [
        ("image", request.image.is_some()),
        ("kernel", request.kernel.is_some()),
        ("vcpu", request.vcpu.is_some()),
        ("memory_mib", request.memory_mib.is_some()),
        ("disk_mib", request.disk_mib.is_some()),
        ("system_disk_mib", request.system_disk_mib.is_some()),
        ("network", request.network.is_some()),
        ("init", request.init != banger_model::spec::Init::default()),
        ("cold", request.cold),
    ];
    let Some((field, _)) = given.into_iter().find(|(_, given)| *given) else {
        return Ok(());
    };
    let message = format!("a fork has its {field} from the machine that it is a fork of");
    Err(Fault::new(FaultCode::BadRequest, message)
        .with_remedy("leave it out; change it later with `banger vm set`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_make_a_fork_another_machine_is_refused_by_name() {
        let refused = |change: fn(&mut CreateRequest), field: &str| {
            let mut request = CreateRequest::default();
            change(&mut request);
            let fault = refuse_what_is_given(&request).expect_err(field);
            assert_eq!(fault.code, FaultCode::BadRequest);
            assert!(fault.message.contains(field), "{fault}");
        };
        refused(|r| r.memory_mib = 512.try_into().ok(), "memory_mib");
        refused(|r| r.vcpu = 1.try_into().ok(), "vcpu");
        refused(|r| r.image = "other".parse().ok(), "image");
        refused(|r| r.cold = true, "cold");
        let plain = CreateRequest {
            nat: true,
            ..CreateRequest::default()
        };
        refuse_what_is_given(&plain).expect("these are a fork's own");
    }
}
