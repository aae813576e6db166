//! Changing what a sandbox is to be: judged first, recorded next, then at once where the host can.

use super::act::{Failure, Work};
use super::works::Outcome;
use crate::host_network::Wish;
use banger_model::spec::NetworkMode;
use banger_model::{SandboxState, label};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::SetRequest;

/// Changes what the sandbox is to be: recorded first, then at once where the host can.
pub(super) async fn set(work: Work, request: SetRequest) -> Outcome {
    let result = try_set(&work, request).await;
    Outcome::of(work, result.map_err(Failure::from))
}

async fn try_set(work: &Work, request: SetRequest) -> Result<(), Fault> {
    let labels = label::change(&work.record().spec.labels, &request.labels).map_err(|error| {
        Fault::new(FaultCode::BadRequest, error).with_remedy("remove some with `KEY-`")
    })?;
    if labels != work.record().spec.labels {
        work.put(|record| record.spec.labels = labels).await?;
    }
    set_nat(work, request.nat).await
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
