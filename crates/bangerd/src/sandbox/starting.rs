//! Starting a guest, as a piece of work.

use super::act::{Failure, Work};
use super::phases;
use crate::disks;
use crate::record::Record;
use banger_model::SandboxState;
use banger_model::plan::Goal;
use banger_model::spec::Wait;
use banger_proto::fault::{Fault, FaultCode};

/// How the message about a missing disk begins.
pub(super) const DISK_IS_GONE: &str = "a disk is gone: ";

impl Work {
    /// A sandbox that has run has disks. One that is missing is a loss to be told, not an empty disk
    /// to be made.
    fn check_disks(&self) -> Result<(), Fault> {
        match self.record().state {
            SandboxState::Stopped | SandboxState::Suspended => {
                self.missing_disk().map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// That a disk is not there.
    pub(super) fn missing_disk(&self) -> Option<Fault> {
        let name = self.record().name;
        let disks = [self.paths.work_disk(), self.paths.system_disk()];
        let missing = disks.into_iter().find(|disk| !disk.exists())?;
        let message = format!("{DISK_IS_GONE}{}", missing.display());
        let fault = Fault::new(FaultCode::Failed, message);
        Some(fault.with_remedy(format!("put it back, or `banger vm rm {name}`")))
    }

    /// Boots: makes what is missing, starts the VMM, meets the agent, configures the guest.
    pub(super) async fn start(&mut self, wait: Wait) -> Result<(), Failure> {
        self.finish_undo().await?;
        self.check_disks()?;
        disks::require_room(&self.services.layout.sandboxes()).map_err(|error| error.fault())?;
        // Before anything is made: a port that somebody else has is no reason to boot a guest.
        let publish = self.listeners.bind(&self.record().spec.publish)?;
        self.put(|record| {
            record.state = SandboxState::Starting;
            record.reason = None;
            record.spec.publish = publish;
        })
        .await?;
        if let Err(fault) = self.lengthen_disks().await {
            // What is on it is of more use at its old size than not at all.
            self.progress.note(fault.to_string());
        }
        self.reach(Goal::Running).await?;
        if wait == Wait::Init
            && let Err(fault) = phases::settle(self).await
        {
            // The guest runs, and the user has waited in vain: that is no reason to take it away.
            self.progress
                .note(format!("the guest's init has not settled: {fault}"));
        }
        let running = |record: &mut Record| record.state = SandboxState::Running;
        if let Err(fault) = self.put(running).await {
            // What is not recorded must not be.
            self.reach(Goal::AtRest).await?;
            return Err(fault.into());
        }
        self.listeners.serve().await;
        Ok(())
    }
}
