//! What a machine looks like, as plain data that no VMM's words occur in.

use crate::layout::SandboxPaths;
use banger_model::host_names::{Mac, TapSlot};
use banger_model::{MemorySize, SandboxId, VcpuCount};
use std::fmt;
use std::path::PathBuf;

/// The name of the serial port on which the guest's agent listens.
pub const AGENT_PORT: &str = "banger.agent";

/// One machine to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Whose machine it is; names the process.
    pub id: SandboxId,
    /// Number of processors.
    pub vcpu: VcpuCount,
    /// Memory of the guest.
    pub memory: MemorySize,
    /// An uncompressed kernel (ELF).
    pub kernel: PathBuf,
    /// The initramfs with the agent.
    pub initramfs: PathBuf,
    /// Each role at most once; the guest tells them apart by [`DiskRole::serial`].
    pub disks: Vec<Disk>,
    /// What the guest may reach.
    pub network: Network,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// Where sockets and logs go. Both directories must exist.
    pub paths: SandboxPaths,
    /// Whether what the guest flushes reaches the host's disk. `false` is for disks that are thrown
    /// away with the guest: a crash of the host may then leave them torn.
    pub durable: bool,
    /// Whether it has a VM generation id: a number that is another at each start, by which a kernel that knows the
    /// device notices that it goes on from saved memory. To one that does not it is an interrupt for nothing,
    /// answered from ACPI's bytecode: 15 ms of each resume, emulated (measured).
    pub generation_id: bool,
    /// The guest goes on from here instead of booting. Its disks must be as they were at that moment, and
    /// the machine the same but for its paths, its network's other end and the sizes of its disks.
    pub resume: Option<Saved>,
}

/// A guest's memory and the state of its devices, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The whole memory, byte for byte; pages of zeros are holes. Many guests may go on from one file: each
    /// keeps what it writes to itself, and what none has written is in the host's memory once. It must not
    /// change while a guest lives that went on from it.
    pub memory: PathBuf,
    /// What the VMM says of processors and devices, in its own form.
    pub devices: PathBuf,
}

/// A disk image in raw format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What the guest uses it for.
    pub role: DiskRole,
    /// The file.
    pub path: PathBuf,
    /// Whether the guest may only read it. Such a file may belong to many machines at once.
    pub read_only: bool,
}

/// What a disk is for. Disks are told apart by role, never by letter or order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskRole {
    /// The image's root file system.
    Image,
    /// What the sandbox changes, laid over the image.
    System,
    /// Mounted at `/root`.
    Work,
    /// The kernel's modules.
    Modules,
}

impl DiskRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Image, Self::System, Self::Work, Self::Modules];

    /// The serial number that the guest reads from `/sys/block/*/serial`; virtio allows 20 bytes.
    #[must_use]
    pub const fn serial(self) -> &'static str {
        match self {
            Self::Image => "banger-image",
            Self::System => "banger-system",
            Self::Work => "banger-work",
            Self::Modules => "banger-modules",
        }
    }
}

/// What the guest may reach over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// No network device.
    None,
    /// A user-mode network inside of the VMM process, which needs no rights on the host.
    User {
        /// Whether connections to the outside are made for the guest; otherwise it reaches nothing,
        /// neither the host nor a resolver.
        outbound: bool,
    },
    /// A TAP of the host, which the VMM's user may open.
    Tap {
        /// Which.
        slot: TapSlot,
        /// The guest's hardware address.
        mac: Mac,
    },
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accelerator {
    /// The processor itself, through `/dev/kvm`.
    Kvm,
    /// QEMU's emulation: works everywhere, several times slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_differ_and_fit_into_what_virtio_allows() {
        let mut serials = DiskRole::ALL.map(DiskRole::serial).to_vec();
        assert!(serials.iter().all(|serial| serial.len() <= 20));
        serials.dedup();
        assert_eq!(serials.len(), DiskRole::ALL.len());
    }
}
