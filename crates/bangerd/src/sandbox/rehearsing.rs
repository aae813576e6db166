//! What each guest that goes on from a template begins with, done once before the template is saved: the guest is
//! told who it is, and runs a command. Then it leaves the network that was its own: each guest after it would.
//!
//! What that reads and looks for is in the guest's memory then, and none of the guests after it does it again. Under
//! emulation, where each step is translated anew after a resume, that halves what lies between the agent's first
//! word and the end of a first command (measured). A template is as good without it: what fails is noted.

use super::act::Work;
use super::{identity, phases};
use crate::guest::{Link, rehearsal};
use banger_model::spec::NetworkMode;
use banger_proto::fault::Fault;
use banger_proto::guest::message::Call;

/// The loader, the C library and a shell; an image may have none of them.
const COMMANDS: [&[&str]; 2] = [&["true"], &["sh", "-c", "exec true"]];

impl Work {
    /// Rehearses, if the guest's agent can.
    pub(super) async fn rehearse(&self) {
        let link = self.view.borrow().link.clone();
        let Some(link) = link.filter(|link| link.can_resume()) else {
            return;
        };
        self.progress.stage("rehearsing a resume");
        if let Err(fault) = self.resume_as_itself(&link).await {
            self.progress
                .note(format!("the guest has not rehearsed a resume: {fault}"));
        }
        for argv in COMMANDS {
            if let Err(error) = rehearsal::run(&link, argv).await {
                tracing::debug!(?argv, "not rehearsed: {error}");
            }
        }
        self.leave_network(&link).await;
    }

    /// A network in user mode is the same for every guest, which keeps it.
    async fn leave_network(&self, link: &Link) {
        let is_own = self.record().spec.network.value == NetworkMode::Bridge;
        if !is_own || !link.can_leave_network() {
            return;
        }
        if let Err(error) = link.call(&Call::LeaveNetwork, identity::LIMIT).await {
            self.progress
                .note(format!("the guest has not left its network: {error}"));
        }
    }

    /// What it begins behind its answer is over when this returns: it would go on in each that is made of it.
    async fn resume_as_itself(&self, link: &Link) -> Result<(), Fault> {
        identity::give(self, link, Some(true)).await?;
        phases::until_settled(link).await
    }
}
