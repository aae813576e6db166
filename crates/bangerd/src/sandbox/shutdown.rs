//! Shutting a guest down: first politely, then harder.
//!
//! ```text
//! agent: sync, power off ──not gone──▶ power button ──not gone──▶ kill
//! ```
//!
//! The agent syncs before it answers, so what was written is on the disk whatever comes after
//! (lesson L-4). A guest that does not follow costs the user time, never the stop (lesson L-19).

use super::act::{Failure, Work, kill_and_wait};
use crate::guest::Link;
use crate::record::Record;
use crate::vmm::{ProcessIdentity, Vmm};
use banger_model::SandboxState;
use banger_model::plan::Goal;
use banger_proto::fault::Fault;
use banger_proto::guest::message::Call;
use std::sync::Arc;
use std::time::Duration;

/// How long an agent may take to say hello, where there is no link to it.
const MEET_LIMIT: Duration = Duration::from_secs(10);
/// How long the agent may take to sync and answer.
const SYNC_LIMIT: Duration = Duration::from_secs(30);
/// How long the guest may take to power off: systemd under emulation takes ten seconds (measured),
/// and stops units for up to 90.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(100);
/// How long it may take after its power button was pressed.
const BUTTON_LIMIT: Duration = Duration::from_secs(15);

impl Work {
    /// Stops the guest and removes what exists only while it runs.
    pub(super) async fn stop(&mut self, reason: Option<String>) -> Result<(), Failure> {
        if let Err(fault) = self
            .put(|record| record.state = SandboxState::Stopping)
            .await
        {
            // The next daemon would find it running, or ended: both is what it is then.
            tracing::warn!("stopping without a record of it: {fault}");
        }
        if let Some(process) = self.record().run.map(|run| run.process) {
            self.progress.stage("shutting the guest down");
            self.end_politely(&process).await;
        }
        self.settle_stopped(reason).await
    }

    /// Removes what exists only while a guest runs, and records that it is stopped; or created, when no
    /// VMM was ever started for it.
    pub(super) async fn settle_stopped(&mut self, reason: Option<String>) -> Result<(), Failure> {
        self.view.send_modify(|view| {
            view.link = None;
            view.trouble = None;
        });
        // Only what should not be there goes: a disk that is missing is not made again.
        self.reach(Goal::AtRest).await?;
        Ok(self.settle(reason).await?)
    }

    /// Records that nothing of it runs: it is suspended where its memory is saved.
    pub(super) async fn settle(&self, reason: Option<String>) -> Result<(), Fault> {
        let saved = self.has_saved();
        let ended = |record: &mut Record| at_rest(record, reason.clone(), saved);
        self.conclude(ended).await
    }

    async fn end_politely(&self, process: &ProcessIdentity) {
        if self.view.borrow().stalled.is_some() {
            self.progress
                .note("the guest is paused and cannot be asked: what it had not written is lost");
            return self.end_hard(process).await;
        }
        let asked = match self.link_to_ask().await {
            Some(link) => match link.call(&Call::Shutdown, SYNC_LIMIT).await {
                Ok(_) => true,
                Err(error) => {
                    self.progress
                        .note(format!("the agent did not shut the guest down: {error}"));
                    false
                }
            },
            None => false,
        };
        if asked && gone_within(process, POWER_OFF_LIMIT).await {
            return;
        }
        self.progress.stage("pressing the guest's power button");
        if let Ok(vmm) = self.services.vmm().await
            && vmm.power_button(&self.paths).await.is_ok()
            && gone_within(process, BUTTON_LIMIT).await
        {
            return;
        }
        self.progress
            .note("the guest did not power off: killing its VMM");
        self.end_hard(process).await;
    }

    /// The link; or one made for this, where it was lost or a daemon before had it.
    async fn link_to_ask(&self) -> Option<Arc<Link>> {
        let link = self.view.borrow().link.clone();
        match link {
            Some(link) => Some(link),
            None => {
                let met = Link::meet(&self.paths.agent_socket(), MEET_LIMIT).await;
                met.ok().map(|met| Arc::new(met.link))
            }
        }
    }

    async fn end_hard(&self, process: &ProcessIdentity) {
        if let Err(fault) = kill_and_wait(process).await {
            // The survey that follows finds it alive, tries again, and says so.
            tracing::error!("{fault}");
        }
    }
}

/// The record of a sandbox of which nothing runs.
fn at_rest(record: &mut Record, reason: Option<String>, saved: bool) {
    if let Some(place) = &mut record.network {
        place.slot = None;
    }
    if let Some(unfinished) = &mut record.unfinished
        && unfinished.aim == Goal::Absent
    {
        // Half deleted, it is nothing that could be started.
        unfinished.leftovers.clear();
        record.state = SandboxState::NeedsRepair;
        return;
    }
    record.unfinished = None;
    record.reason = reason;
    record.state = match record.run {
        _ if saved => SandboxState::Suspended,
        None => SandboxState::Created,
        Some(_) => SandboxState::Stopped,
    };
}

async fn gone_within(process: &ProcessIdentity, limit: Duration) -> bool {
    tokio::time::timeout(limit, process.exited()).await.is_ok()
}
