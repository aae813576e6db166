//! Creating sandboxes, finding those of the daemon before, and what is done from time to time.

mod cancel;
mod capacity;
mod create;
mod diff;
mod export;
mod fork;
mod go_on;
mod import;
mod moments;
mod network;
mod origins;
mod perform;
mod pool;
mod strays;
mod template;
mod unused;

pub use export::Exporting;
pub use fork::Beginning;
pub use moments::Moments;
pub use origins::Origins;
pub use perform::{Made, source_of};
pub use pool::Pool;
pub use template::WantedTemplates;

use crate::host::{self, Room};
use crate::host_network::Adopted;
use crate::host_network::dns::Waker;
use crate::operation::Operations;
use crate::progress::Progress;
use crate::record::Record;
use crate::sandbox::{self, Clock, Command, Origin, Sandbox};
use crate::services::Services;
use banger_model::defaults::{HostSize, vm_defaults};
use banger_model::resize::Sizes;
use banger_model::spec::{NetworkMode, Source, Sourced, Spec};
use banger_model::{SandboxState, size};
use banger_model::{VcpuCount, label, publish};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{CreateRequest, SetRequest};
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long an ephemeral sandbox that has run is kept without a session, in case its client comes
/// back after the daemon was replaced.
const EPHEMERAL_GRACE: Duration = Duration::from_secs(15);
/// Between two rounds of what is done from time to time.
const ROUND: Duration = Duration::from_secs(2);
/// The console log of a guest is cut to its newest half beyond this.
const CONSOLE_LIMIT: u64 = 16 << 20;

/// Creates and keeps sandboxes.
#[derive(Debug, Clone)]
pub struct Supervisor {
    /// What drivers need.
    pub services: Arc<Services>,
    /// Long operations.
    pub operations: Operations,
    /// Time since the daemon's start.
    pub clock: Clock,
}

impl Supervisor {
    /// Starts a driver for every record, which adopts or cleans what it finds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn adopt_all(&self) -> Result<(), Fault> {
        let (records, unreadable) = self.services.store.all().await?;
        for one in &unreadable {
            tracing::error!("{one}");
        }
        let unreadable: Vec<_> = unreadable
            .into_iter()
            .filter_map(|one| one.record)
            .collect();
        let living = records.iter().chain(&unreadable).filter_map(|record| {
            let adopted = Adopted::of(record)?;
            sandbox::vmm_lives(&self.services.layout, record).then_some((record.id, adopted))
        });
        let asleep = records.iter().any(sleeps_on_bridge);
        let living = living.collect();
        self.services.host_network.wake_with(self.waker());
        self.services.host_network.adopt(living, asleep).await;
        let readable = records.into_iter().map(|record| (record, Origin::Left));
        // Of one that cannot be read nothing is touched until somebody deletes it.
        let unreadable = unreadable.into_iter().map(|one| (one, Origin::Unreadable));
        for (record, origin) in readable.chain(unreadable) {
            let sandbox = sandbox::spawn(Arc::clone(&self.services), record, origin);
            self.services.registry.insert(sandbox);
        }
        let supervisor = self.clone();
        tokio::spawn(async move { supervisor.tell_strays().await });
        Ok(())
    }

    /// Wakes a guest whose name somebody asks for: on the daemon's own threads, not on that of the name server.
    fn waker(&self) -> Waker {
        let (registry, runtime) = (Arc::clone(&self.services.registry), Handle::current());
        Waker::new(move |id| {
            let (sandbox, runtime) = (registry.get(id), runtime.clone());
            async move {
                let Some(sandbox) = sandbox else { return false };
                tracing::info!(sandbox = %sandbox.record().name, "somebody asks for its name: waking it");
                let waking = runtime.spawn(async move { sandbox.guest().await });
                match waking.await {
                    Ok(Ok(_)) => true,
                    Ok(Err(fault)) => {
                        tracing::warn!("it cannot be woken: {fault}");
                        false
                    }
                    Err(_) => false,
                }
            }
            .boxed()
        })
    }

    /// Judges other sizes for a sandbox against the host, as those of a new one.
    ///
    /// # Errors
    /// `BadRequest` for what the host can never give.
    pub fn judge_sizes(&self, request: &SetRequest) -> Result<(), Fault> {
        let sizes = sandbox::wanted_sizes(request);
        judge(
            &sizes,
            host::size(),
            host::room(&self.services.layout.state),
        )
    }

    /// The spec of a request: what it says, the rest from defaults, judged against the host.
    ///
    /// # Errors
    /// `BadRequest` for what the host can never give.
    pub fn spec(&self, request: &CreateRequest) -> Result<Spec, Fault> {
        if let Some(of) = &request.from {
            return self.spec_of_fork(of, request);
        }
        let host = host::size();
        let room = host::room(&self.services.layout.state);
        let mut spec = fill_in(request, &self.services.config, host);
        judge(&sizes_of(&spec), host, room)?;
        label::check(&spec.labels).map_err(|error| Fault::new(FaultCode::BadRequest, error))?;
        let publish = publish::add(&[], &request.publish);
        spec.publish = publish.map_err(|error| sandbox::cannot_publish(&error))?;
        spec.network = network::mode(
            request,
            self.services.config.network,
            &self.services.host_network.availability(),
        )?;
        spec.links = network::links(request, |reference| {
            Ok(self.services.registry.find(reference)?.id)
        })?;
        Ok(spec)
    }

    /// What is done from time to time, for ever.
    pub async fn rounds(self) {
        let mut every = tokio::time::interval(ROUND);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unused = unused::Unused::of(&self);
        loop {
            every.tick().await;
            unused.look();
            self.look_for_wanted_template();
            self.look_at_pool().await;
            self.services.moments.forget();
            self.forget_origins();
            for sandbox in self.services.registry.all() {
                // Only a guest that runs prints.
                if sandbox.record().state.may_have_vmm() {
                    Self::trim_console(&sandbox);
                }
                sandbox.listeners.retry(&sandbox.record().spec.publish);
                self.remove_abandoned(sandbox);
            }
        }
    }

    fn forget_origins(&self) {
        let registry = &self.services.registry;
        let is_ephemeral = |id| {
            let fork = registry.get(id);
            fork.is_some_and(|fork| fork.record().spec.ephemeral)
        };
        self.services.origins.retain(is_ephemeral);
    }

    fn trim_console(sandbox: &Sandbox) {
        let (console, id) = (Arc::clone(&sandbox.console), sandbox.id);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = console.trim(CONSOLE_LIMIT) {
                tracing::warn!("cannot trim the console's log of {id}: {error}");
            }
        });
    }

    /// An ephemeral sandbox whose client is gone is deleted: its client would have done so.
    fn remove_abandoned(&self, sandbox: Arc<Sandbox>) {
        let record = sandbox.record();
        let has_run = record
            .run
            .is_some_and(|run| !run.times.agent_answered.is_zero());
        let settled = matches!(record.state, SandboxState::Running | SandboxState::Stopped);
        if record.spec.ephemeral
            && has_run
            && settled
            && sandbox.quiet_for(self.clock) > EPHEMERAL_GRACE
        {
            tracing::info!(sandbox = %record.name, "deleting: ephemeral, and its client is gone");
            tokio::spawn(async move {
                let deleting = sandbox
                    .request(|r| Command::Delete(Progress::silent(), r))
                    .await;
                if let Err(fault) = deleting {
                    tracing::warn!("cannot delete an abandoned sandbox: {fault}");
                }
            });
        }
    }

    /// Whether nothing would be disturbed if the daemon left now, or the reason why not. What waits in the pool goes
    /// with it.
    ///
    /// # Errors
    /// A refusal with what would be disturbed.
    pub fn is_idle(&self) -> Result<(), Fault> {
        let all = self.services.registry.owned();
        let busy = |count: usize, what: &str| {
            Fault::new(FaultCode::Refused, format!("{count} {what}"))
                .with_remedy("wait, or stop the daemon with `banger daemon stop`")
        };
        let running = all
            .iter()
            .filter(|s| s.record().state.may_have_vmm())
            .count();
        // Who connects to a port of theirs, or asks for their name, wakes them, which needs a daemon.
        let listen = all.iter().filter(|s| listens_asleep(&s.record())).count();
        let wanted = usize::from(!self.services.wanted_templates.is_empty());
        let sessions = all.iter().filter(|s| s.sessions() > 0).count();
        match (running, sessions, self.operations.count()) {
            (0, 0, 0) if wanted > 0 => Err(busy(wanted, "template is to be made")),
            (0, 0, 0) if listen > 0 => Err(busy(
                listen,
                "suspended sandbox(es) with published ports or a name wait to be woken",
            )),
            (0, 0, 0) => Ok(()),
            (0, 0, operations) => Err(busy(operations, "operation(s) go on")),
            (0, sessions, _) => Err(busy(sessions, "session(s) are attached")),
            (running, _, _) => Err(busy(running, "sandbox(es) run")),
        }
    }
}

fn listens_asleep(record: &Record) -> bool {
    let is_published = record.state == SandboxState::Suspended && !record.spec.publish.is_empty();
    is_published || sleeps_on_bridge(record)
}

fn sleeps_on_bridge(record: &Record) -> bool {
    record.state == SandboxState::Suspended && record.network.is_some()
}

fn fill_in(request: &CreateRequest, config: &crate::config::Config, host: HostSize) -> Spec {
    let defaults = vm_defaults(config.vm_defaults, host);
    let named = |given: &Option<_>, (name, configured): &(_, bool)| match given {
        Some(name) => Sourced::new(Clone::clone(name), Source::Request),
        None if *configured => Sourced::new(Clone::clone(name), Source::Config),
        None => Sourced::new(Clone::clone(name), Source::Builtin),
    };
    Spec {
        image: named(&request.image, &config.default_image),
        kernel: named(&request.kernel, &config.default_kernel),
        vcpu: given(request.vcpu, defaults.vcpu),
        memory: given(request.memory_mib, defaults.memory),
        work_disk: given(request.disk_mib, defaults.work_disk),
        system_disk: given(request.system_disk_mib, defaults.system_disk),
        // Judged by whom it may reach, which takes more than this: see `network`.
        network: Sourced::new(NetworkMode::User, Source::Builtin),
        nat: request.nat,
        networks: request.networks.iter().cloned().collect(),
        links: BTreeSet::new(),
        init: request.init,
        ephemeral: request.ephemeral,
        pooled: None,
        checkpoint: request.checkpoint.unwrap_or(config.checkpoint),
        publish: vec![],
        labels: request.labels.clone(),
    }
}

fn given<T>(request: Option<T>, default: Sourced<T>) -> Sourced<T> {
    request.map_or(default, |value| Sourced::new(value, Source::Request))
}

fn sizes_of(spec: &Spec) -> Sizes {
    Sizes {
        vcpu: Some(spec.vcpu.value),
        memory: Some(spec.memory.value),
        work_disk: Some(spec.work_disk.value),
        system_disk: Some(spec.system_disk.value),
    }
}

/// Refuses what the host can never give, whatever else runs on it.
fn judge(sizes: &Sizes, host: HostSize, room: Option<Room>) -> Result<(), Fault> {
    let refuse = |what: &str, asked: String, has: String, option: &str| {
        Err(Fault::new(
            FaultCode::BadRequest,
            format!("{asked} of {what} is more than this host has ({has})"),
        )
        .with_remedy(format!("give {option} at most {has}")))
    };
    if let Some(vcpu) = sizes.vcpu.map(VcpuCount::get)
        && host.processors > 0
        && vcpu > host.processors
    {
        let (asked, has) = (vcpu.to_string(), host.processors.to_string());
        return refuse("virtual processors", asked, has, "--vcpu");
    }
    if let Some(memory) = sizes.memory
        && host.memory_mib > 0
        && memory.mib() > host.memory_mib
    {
        let has = size::show_bytes(host.memory_mib * size::MIB);
        return refuse("memory", memory.to_string(), has, "--memory");
    }
    for (disk, option) in [
        (sizes.work_disk, "--disk-size"),
        (sizes.system_disk, "--system-disk-size"),
    ] {
        if let Some(disk) = disk
            && let Some(room) = room.filter(|room| disk.bytes() > room.total)
        {
            return refuse(
                "disk",
                disk.to_string(),
                size::show_bytes(room.total),
                option,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn config() -> Config {
        Config::load(std::path::Path::new("/nonexistent/config.toml")).expect("defaults")
    }

    const HOST: HostSize = HostSize {
        processors: 8,
        memory_mib: 16_384,
    };
    const ROOM: Option<Room> = Some(Room {
        free: 0,
        total: 100 << 30,
    });

    fn asked(change: impl FnOnce(&mut CreateRequest)) -> Result<Spec, Fault> {
        let mut request = CreateRequest::default();
        change(&mut request);
        let spec = fill_in(&request, &config(), HOST);
        judge(&sizes_of(&spec), HOST, ROOM).map(|()| spec)
    }

    #[test]
    fn what_the_request_leaves_open_comes_from_defaults_with_its_source() {
        let spec = asked(|r| r.vcpu = 1.try_into().ok()).expect("possible");
        assert_eq!(
            (spec.vcpu.value.get(), spec.vcpu.source),
            (1, Source::Request)
        );
        assert_eq!(
            (spec.memory.value.mib(), spec.memory.source),
            (2048, Source::Host)
        );
        assert_eq!(spec.image.source, Source::Builtin);
    }

    #[test]
    fn what_the_host_can_never_give_is_refused_with_what_it_has() {
        let too_much: [(Result<Spec, Fault>, &str); 3] = [
            (asked(|r| r.vcpu = 9.try_into().ok()), "--vcpu at most 8"),
            (
                asked(|r| r.memory_mib = 16_385.try_into().ok()),
                "--memory at most 16GiB",
            ),
            (
                asked(|r| r.disk_mib = (101 * 1024).try_into().ok()),
                "--disk-size at most 100GiB",
            ),
        ];
        for (result, remedy) in too_much {
            let fault = result.expect_err(remedy);
            assert_eq!(fault.code, FaultCode::BadRequest);
            assert!(
                fault.remedy.as_deref().is_some_and(|r| r.contains(remedy)),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn only_a_bridge_that_nobody_asked_for_may_be_missing() {
        let spec = |source, networks: &[&str]| {
            let request = CreateRequest {
                networks: networks
                    .iter()
                    .map(|n| n.parse().expect("a name"))
                    .collect(),
                ..CreateRequest::default()
            };
            let mut spec = fill_in(&request, &config(), HOST);
            spec.network = Sourced::new(NetworkMode::Bridge, source);
            spec
        };
        assert!(network::may_fall_back(&spec(Source::Host, &[])));
        assert!(!network::may_fall_back(&spec(Source::Host, &["shop"])));
        for asked in [Source::Request, Source::Config] {
            assert!(!network::may_fall_back(&spec(asked, &[])));
        }
    }

    #[test]
    fn a_host_whose_size_is_unknown_refuses_nothing() {
        let spec = fill_in(&CreateRequest::default(), &config(), HostSize::default());
        assert!(judge(&sizes_of(&spec), HostSize::default(), None).is_ok());
    }
}
