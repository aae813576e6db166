//! Changing what a sandbox is to be: judged first, recorded next, then at once where the host can.

use super::act::{Failure, Work};
use super::works::Outcome;
use crate::disks::grow;
use crate::host_network::Wish;
use banger_model::resize::{Sizes, resize};
use banger_model::spec::NetworkMode;
use banger_model::{DiskSize, SandboxState, Spec, label};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::SetRequest;
use std::path::PathBuf;
use std::sync::Arc;

/// Changes what the sandbox is to be: recorded first, then at once where the host can.
pub(super) async fn set(work: Work, request: SetRequest) -> Outcome {
    let result = try_set(&work, request).await;
    Outcome::of(work, result.map_err(Failure::from))
}

/// What a request says of sizes.
pub(crate) const fn wanted_sizes(request: &SetRequest) -> Sizes {
    Sizes {
        vcpu: request.vcpu,
        memory: request.memory_mib,
        work_disk: request.disk_mib,
        system_disk: request.system_disk_mib,
    }
}

async fn try_set(work: &Work, request: SetRequest) -> Result<(), Fault> {
    let before = work.record();
    let bad = |error: &dyn std::error::Error, remedy: &str| {
        Fault::from_error(FaultCode::BadRequest, error).with_remedy(remedy)
    };
    let labels = label::change(&before.spec.labels, &request.labels)
        .map_err(|error| bad(&error, "remove some with `KEY-`"))?;
    let sizes = wanted_sizes(&request);
    let (spec, changed) = resize(&before.spec, &sizes).map_err(|error| {
        bad(
            &error,
            "make a machine with a smaller disk, and copy what is needed with `banger vm cp`",
        )
    })?;
    work.disks_can_have(&spec)?;
    set_nat(work, request.nat).await?;
    let spec = Spec {
        nat: work.record().spec.nat,
        labels,
        ..spec
    };
    let result = take(work, spec, &changed).await;
    if result.is_err() {
        work.put(|record| {
            record.spec = Spec {
                nat: record.spec.nat,
                ..before.spec.clone()
            }
        })
        .await?;
        set_nat(work, Some(before.spec.nat)).await?;
    }
    result
}

/// Records the spec, and has the disks be what it says if no guest has them; it says when which holds.
async fn take(work: &Work, spec: Spec, changed: &[String]) -> Result<(), Fault> {
    if work.record().spec != spec {
        work.put(|record| record.spec = spec).await?;
    }
    let runs = work.record().state == SandboxState::Running;
    if !runs {
        work.grow_disks().await?;
    }
    let when = match runs {
        true => "with the next start: `banger vm restart`",
        false => "at once",
    };
    for what in changed {
        work.progress.note(format!("{what}: {when}"));
    }
    Ok(())
}

impl Work {
    fn disks_of(&self, spec: &Spec) -> [(PathBuf, DiskSize, &'static str); 2] {
        [
            (self.paths.work_disk(), spec.work_disk.value, "work disk"),
            (
                self.paths.system_disk(),
                spec.system_disk.value,
                "system disk",
            ),
        ]
    }

    /// Finds what a disk's file system was not made for before anything is changed.
    fn disks_can_have(&self, spec: &Spec) -> Result<(), Fault> {
        let now = self.record().spec;
        for ((path, size, _), (_, has, _)) in self.disks_of(spec).iter().zip(self.disks_of(&now)) {
            if *size > has
                && let Some(fault) = grow::why_not(path, *size).map_err(|error| error.fault())?
            {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Has the file systems of disks that no guest has open be as large as the record says: they are
    /// smaller when the record was changed while a guest had them, or a crash came in between.
    ///
    /// # Errors
    /// Which disk cannot grow, and why.
    pub(super) async fn grow_disks(&self) -> Result<(), Fault> {
        let spec = self.record().spec;
        for (path, size, what) in self.disks_of(&spec) {
            if !path.exists() {
                continue;
            }
            let turn = Arc::clone(&self.making).lock_owned().await;
            let growing = tokio::task::spawn_blocking(move || {
                let grown = grow::grow_ext4(&path, size);
                drop(turn);
                grown
            });
            let grown = match growing.await {
                Ok(grown) => grown.map_err(|error| error.fault()),
                Err(error) => Err(Fault::new(FaultCode::Failed, error)),
            };
            grown.map_err(|fault| {
                let outer = Fault::new(fault.code, format!("the {what} cannot grow: {fault}"));
                let remedy = fault.remedy.unwrap_or_else(|| {
                    "look at it with `e2fsck -fn`, or keep the size that it has".into()
                });
                outer.with_remedy(remedy)
            })?;
        }
        Ok(())
    }
}

async fn set_nat(work: &Work, nat: Option<bool>) -> Result<(), Fault> {
    let before = work.record();
    let Some(nat) = nat.filter(|nat| *nat != before.spec.nat) else {
        return Ok(());
    };
    work.put(|record| record.spec.nat = nat).await?;
    let place = match (before.state, before.spec.network.value) {
        (_, NetworkMode::None) => {
            work.progress.note("it has no network: see `--network`");
            return Ok(());
        }
        (SandboxState::Running, NetworkMode::User) => {
            work.progress
                .note("a network in user mode changes with the next start: `banger vm restart`");
            return Ok(());
        }
        (SandboxState::Running, NetworkMode::Bridge) => before.network,
        _ => return Ok(()),
    };
    let Some(place) = place else {
        return Ok(());
    };
    let record = work.record();
    let wish = Wish::of(record.id, &record.name, &record.spec, place.host_part);
    let changed = work
        .services
        .host_network
        .change(record.id, wish, work.progress.op())
        .await;
    if changed.is_err() {
        // What the host did not take is not so.
        work.put(|record| record.spec.nat = before.spec.nat).await?;
    }
    changed
}
