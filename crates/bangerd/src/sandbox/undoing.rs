//! Taking a sandbox back to what it was before one of its commands: see [`crate::checkpoints`].

use super::act::{Failure, Work};
use super::works::{Outcome, start};
use crate::checkpoints::Undo;
use crate::fault_points::Side;
use crate::services::blocking;
use banger_model::plan::{Goal, Unfinished};
use banger_model::spec::Wait;
use banger_proto::fault::{Fault, FaultCode};
use std::sync::Arc;

/// Takes it back, and lets its guest go on.
pub(super) async fn undo(mut work: Work, number: u32) -> Outcome {
    let undo = match work.chosen_checkpoint(number).await {
        Ok(undo) => undo,
        Err(fault) => return Outcome::failed(work, fault),
    };
    match work.take_back(undo).await {
        Ok(()) => start(work, Wait::Agent).await,
        result => Outcome::of(work, result),
    }
}

impl Work {
    async fn chosen_checkpoint(&self, number: u32) -> Result<Undo, Fault> {
        let _turn = self.making.lock().await;
        self.progress.stage("checking the checkpoint");
        let (checkpoints, name) = (self.checkpoints(), self.record().name);
        let verified = Arc::clone(&self.services.verified);
        blocking(move || {
            let Some(undo) = Undo::to(&checkpoints, number)? else {
                let message = format!("the checkpoint of sandbox {name} is gone");
                return Err(Fault::new(FaultCode::NotFound, message)
                    .with_remedy(format!("see `banger vm history {name}`")));
            };
            undo.verify(&verified)?;
            Ok(undo)
        })
        .await
    }

    async fn take_back(&mut self, undo: Undo) -> Result<(), Failure> {
        self.pass("intend-undo", Side::Before).await?;
        let intended = undo.clone();
        blocking(move || Ok(intended.intend()?)).await?;
        let result = self.follow_intent(undo).await;
        let Err(failure) = result else {
            return Ok(());
        };
        // While its VMM lives nothing was taken back.
        let lives = self.survey().is_ok_and(|found| found.vmm.is_some());
        if lives && Undo::give_up(&self.checkpoints()).is_ok() {
            return Err(failure);
        }
        if !Undo::is_begun(&self.checkpoints()) {
            return Err(failure);
        }
        Err(Failure {
            fault: failure.fault,
            unfinished: Some(failure.unfinished.unwrap_or(Unfinished {
                aim: Goal::AtRest,
                leftovers: vec![],
            })),
        })
    }

    async fn follow_intent(&mut self, undo: Undo) -> Result<(), Failure> {
        self.pass("intend-undo", Side::After).await?;
        self.progress.stage("ending the VMM");
        self.view.send_modify(|view| view.link = None);
        self.reach(Goal::AtRest).await?;
        self.pass("take-back", Side::Before).await?;
        self.progress.stage("taking disks and memory back");
        self.do_undo(undo).await?;
        self.pass("take-back", Side::After).await?;
        Ok(self.settle(None).await?)
    }

    async fn do_undo(&self, undo: Undo) -> Result<(), Fault> {
        let (paths, record) = (self.paths.clone(), self.record());
        let verified = Arc::clone(&self.services.verified);
        blocking(move || {
            undo.take_back(&paths)?;
            Ok(undo.finish(&paths, (record.id, record.name), &verified)?)
        })
        .await
    }

    /// Ends an undo that broke off after the VMM had ended: before anything is made of the disks.
    pub(super) async fn finish_undo(&self) -> Result<(), Fault> {
        let checkpoints = self.checkpoints();
        if !Undo::is_begun(&checkpoints) {
            return Ok(());
        }
        self.progress.note("an undo had been begun: it is finished");
        match blocking(move || Ok(Undo::begun(&checkpoints)?)).await? {
            Some(undo) => self.do_undo(undo).await,
            None => Ok(()),
        }
    }

    /// After a crash: an undo whose VMM lives had taken nothing back yet.
    pub(super) async fn finish_or_give_up_undo(&self, vmm_lives: bool) -> Result<(), Fault> {
        match vmm_lives {
            true => Ok(Undo::give_up(&self.checkpoints())?),
            false => self.finish_undo().await,
        }
    }

    /// A snapshot takes the place of all that an undo had begun with.
    pub(super) fn replaces_undo(&self) -> Result<(), Fault> {
        let checkpoints = self.checkpoints();
        match Undo::is_begun(&checkpoints) {
            true => Ok(checkpoints.clear()?),
            false => Ok(()),
        }
    }
}
