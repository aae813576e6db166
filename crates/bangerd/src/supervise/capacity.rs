//! How many more machines the host has room for: surveyed here, judged by [`banger_model::capacity`].

use super::{Beginning, Supervisor};
use crate::host;
use crate::layout::SandboxPaths;
use crate::sandbox::Sandbox;
use crate::services::blocking;
use crate::vmm::process::ProcessIdentity;
use banger_model::capacity::{Begins, Fit, Host, Need, Stock, fit, memory_need};
use banger_model::spec::Spec;
use banger_model::{SandboxId, SandboxState, size};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::capacity::{Capacity, CapacityQuery, Share};
use banger_proto::owner::sandbox::CreateRequest;

/// What the two disks of a new machine take until its guest writes more: tables, journals, what a first boot leaves.
const NEW_DISKS: u64 = 64 << 20;

/// A machine that runs, of the kind that is asked for.
#[derive(Debug)]
struct Running {
    id: SandboxId,
    process: ProcessIdentity,
}

/// The survey, and what came of it.
#[derive(Debug)]
struct Judged {
    host: Host,
    need: Need,
    fits: Fit,
}

impl Supervisor {
    /// How many more machines fit: forks of one, or new ones.
    ///
    /// # Errors
    /// `NotFound`; `BadRequest` for what the host can never give, and for a size of forks, which have their
    /// machine's.
    pub async fn capacity(&self, query: &CapacityQuery) -> Result<Capacity, Fault> {
        let parent = match &query.of {
            Some(reference) => Some(self.services.registry.find(reference)?),
            None => None,
        };
        if parent.is_some() && (query.vcpu.is_some() || query.memory_mib.is_some()) {
            let message =
                "a fork has its vcpu and memory_mib from the machine that it is a fork of";
            return Err(Fault::new(FaultCode::BadRequest, message).with_remedy("leave them out"));
        }
        let spec = match &parent {
            Some(parent) => parent.record().spec,
            None => self.spec(&CreateRequest {
                vcpu: query.vcpu,
                memory_mib: query.memory_mib,
                ..CreateRequest::default()
            })?,
        };
        let begins = match &parent {
            Some(parent) if has_memory(parent) => Begins::Resuming,
            Some(_) => Begins::Booting,
            None if self.kind(&spec, None, Begins::Resuming).len() > 1 => Begins::Resuming,
            None => Begins::Booting,
        };
        let judged = self
            .judge_capacity(&spec, parent.as_deref(), begins)
            .await?;
        Ok(judged.shown())
    }

    /// Refuses a machine for which there is not enough memory. That there is room on the disk, each step that
    /// takes some makes sure of.
    pub(super) async fn require_memory(
        &self,
        beginning: &Beginning,
        spec: &Spec,
        begins: Begins,
    ) -> Result<(), Fault> {
        let parent = match beginning {
            Beginning::Fork(of) => Some(self.services.registry.find(&of.sandbox)?),
            Beginning::Image | Beginning::Template(_) | Beginning::Import(_) => None,
        };
        let mut judged = self.judge_capacity(spec, parent.as_deref(), begins).await?;
        if judged.fits.by_memory == 0 && spec.pooled.is_none() && self.empty_pool().await {
            judged = self.judge_capacity(spec, parent.as_deref(), begins).await?;
        }
        if judged.fits.by_memory > 0 {
            return Ok(());
        }
        let of = parent.map(|parent| format!(" --of {}", parent.record().name));
        Err(judged.refusal(&of.unwrap_or_default()))
    }

    /// Whether another machine would fit after one that nobody has asked for.
    pub(super) async fn has_room_to_spare(&self, spec: &Spec) -> Result<bool, Fault> {
        let judged = self.judge_capacity(spec, None, Begins::Resuming).await?;
        Ok(judged.fits.machines() > 1)
    }

    async fn judge_capacity(
        &self,
        spec: &Spec,
        parent: Option<&Sandbox>,
        begins: Begins,
    ) -> Result<Judged, Fault> {
        let kind = self.kind(spec, parent.map(|parent| parent.id), begins);
        let layout = self.services.layout.clone();
        let starting = self.starting();
        let (guest, id) = (spec.memory.value.bytes(), parent.map(|parent| parent.id));
        let of_parent = parent.and_then(|parent| parent.record().run.map(|run| run.process));
        let reserve = self.services.config.memory_reserve;
        blocking(move || {
            let disks = |id| {
                let paths = SandboxPaths::of(&layout, id);
                host::used(&paths.system_disk()).saturating_add(host::used(&paths.work_disk()))
            };
            let own = kind.iter().filter_map(|one| own_memory(&one.process));
            let measured: Vec<u64> = own.collect();
            let disk = match id {
                Some(id) => disks(id),
                None => mean(kind.iter().map(|one| disks(one.id))).unwrap_or(NEW_DISKS),
            };
            let room = host::room(&layout.state);
            let host = Host {
                memory: host::memory(),
                disk: room.map(|room| Stock {
                    total: room.total,
                    available: room.free,
                }),
                starting,
                reserve,
            };
            let need = Need {
                disk,
                // The moment that they are forks of: its disks, and its memory, which they share.
                disk_once: id.map_or(0, |_| {
                    disk + of_parent.and_then(|p| memory_of(&p)).unwrap_or(0)
                }),
                ..memory_need(begins, guest, &measured)
            };
            let fits = fit(&host, &need);
            Ok(Judged { host, need, fits })
        })
        .await
    }

    /// Those that run and are of the same kind: image, kernel, memory, and how they began.
    fn kind(&self, spec: &Spec, but: Option<SandboxId>, begins: Begins) -> Vec<Running> {
        let all = self.services.registry.all().into_iter();
        let alike = all.filter_map(|sandbox| {
            let record = sandbox.record();
            let run = record
                .run
                .filter(|_| record.state == SandboxState::Running)?;
            let other = &record.spec;
            let alike = other.image.value == spec.image.value
                && other.kernel.value == spec.kernel.value
                && other.memory.value == spec.memory.value
                && run.resumed == (begins == Begins::Resuming)
                && Some(record.id) != but;
            alike.then_some(Running {
                id: record.id,
                process: run.process,
            })
        });
        alike.collect()
    }

    /// Machines that have begun to start and do not run yet.
    fn starting(&self) -> u64 {
        let all = self.services.registry.all();
        let starting = all.iter().filter(|sandbox| match sandbox.record().state {
            SandboxState::Starting => true,
            SandboxState::Created => self.operations.creates(sandbox.id),
            _ => false,
        });
        u64::try_from(starting.count()).unwrap_or(u64::MAX)
    }
}

/// Whether what is made of it goes on from memory.
fn has_memory(sandbox: &Sandbox) -> bool {
    let state = sandbox.record().state;
    matches!(state, SandboxState::Running | SandboxState::Suspended)
}

/// What only this VMM has, and the host gets back with its end alone.
fn own_memory(process: &ProcessIdentity) -> Option<u64> {
    Some(process.usage().ok()??.memory?.own_dirty)
}

fn memory_of(process: &ProcessIdentity) -> Option<u64> {
    Some(process.usage().ok()??.resident)
}

fn mean(figures: impl Iterator<Item = u64>) -> Option<u64> {
    let figures: Vec<u64> = figures.collect();
    let sum = figures
        .iter()
        .fold(0, |sum: u64, one| sum.saturating_add(*one));
    sum.checked_div(u64::try_from(figures.len()).ok()?)
}

impl Judged {
    fn shown(&self) -> Capacity {
        let Self { host, need, fits } = self;
        let available = |stock: Option<Stock>| stock.map_or(0, |stock| stock.available);
        Capacity {
            machines: fits.machines(),
            limit: fits.limit().word().to_owned(),
            machines_when_full: fits.when_full,
            memory: Share {
                machines: fits.by_memory,
                available_bytes: available(host.memory),
                kept_bytes: fits.memory_kept,
                once_bytes: 0,
                each_bytes: need.memory,
            },
            disk: Share {
                machines: fits.by_disk,
                available_bytes: available(host.disk),
                kept_bytes: fits.disk_kept,
                once_bytes: need.disk_once,
                each_bytes: need.disk,
            },
            measured: u64::try_from(need.measured).unwrap_or(u64::MAX),
            starting: host.starting,
        }
    }

    fn refusal(&self, of: &str) -> Fault {
        let Self { host, need, fits } = self;
        let available = host.memory.map_or(0, |memory| memory.available);
        let message = format!(
            "no more of this machine fit: one takes {} of memory, of which the host has {} left and keeps {}",
            size::show_bytes(need.memory),
            size::show_bytes(available),
            size::show_bytes(fits.memory_kept),
        );
        Fault::new(FaultCode::Unavailable, message).with_remedy(format!(
            "stop or suspend machines with `banger vm suspend NAME` until `banger capacity{of}` says that one fits"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_none_is_none() {
        assert_eq!(mean([].into_iter()), None);
        assert_eq!(mean([2, 4].into_iter()), Some(3));
    }
}
