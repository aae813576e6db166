//! The phases of a start, as types: each can only be had from the one before.
//!
//! ```text
//! Prepared ──launch──▶ Launched ──meet──▶ Met ──configure──▶ Started
//! ```
//!
//! A guest that ends or stays silent before its agent answers gets one more try: emulated machines
//! were seen to die in early boot for no fault of the image's.

use super::act::{Work, kill_and_wait};
use super::{identity, resuming, stall};
use crate::disks::DiskError;
use crate::fault_points::Side;
use crate::guest::Link;
use crate::guest::stream::CallError;
use crate::host;
use crate::host_network::Attachment;
use crate::layout::{Layout, SandboxPaths};
use crate::record::{Run, Times};
use crate::services::BootFiles;
use crate::snapshots::Fingerprint;
use crate::snapshots::fingerprint::Contents;
use crate::vmm::{Disk, DiskRole, Launched as VmmLaunched, Machine, Network, ProcessIdentity, Vmm};
use crate::wait::{Every, Look, Until, WaitError, wait};
use banger_model::SandboxId;
use banger_model::host_names::{Mac, TapSlot};
use banger_model::spec::{NetworkMode, Spec};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::GENERATION;
use banger_proto::guest::message::{Answer, Call, InitState};
use std::sync::Arc;
use std::time::Duration;

/// How long the guest's init may take to settle: 13 s alone under emulation (measured).
const SETTLE_LIMIT: Duration = Duration::from_secs(180);
/// How often it is asked for that.
const SETTLE_EVERY: Every = Every {
    interval: Duration::from_millis(100),
    limit: identity::LIMIT,
};

/// What is known once a guest runs.
pub(super) struct Started {
    pub(super) link: Arc<Link>,
    pub(super) agent_version: String,
}

struct Prepared {
    machine: Machine,
    vmm: Arc<dyn Vmm>,
    backend: String,
    fingerprint: Option<Fingerprint>,
    /// See [`GoesOn`].
    as_itself: bool,
}

struct Launched {
    vmm: Arc<dyn Vmm>,
    process: ProcessIdentity,
}

struct Met {
    process: ProcessIdentity,
    link: Arc<Link>,
    agent_version: String,
}

/// Takes all phases. What it leaves when it fails, the step's undo removes.
pub(super) async fn start(work: &mut Work) -> Result<(ProcessIdentity, Started), Fault> {
    let mut prepared = prepare(work).await?;
    let launched = prepared.launch_or_boot(work).await?;
    work.progress.stage("waiting for the guest's agent");
    let met = match launched.meet(work).await {
        Ok(met) => met,
        Err(Early {
            fault,
            worth_another_try: false,
        }) => return Err(fault),
        Err(Early { fault, .. }) => {
            work.progress.note(format!("trying once more: {fault}"));
            // A memory is loaded once: the guest may have written to its disks since.
            prepared.machine.resume = None;
            let launched = prepared.launch(work).await?;
            launched.meet(work).await.map_err(|early| early.fault)?
        }
    };
    let resumed = prepared.machine.resume.is_some();
    let as_itself = resumed.then_some(prepared.as_itself);
    met.configure(work, as_itself).await
}

/// The guest did not come up.
struct Early {
    fault: Fault,
    worth_another_try: bool,
}

impl From<Fault> for Early {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            worth_another_try: false,
        }
    }
}

async fn prepare(work: &Work) -> Result<Prepared, Fault> {
    let record = work.record();
    let spec = &record.spec;
    let ready = work.services.boot_files(spec, &work.progress).await?;
    let network = network(work, spec)?;
    let machine = machine(record.id, spec, &ready, work.paths.clone(), network);
    let fingerprint = fingerprint(&machine, &ready)?;
    let goes_on = work.saved_guest(&fingerprint).await?;
    Ok(Prepared {
        backend: format!("{}-{}", ready.vmm.describe().name, ready.accelerator),
        vmm: ready.vmm,
        as_itself: goes_on.as_ref().is_some_and(|guest| guest.as_itself),
        machine: Machine {
            resume: goes_on.map(|guest| guest.saved),
            ..machine
        },
        fingerprint: Some(fingerprint),
    })
}

fn machine(
    id: SandboxId,
    spec: &Spec,
    ready: &BootFiles,
    paths: SandboxPaths,
    network: Network,
) -> Machine {
    let disk = |role, path, read_only| Disk {
        role,
        path,
        read_only,
    };
    let mut disks = vec![
        disk(DiskRole::Image, ready.image.disk.clone(), true),
        disk(DiskRole::System, paths.system_disk(), false),
        disk(DiskRole::Work, paths.work_disk(), false),
    ];
    let modules = ready.kernel.modules_disk.clone();
    disks.extend(modules.map(|path| disk(DiskRole::Modules, path, true)));
    Machine {
        id,
        vcpu: spec.vcpu.value,
        memory: spec.memory.value,
        kernel: ready.kernel.vmlinux.clone(),
        initramfs: ready.initramfs.clone(),
        disks,
        network,
        accelerator: ready.accelerator,
        paths,
        durable: !spec.ephemeral,
        generation_id: ready.kernel.manifest.generation_id,
        resume: None,
    }
}

fn fingerprint(machine: &Machine, ready: &BootFiles) -> Result<Fingerprint, Fault> {
    let contents = Contents {
        kernel: ready.kernel.manifest.sha256.clone(),
        image: ready.image.identity(),
        initramfs: ready.initramfs.display().to_string(),
        agent_generation: GENERATION.into(),
    };
    let of_vmm = ready.vmm.fingerprint(machine)?;
    Ok(Fingerprint::of(
        machine,
        of_vmm,
        contents,
        &host::processors(),
    ))
}

/// The fingerprint that a sandbox of a spec would have: who it is does not count.
///
/// # Errors
/// The fault of whatever a boot needs and is missing.
pub(crate) fn fingerprint_of(
    layout: &Layout,
    spec: &Spec,
    ready: &BootFiles,
) -> Result<Fingerprint, Fault> {
    let nobody = SandboxId::from_random([0; 16]);
    let network = match (spec.network.value, TapSlot::all().next()) {
        (NetworkMode::Bridge, Some(slot)) => Network::Tap {
            slot,
            mac: Mac::of(&nobody),
        },
        (NetworkMode::User, _) => Network::User { outbound: false },
        (NetworkMode::None | NetworkMode::Bridge, _) => Network::None,
    };
    let paths = SandboxPaths::of(layout, nobody);
    fingerprint(&machine(nobody, spec, ready, paths, network), ready)
}

fn network(work: &Work, spec: &Spec) -> Result<Network, Fault> {
    Ok(match spec.network.value {
        NetworkMode::None => Network::None,
        NetworkMode::User => Network::User { outbound: spec.nat },
        NetworkMode::Bridge => {
            let place = attachment(work)?;
            Network::Tap {
                slot: place.slot,
                mac: place.mac,
            }
        }
    })
}

/// The guest's place on the bridge, which the step before this has made.
pub(super) fn attachment(work: &Work) -> Result<Attachment, Fault> {
    let place = work.services.host_network.attachment(work.record().id);
    place.ok_or_else(|| {
        Fault::new(
            FaultCode::Failed,
            "the guest has lost its place on the bridge",
        )
    })
}

impl Prepared {
    /// Launches it; a VMM that cannot load what was saved boots the guest from its disks.
    async fn launch_or_boot(&mut self, work: &Work) -> Result<Launched, Fault> {
        let resumes = self.machine.resume.is_some();
        work.progress.stage(match resumes {
            true => "resuming the guest",
            false => "starting the VMM",
        });
        match self.launch(work).await {
            Err(fault) if resumes && fault.code != FaultCode::Unavailable => {
                work.progress.note(format!(
                    "its saved memory cannot be used: {fault}; booting from its disks"
                ));
                work.discard_saved()?;
                self.machine.resume = None;
                self.launch(work).await
            }
            launched => launched,
        }
    }

    async fn launch(&self, work: &Work) -> Result<Launched, Fault> {
        let before = work.begun.elapsed();
        let resumes = self.machine.resume.is_some();
        work.pass("launch", Side::Before).await?;
        resuming::take(&work.paths, resumes)?;
        let launched = self.vmm.launch(&self.machine).await;
        if launched.is_err() && resumes {
            resuming::put_back(&work.paths);
        }
        let VmmLaunched {
            process,
            vmm_up,
            guest_running,
        } = launched?;
        work.pass("launch", Side::After).await?;
        let run = Run {
            process: process.clone(),
            backend: self.backend.clone(),
            started_at: host::now().seconds,
            times: Times {
                vmm_up: before + vmm_up,
                guest_running: before + guest_running,
                ..Times::default()
            },
            kernel_release: String::new(),
            init_started: false,
            resumed: resumes,
            fingerprint: self.fingerprint.clone(),
        };
        // Of a VMM nothing is left after a power cut.
        if let Err(fault) = work
            .put_for_this_boot(|record| record.run = Some(run))
            .await
        {
            // What is not recorded must not be.
            kill_and_wait(&process).await?;
            return Err(fault);
        }
        Ok(Launched {
            vmm: Arc::clone(&self.vmm),
            process,
        })
    }
}

impl Launched {
    /// Waits for the agent's answer, and watches the process at the same time: a connected socket
    /// is not a living guest.
    async fn meet(self, work: &Work) -> Result<Met, Early> {
        work.pass("meet", Side::Before).await?;
        let socket = work.paths.agent_socket();
        let limit = work.services.config.start_limit;
        let outcome = tokio::select! {
            met = Link::meet(&socket, limit) => met.map_err(|error| error.to_string()),
            () = stall::at_start(&*self.vmm, &work.paths) => return Err(self.no_room(work).await),
            ended = self.vmm.exited(&self.process, &work.paths) => {
                Err(match ended {
                    Ok(report) => format!("its VMM {report}"),
                    Err(error) => error.to_string(),
                })
            }
        };
        match outcome {
            Ok(met) => {
                work.pass("meet", Side::After).await?;
                Ok(Met {
                    process: self.process,
                    link: Arc::new(met.link),
                    agent_version: met.hello.version,
                })
            }
            Err(why) => {
                let killed = kill_and_wait(&self.process).await;
                let name = work.record().name;
                let fault = Fault::new(
                    FaultCode::Guest,
                    format!("the guest of sandbox {name} did not come up: {why}"),
                )
                .with_remedy(format!(
                    "see what its console says: `banger vm logs {name}`"
                ));
                Err(Early {
                    fault,
                    worth_another_try: killed.is_ok(),
                })
            }
        }
    }
}

impl Launched {
    /// The host has no room for what the guest writes while it boots: not the guest's failure, and
    /// another try would end in the same way.
    async fn no_room(&self, work: &Work) -> Early {
        let killed = kill_and_wait(&self.process).await;
        let full = DiskError::Full {
            place: work.paths.state.clone(),
        };
        Early {
            fault: killed.err().unwrap_or_else(|| full.fault()),
            worth_another_try: false,
        }
    }
}

impl Met {
    async fn configure(
        self,
        work: &Work,
        resumed: Option<bool>,
    ) -> Result<(ProcessIdentity, Started), Fault> {
        work.progress.stage("configuring the guest");
        work.pass("configure", Side::Before).await?;
        let configured = match identity::give(work, &self.link, resumed).await {
            Ok(configured) => configured,
            Err(fault) => {
                kill_and_wait(&self.process).await?;
                return Err(fault);
            }
        };
        if let Err(fault) = work.services.host_network.settled(work.record().id).await {
            kill_and_wait(&self.process).await?;
            return Err(fault);
        }
        work.pass("configure", Side::After).await?;
        for warning in &configured.warnings {
            work.progress.note(format!("in the guest: {warning}"));
        }
        let answered = work.begun.elapsed();
        let started = Started {
            link: self.link,
            agent_version: self.agent_version,
        };
        work.learn(|run| {
            run.times.agent_answered = answered;
            run.kernel_release = configured.kernel_release;
            run.init_started = configured.init_started;
        });
        Ok((self.process, started))
    }
}

/// Why the guest's init has not settled: what the agent said, or nothing but that it still starts.
fn not_settled(error: WaitError<Option<Fault>>) -> Fault {
    match error {
        WaitError::Failed {
            reason: Some(fault),
            ..
        } => fault,
        _ => {
            let limit = SETTLE_LIMIT.as_secs();
            let message = format!("it still starts after {limit} s");
            Fault::new(FaultCode::TimedOut, message)
                .with_remedy("look with `banger vm exec NAME -- systemctl list-jobs`")
        }
    }
}

/// Waits until the guest's init has settled.
pub(super) async fn settle(work: &mut Work) -> Result<(), Fault> {
    let Some(started) = &work.started else {
        return Ok(());
    };
    let link = Arc::clone(&started.link);
    work.progress.stage("waiting for the guest's init");
    until_settled(&link).await?;
    let settled = work.begun.elapsed();
    work.learn(|run| run.times.init_settled = Some(settled));
    Ok(())
}

/// Waits until the agent says that init has settled, or that there is none.
pub(super) async fn until_settled(link: &Link) -> Result<(), Fault> {
    let what = "waiting for the guest's init";
    let settled = wait(what, SETTLE_EVERY, Until::after(SETTLE_LIMIT), || async {
        match link.call(&Call::Health, identity::LIMIT).await {
            Ok(Answer::Health(health)) => match health.init {
                InitState::None | InitState::Settled => Look::There(()),
                InitState::Starting => Look::NotYet(None),
            },
            Ok(_) => {
                let error = CallError::Nonsense("another answer than to `health`");
                Look::Never(Some(error.into()))
            }
            Err(error) => Look::Never(Some(Fault::from(error))),
        }
    });
    settled.await.map_err(not_settled)
}
