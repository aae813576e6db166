//! How each host object of a sandbox is made and removed.

use super::act::{Failure, Work};
use crate::disks::{self, DiskError};
use crate::fault_points::Side;
use crate::host_network::Wish;
use crate::layout::SandboxPaths;
use crate::record::Record;
use crate::services::blocking;
use crate::snapshots::Snapshot;
use crate::vmm::DiskRole;
use banger_model::plan::{Goal, HostObject};
use banger_model::{DiskSize, SandboxState};
use banger_proto::fault::{Fault, FaultCode};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Work {
    pub(super) async fn make(&self, object: HostObject) -> Result<(), Fault> {
        let spec = self.record().spec;
        match object {
            HostObject::StateDirectory => make_directory(&self.paths.state),
            HostObject::RuntimeDirectory => make_directory(&self.paths.runtime),
            HostObject::SystemDisk => {
                let size = spec.system_disk.value;
                self.make_disk(
                    self.paths.system_disk(),
                    size,
                    "banger-system",
                    DiskRole::System,
                )
                .await
            }
            HostObject::WorkDisk => {
                let size = spec.work_disk.value;
                self.make_disk(self.paths.work_disk(), size, "banger-work", DiskRole::Work)
                    .await
            }
            HostObject::Network => self.attach().await,
            HostObject::Vmm => Ok(()),
        }
    }

    /// Makes what a new sandbox has: its disks, and what is saved of its memory where it is made of a
    /// snapshot. Broken off before the memory is there, it is one that boots.
    pub(super) async fn prepare(&mut self, seed: Option<Arc<Snapshot>>) -> Result<(), Failure> {
        self.reach(Goal::Present).await?;
        let Some(snapshot) = seed.filter(|seed| seed.saved().is_some()) else {
            return Ok(());
        };
        self.pass("put-memory", Side::Before).await?;
        let paths = self.paths.clone();
        blocking(move || Ok(snapshot.put_resume(&paths).map(drop)?)).await?;
        self.pass("put-memory", Side::After).await?;
        let suspended = |record: &mut Record| record.state = SandboxState::Suspended;
        Ok(self.put(suspended).await?)
    }

    async fn make_disk(
        &self,
        path: PathBuf,
        size: DiskSize,
        label: &'static str,
        role: DiskRole,
    ) -> Result<(), Fault> {
        let paths = self.paths.clone();
        let turn = Arc::clone(&self.making).lock_owned().await;
        let seed = self.seed.clone();
        let making = tokio::task::spawn_blocking(move || {
            let made = match seed {
                Some(snapshot) => snapshot
                    .copy_disk(role, &paths)
                    .map(drop)
                    .map_err(Fault::from),
                None => disks::make_sparse_ext4(&path, size, label).map_err(|error| error.fault()),
            };
            drop(turn);
            made
        });
        match making.await {
            Ok(result) => result,
            Err(error) => Err(Fault::new(
                FaultCode::Failed,
                format!("making a disk broke off: {error}"),
            )),
        }
    }

    /// Gives the guest its place on the bridge, if that is how it is connected. The TAP is recorded
    /// before the guest has it.
    async fn attach(&self) -> Result<(), Fault> {
        let record = self.record();
        let Some(place) = record.network else {
            return Ok(());
        };
        let wish = Wish::of(record.id, &record.name, &record.spec, place.host_part);
        let op = self.progress.op();
        let attaching = self.services.host_network.attach(record.id, wish, op);
        let attachment = attaching.await?;
        // Of a TAP nothing is left after a power cut.
        self.put_for_this_boot(|record| {
            if let Some(place) = &mut record.network {
                place.slot = Some(attachment.slot);
            }
        })
        .await?;
        if let Some(collision) = self.services.host_network.collision() {
            let note = format!("{collision}, which may take what is for machines: `banger doctor`");
            self.progress.note(note);
        }
        Ok(())
    }
}

fn make_directory(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| DiskError::io("create", path)(error).fault())
}

/// Removes one object of a sandbox; that it is gone already is a success. Directories hold only what
/// the daemon and the VMM put there, under a path made from the id.
pub(super) fn remove(paths: &SandboxPaths, object: HostObject) -> Result<(), Fault> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that owns a sandbox's directories"
    )]
    let (path, result) = match object {
        HostObject::StateDirectory => (&paths.state, std::fs::remove_dir_all(&paths.state)),
        HostObject::RuntimeDirectory => (&paths.runtime, std::fs::remove_dir_all(&paths.runtime)),
        HostObject::SystemDisk => (
            &paths.system_disk(),
            std::fs::remove_file(paths.system_disk()),
        ),
        HostObject::WorkDisk => (&paths.work_disk(), std::fs::remove_file(paths.work_disk())),
        HostObject::Network | HostObject::Vmm => return Ok(()),
    };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Fault::new(
            FaultCode::Failed,
            format!("cannot remove {}: {error}", path.display()),
        )),
        _ => Ok(()),
    }
}
