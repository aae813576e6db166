//! Changing what a sandbox is to be: judged first, recorded next, then at once where the host can.

use super::act::{Failure, Work};
use super::works::Outcome;
use crate::host_network::Wish;
use banger_model::resize::{Change, GrowingDisk, Sizes, resize};
use banger_model::spec::NetworkMode;
use banger_model::{SandboxState, Spec, label};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::SetRequest;

/// When what a running guest cannot be given holds.
const WITH_A_RESTART: &str = "with the next start: `banger vm restart`";

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
        ephemeral: spec.ephemeral && !request.keep,
        ..spec
    };
    let result = take(work, spec, &changed, &sizes).await;
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

/// Records the spec, and has what it says be so where the host can; it says what holds from when.
async fn take(work: &Work, spec: Spec, changed: &[Change], asked: &Sizes) -> Result<(), Fault> {
    if work.record().spec != spec {
        work.put(|record| record.spec = spec).await?;
    }
    let runs = work.record().state == SandboxState::Running;
    if !runs {
        work.lengthen_disks().await?;
    }
    for change in changed {
        let when = match (runs, change) {
            (true, Change::Disk(..)) => continue,
            (true, _) => WITH_A_RESTART,
            (false, Change::Disk(..)) => "with the next start",
            (false, _) => "at once",
        };
        work.progress.note(format!("{change}: {when}"));
    }
    for disk in GrowingDisk::ALL {
        // Also one that is recorded as such already: what was left to the next start is tried again.
        let Some(size) = asked.of(disk).filter(|_| runs) else {
            continue;
        };
        let when = match work.grow_now(disk).await {
            Ok(()) => "at once".to_owned(),
            Err(why) => format!("{WITH_A_RESTART} ({})", why.message),
        };
        let change = Change::Disk(disk, size);
        work.progress.note(format!("{change}: {when}"));
    }
    Ok(())
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
