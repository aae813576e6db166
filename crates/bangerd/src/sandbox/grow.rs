//! Disks that are to be larger, once that is recorded. Of a machine that does not run the file becomes longer,
//! and the guest grows what is in it when it mounts it. Of one that runs the VMM makes the disk larger under the
//! guest, whose agent then grows what is in it. Whatever comes in between, the next start makes up for it.

use super::act::Work;
use super::linked;
use crate::disks::grow;
use crate::fault_points::Side;
use crate::guest::Link;
use crate::guest::stream::CallError;
use crate::vmm::{DiskRole, Vmm};
use crate::wait::{Every, Look, Until, WaitError, wait};
use banger_model::Spec;
use banger_model::resize::GrowingDisk;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::message::{Answer, Call, GrowDisk};
use std::path::PathBuf;
use std::time::Duration;

/// How long is waited for the link of a guest that runs: one that was lost is made again.
const LINK_LIMIT: Duration = Duration::from_secs(10);
/// How long a guest may take to see that its disk is larger, and to grow what is in it.
const GROW_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked to: it does nothing before it sees that the disk is larger.
const ASK: Every = Every {
    interval: Duration::from_millis(20),
    limit: GROW_LIMIT,
};

impl Work {
    pub(super) fn disk(&self, disk: GrowingDisk) -> PathBuf {
        match disk {
            GrowingDisk::Work => self.paths.work_disk(),
            GrowingDisk::System => self.paths.system_disk(),
        }
    }

    /// Finds what a disk's file system was not made for before anything is changed.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn disks_can_have(&self, spec: &Spec) -> Result<(), Fault> {
        let now = self.record().spec;
        for disk in GrowingDisk::ALL {
            let wanted = disk.size(spec);
            if wanted > disk.size(&now)
                && let Some(fault) = grow::why_not(&self.disk(disk), wanted)?
            {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Has the files of disks that no guest has open be as long as the record says. They are shorter when
    /// the record was changed while a guest had them, or a crash came in between.
    ///
    /// # Errors
    /// Which disk cannot grow, and why; all are as they were.
    pub(super) async fn lengthen_disks(&self) -> Result<(), Fault> {
        let mut longer = Vec::new();
        let lengthened = self.try_to_lengthen(&mut longer).await;
        if lengthened.is_err() {
            for (path, before) in longer {
                if let Err(error) = grow::shorten_again(&path, before) {
                    tracing::error!("a disk stays longer than it should be: {error}");
                }
            }
        }
        lengthened
    }

    async fn try_to_lengthen(&self, longer: &mut Vec<(PathBuf, u64)>) -> Result<(), Fault> {
        let spec = self.record().spec;
        for disk in GrowingDisk::ALL {
            let path = self.disk(disk);
            if !path.exists() {
                continue;
            }
            let (phase, _) = phases(disk);
            self.pass(phase, Side::Before).await?;
            let before = grow::lengthen(&path, disk.size(&spec)).map_err(|error| {
                let fault = error.fault();
                let outer = Fault::new(fault.code, format!("the {disk} cannot grow: {fault}"));
                let remedy = fault.remedy.unwrap_or_else(|| {
                    "see that the file can be written, or keep the size that it has".into()
                });
                outer.with_remedy(remedy)
            })?;
            longer.extend(before.map(|before| (path, before)));
            self.pass(phase, Side::After).await?;
        }
        Ok(())
    }

    /// Has a disk of a guest that runs be as large as the record says, and what is in it.
    ///
    /// # Errors
    /// Why that has to wait for the next start.
    pub(super) async fn grow_now(&self, disk: GrowingDisk) -> Result<(), Fault> {
        let link = linked(self.view.watch(), LINK_LIMIT).await?;
        if !link.can_grow() {
            return Err(Fault::new(
                FaultCode::Version,
                "its agent is of an older banger",
            ));
        }
        let size = disk.size(&self.record().spec);
        let bytes = grow::target(&self.disk(disk), size)?;
        let (role, call) = match disk {
            GrowingDisk::Work => (DiskRole::Work, GrowDisk::Work),
            GrowingDisk::System => (DiskRole::System, GrowDisk::System),
        };
        let (_, phase) = phases(disk);
        self.pass(phase, Side::Before).await?;
        let vmm = self.services.vmm().await?;
        vmm.resize_disk(&self.paths, role, bytes).await?;
        self.pass(phase, Side::After).await?;
        until_grown(&link, call, bytes).await
    }
}

/// What making a disk's file longer is called, and making it larger under a guest.
const fn phases(disk: GrowingDisk) -> (&'static str, &'static str) {
    match disk {
        GrowingDisk::Work => ("lengthen-work-disk", "resize-work-disk"),
        GrowingDisk::System => ("lengthen-system-disk", "resize-system-disk"),
    }
}

/// Asks the guest until what is in the disk has so many bytes. What it says is believed: it concerns the
/// guest alone.
async fn until_grown(link: &Link, disk: GrowDisk, bytes: u64) -> Result<(), Fault> {
    let call = Call::Grow { disk };
    let what = "waiting for the guest to see that its disk is larger";
    let grown = wait(what, ASK, Until::after(GROW_LIMIT), || async {
        match link.call(&call, GROW_LIMIT).await {
            Ok(Answer::Grown { bytes: has }) if has >= bytes => Look::There(()),
            Ok(Answer::Grown { .. }) => Look::NotYet(None),
            Ok(_) => {
                let error = CallError::Nonsense("another answer than to `grow`");
                Look::Never(Some(Fault::from(error)))
            }
            Err(error) => Look::Never(Some(Fault::from(error))),
        }
    });
    grown.await.map_err(|error| match error {
        WaitError::Failed {
            reason: Some(fault),
            ..
        } => fault,
        _ => Fault::new(
            FaultCode::TimedOut,
            "the guest does not see that its disk is larger",
        ),
    })
}
