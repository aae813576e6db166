//! What each guest that goes on from a template begins with, done once before the template is saved: the guest is
//! told who it is, and runs a command.
//!
//! What that reads and looks for is in the guest's memory then, and none of the guests after it does it again. Under
//! emulation, where each step is translated anew after a resume, that halves what lies between the agent's first
//! word and the end of a first command (measured). A template is as good without it: what fails is noted.

use super::act::Work;
use super::{identity, phases};
use crate::guest::{Link, rehearsal};
use banger_proto::fault::Fault;

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
    }

    /// What it begins behind its answer is over when this returns: it would go on in each that is made of it.
    async fn resume_as_itself(&self, link: &Link) -> Result<(), Fault> {
        identity::give(self, link, Some(true)).await?;
        phases::until_settled(link).await
    }
}
