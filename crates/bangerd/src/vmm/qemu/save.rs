//! Saving a guest: its processors halt, the devices' state goes to a file by QEMU, the memory by us.

use super::memory::{self, Region};
use super::qmp::{Qmp, QmpError};
use super::survey::Version;
use super::{COMMAND_LIMIT, Qemu};
use crate::layout::SandboxPaths;
use crate::vmm::{Earlier, Paused, Saved, VmmError};
use std::sync::Arc;
use std::time::Duration;

/// The least version that can load what is saved: 8.2 has a migration from a file, and memory that is
/// mapped from a file opened for reading. Tried is 10.0.
pub const SAVE_FLOOR: Version = Version(8, 2, 0);

/// How long halting may take: what the guest has written to its disks is flushed by then.
const HALT_LIMIT: Duration = Duration::from_secs(30);

/// See [`crate::vmm::Vmm::pause`].
pub(super) async fn pause(qemu: &Qemu, paths: &SandboxPaths) -> Result<(), VmmError> {
    let limit = qemu.command_limit.max(HALT_LIMIT);
    let halted = async { Qmp::connect(&paths.vmm_socket(), limit).await?.stop().await };
    halted.await.map_err(failed("halt the guest"))
}

/// See [`crate::vmm::Vmm::can_save`].
pub(super) fn can_save(qemu: &Qemu) -> Result<(), VmmError> {
    if qemu.program.version < SAVE_FLOOR {
        return Err(VmmError::CannotSave {
            found: qemu.program.version.to_string(),
            floor: SAVE_FLOOR.to_string(),
        });
    }
    Ok(())
}

/// See [`crate::vmm::Vmm::save`].
pub(super) async fn save(qemu: &Qemu, guest: &Paused<'_>, into: &Saved) -> Result<(), VmmError> {
    can_save(qemu)?;
    let region = devices(qemu, guest, into).await?;
    let (unwritten, file) = (guest.unwritten, into.memory.clone());
    copied(move || memory::save(&region, unwritten, &file)).await
}

/// See [`crate::vmm::Vmm::save_over`].
pub(super) async fn save_over(
    qemu: &Qemu,
    guest: &Paused<'_>,
    into: &Saved,
    earlier: Arc<dyn Earlier>,
) -> Result<(), VmmError> {
    can_save(qemu)?;
    let region = devices(qemu, guest, into).await?;
    let (unwritten, file) = (guest.unwritten, into.memory.clone());
    copied(move || memory::save_over(&region, unwritten, &file, &*earlier)).await
}

async fn copied(
    copy: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), VmmError> {
    let saved = tokio::task::spawn_blocking(copy).await;
    let saved = saved.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    saved.map_err(|source| VmmError::Memory { source })
}

/// Saves the state of the devices; where the memory is, is learnt by the way.
async fn devices(qemu: &Qemu, guest: &Paused<'_>, into: &Saved) -> Result<Region, VmmError> {
    let limit = qemu.command_limit.max(COMMAND_LIMIT);
    let size = guest.memory.bytes();
    let asked = async {
        let mut qmp = Qmp::connect(&guest.paths.vmm_socket(), limit).await?;
        let blocks = qmp.ram_blocks().await?;
        qmp.save_devices(&into.devices).await?;
        memory::of_memory(&blocks, size)
            .ok_or_else(|| QmpError::Strange(format!("no memory of {size} bytes in {blocks:?}")))
    };
    Ok(Region {
        process: guest.process.clone(),
        address: asked
            .await
            .map_err(failed("save the state of the devices"))?,
        size,
    })
}

fn failed(doing: &'static str) -> impl FnOnce(QmpError) -> VmmError {
    move |source| VmmError::Control { doing, source }
}
