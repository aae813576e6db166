//! Creating a sandbox: reserved, recorded, made, started; or nothing of it.

use super::fork::{Beginning, Seed};
use super::{Supervisor, network};
use crate::disks;
use crate::fault_points::{Place, Side, pass};
use crate::host;
use crate::operation::{self, Going, OpId};
use crate::progress::Progress;
use crate::record::{OnBridge, Record};
use crate::registry::{NewName, Reservation};
use crate::sandbox::{self, Command, Origin, Sandbox, Taking};
use crate::vmm::Vmm;
use banger_model::SandboxId;
use banger_model::capacity::Begins;
use banger_model::spec::{NetworkMode, Source, Spec, Wait};
use banger_model::subnet::Subnet;
use banger_model::{SandboxName, SandboxState};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::CreateRequest;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

impl Supervisor {
    /// Creates a sandbox of a spec that was judged, and starts it if that is wanted. When that fails or is
    /// cancelled, nothing of it is left when this returns; only a guest that was booted and did not come
    /// up is kept, so that its console can be looked at. When it is dropped because the daemon leaves,
    /// what there is stays for the next one, which goes on with it.
    ///
    /// # Errors
    /// The fault of whatever failed.
    pub async fn create(
        &self,
        reservation: Reservation,
        spec: Spec,
        origin: Beginning,
        start: Option<Wait>,
        going: &Going,
    ) -> Result<Arc<Sandbox>, Fault> {
        let id = reservation.id;
        if spec.checkpoint {
            self.services.vmm().await?.can_save()?;
        }
        let making = self.make(reservation, spec, origin, start, &going.progress);
        self.or_nothing(id, making, going).await
    }

    /// Goes on with what a daemon before this one had begun to create.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_the_rest(
        &self,
        id: SandboxId,
        name: SandboxName,
        request: &CreateRequest,
        going: &Going,
    ) -> Result<Arc<Sandbox>, Fault> {
        let making = async {
            if let Some(sandbox) = self.services.registry.get(id) {
                sandbox.settled().await;
                let view = sandbox.view();
                if view.gone || view.record.state == SandboxState::Deleting {
                    // It was cancelled before, or somebody else has deleted it.
                    return Err(operation::cancelled("it was being deleted"));
                }
                let progress = &going.progress;
                if view.record.spec.pooled.is_some() {
                    let taking = Taking {
                        name: self.name_of_pooled(&view.record, &name)?,
                        spec: self.spec(request)?,
                    };
                    self.take(&sandbox, taking, progress).await?;
                    return Ok(sandbox);
                }
                return self.finish(sandbox, None, request.start, progress).await;
            }
            let mut spec = self.spec(request)?;
            let reserving = self.reserve_as(Some(id), Some(&name), &mut spec, going.progress.op());
            let reservation = reserving.await?;
            let progress = &going.progress;
            let origin = Beginning::of(request);
            self.make(reservation, spec, origin, request.start, progress)
                .await
        };
        let made = async {
            let sandbox = making.await?;
            // Its client may not have heard of it, and would make another.
            going.operation.until_followed().await;
            Ok(sandbox)
        };
        self.or_nothing(id, made, going).await
    }

    fn name_of_pooled(
        &self,
        record: &Record,
        name: &SandboxName,
    ) -> Result<Option<NewName>, Fault> {
        let renamed = record.name != *name;
        let registry = &self.services.registry;
        renamed
            .then(|| registry.rename(record.id, name.clone()))
            .transpose()
    }

    async fn or_nothing(
        &self,
        id: SandboxId,
        making: impl Future<Output = Result<Arc<Sandbox>, Fault>>,
        going: &Going,
    ) -> Result<Arc<Sandbox>, Fault> {
        let making = AssertUnwindSafe(making).catch_unwind();
        let made = tokio::select! {
            biased;
            () = going.cancelled.cancelled() => Err(operation::cancelled("nothing of it is left")),
            made = making => made.unwrap_or_else(|_| {
                Err(Fault::new(FaultCode::Failed, "an error in banger itself: see the daemon's log"))
            }),
        };
        match made {
            Err(fault) if fault.code != FaultCode::Guest => {
                self.remove_what_there_is(id).await;
                Err(fault)
            }
            made => made,
        }
    }

    pub(super) async fn remove_what_there_is(&self, id: SandboxId) {
        let removed = match self.services.registry.get(id) {
            Some(sandbox) => {
                let silent = Progress::silent();
                let deleting = sandbox.request(|reply| Command::Delete(silent, reply));
                deleting.await.map(drop)
            }
            // A record may have been on its way when its making was cancelled; it is there by now.
            None => self.services.store.remove(id).await.map_err(Fault::from),
        };
        match removed {
            // Somebody else has deleted it meanwhile.
            Err(fault) if fault.code == FaultCode::NotFound => {}
            Err(fault) => tracing::error!("cannot remove what a failed creation made: {fault}"),
            Ok(()) => {}
        }
    }

    async fn make(
        &self,
        reservation: Reservation,
        spec: Spec,
        origin: Beginning,
        start: Option<Wait>,
        progress: &Progress,
    ) -> Result<Arc<Sandbox>, Fault> {
        let mode = (spec.network.value, spec.network.source);
        if mode == (NetworkMode::User, Source::Host)
            && let Some(why) = self.services.host_network.why_not_once()
        {
            progress.note(format!("guests get a network in user mode: {why}"));
        }
        // All that can be wrong with it is found before anything is made.
        if start.is_some() {
            sandbox::ports_are_free(&self.services, &reservation.name, &spec)?;
        }
        if reservation.pooled {
            return self
                .make_of_pooled(reservation, spec, &origin, progress)
                .await;
        }
        self.services.boot_files(&spec, progress).await?;
        disks::require_room(&self.services.layout.sandboxes())?;
        let seed = match &origin {
            Beginning::Fork(_) => {
                // Before its moment is saved, which is work for the host and for the sandbox.
                self.has_room(&origin, &spec, start, true).await?;
                self.seed(&origin, &spec, progress).await?
            }
            Beginning::Image | Beginning::Template(_) | Beginning::Import(_) => {
                let seed = self.seed(&origin, &spec, progress).await?;
                self.has_room(&origin, &spec, start, seed.is_some()).await?;
                seed
            }
        };
        if seed.is_none() && spec.pooled.is_some() {
            let message = "its template is gone";
            return Err(Fault::new(FaultCode::Unavailable, message));
        }
        let is_attempt = spec.ephemeral && matches!(origin, Beginning::Fork(_));
        let kept = seed.clone().filter(|_| is_attempt);
        let kind = match origin {
            Beginning::Template(kind) if start.is_some() => Some(kind),
            _ => None,
        };
        let boots = seed.is_none();
        let as_asked = spec.clone();
        let sandbox = self.record(&reservation, spec, progress.op()).await?;
        if let Some(seed) = kept {
            self.services.origins.keep(sandbox.id, seed);
        }
        let sandbox = self.finish(sandbox, seed, start, progress).await?;
        if let Some(kind) = kind {
            self.want_pooled(&kind, &as_asked).await;
            if boots {
                self.want_template(*kind, &as_asked).await;
            }
        }
        Ok(sandbox)
    }

    async fn make_of_pooled(
        &self,
        mut reservation: Reservation,
        spec: Spec,
        origin: &Beginning,
        progress: &Progress,
    ) -> Result<Arc<Sandbox>, Fault> {
        let sandbox = self.services.registry.get(reservation.id);
        let sandbox = sandbox.ok_or_else(|| {
            Fault::new(FaultCode::Unavailable, "what waited in the pool is gone")
                .with_remedy("try again")
        })?;
        if let (Beginning::Template(kind), Some(key)) = (origin, sandbox.record().spec.pooled) {
            self.want_pooled_of(key, kind);
        }
        let taking = Taking {
            name: reservation.new_name.take(),
            spec,
        };
        self.take(&sandbox, taking, progress).await?;
        Ok(sandbox)
    }

    /// One that is only made takes no memory.
    async fn has_room(
        &self,
        origin: &Beginning,
        spec: &Spec,
        start: Option<Wait>,
        resumes: bool,
    ) -> Result<(), Fault> {
        if start.is_none() {
            return Ok(());
        }
        let begins = match resumes {
            true => Begins::Resuming,
            false => Begins::Booting,
        };
        self.require_memory(origin, spec, begins).await
    }

    async fn finish(
        &self,
        sandbox: Arc<Sandbox>,
        seed: Option<Arc<Seed>>,
        start: Option<Wait>,
        progress: &Progress,
    ) -> Result<Arc<Sandbox>, Fault> {
        let _in_hand = sandbox.attach(self.clock);
        progress.stage("making disks");
        let snapshot = seed.as_ref().map(|seed| seed.snapshot());
        sandbox
            .request(|reply| Command::Prepare(snapshot, progress.clone(), reply))
            .await?;
        drop(seed);
        if let Some(wait) = start {
            sandbox
                .request(|reply| Command::Start(wait, progress.clone(), reply))
                .await?;
        }
        Ok(sandbox)
    }

    /// Gives a sandbox that is to be created its id and name.
    ///
    /// # Errors
    /// `Conflict` when the name is taken; where the bridge was asked for, whatever that gives. Where it
    /// is only the default and cannot be had, the spec says user mode afterwards.
    pub async fn reserve(
        &self,
        name: Option<&SandboxName>,
        spec: &mut Spec,
        op: OpId,
    ) -> Result<Reservation, Fault> {
        self.reserve_as(None, name, spec, op).await
    }

    async fn reserve_as(
        &self,
        id: Option<SandboxId>,
        name: Option<&SandboxName>,
        spec: &mut Spec,
        op: OpId,
    ) -> Result<Reservation, Fault> {
        let subnet = self.subnet(spec, op).await?;
        self.hold(id, name, subnet.as_ref())
    }

    /// The network of a sandbox that is to be created on the bridge. Where that is only the default and cannot be
    /// had, the spec says user mode afterwards.
    pub(super) async fn subnet(&self, spec: &mut Spec, op: OpId) -> Result<Option<Subnet>, Fault> {
        if spec.network.value != NetworkMode::Bridge {
            return Ok(None);
        }
        match self.services.host_network.subnet(op).await {
            Ok(subnet) => Ok(Some(subnet)),
            // Nobody has asked for the bridge; the creation says why there is none.
            Err(_) if network::may_fall_back(spec) => {
                spec.network.value = NetworkMode::User;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn hold(
        &self,
        id: Option<SandboxId>,
        name: Option<&SandboxName>,
        subnet: Option<&Subnet>,
    ) -> Result<Reservation, Fault> {
        // Before anything depends on it: a kernel without randomness gives equal ids.
        host::random::<1>().map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
        self.services.registry.hold(id, name, subnet, || {
            let number: [u8; 4] = host::random().unwrap_or_default();
            (
                host::random().unwrap_or_default(),
                u32::from_le_bytes(number),
            )
        })
    }

    async fn record(
        &self,
        reservation: &Reservation,
        spec: Spec,
        op: OpId,
    ) -> Result<Arc<Sandbox>, Fault> {
        let record = Record {
            id: reservation.id,
            name: reservation.name.clone(),
            state: SandboxState::Created,
            reason: None,
            created_at: host::now().seconds,
            spec,
            run: None,
            unfinished: None,
            network: reservation.host_part.map(|host_part| OnBridge {
                host_part,
                slot: None,
            }),
        };
        pass(&record.name, Place::Created, Side::Before).await?;
        self.services.store.put(&record).await?;
        pass(&record.name, Place::Created, Side::After).await?;
        let sandbox = sandbox::spawn(Arc::clone(&self.services), record, Origin::New(op));
        self.services.registry.insert(Arc::clone(&sandbox));
        Ok(sandbox)
    }
}
