//! What of a machine has to be the same for a guest that was saved to go on in it.

use super::{Qemu, args};
use crate::layout::SandboxPaths;
use crate::vmm::machine::{Disk, Machine, Network};
use crate::vmm::{MachineFingerprint, VmmError};
use banger_model::SandboxId;
use banger_model::host_names::{Mac, TapSlot};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// See [`crate::vmm::Vmm::fingerprint`].
pub(super) fn of(qemu: &Qemu, machine: &Machine) -> Result<MachineFingerprint, VmmError> {
    let program = &qemu.program;
    let found = program.path.metadata();
    let found = found.map_err(|source| VmmError::Process {
        doing: format!("look at {}", program.path.display()),
        source,
    })?;
    Ok(MachineFingerprint {
        vmm: format!("qemu {}", program.version),
        build: format!(
            "{} bytes of {}.{:09}",
            found.size(),
            found.mtime(),
            found.mtime_nsec()
        ),
        machine: digest(&args::arguments(&plain(machine))),
    })
}

/// The machine without what may be otherwise when its guest goes on: whose it is, where its files are, the
/// other end of its network, whether it is flushed to the host's disk, and whether it boots at all.
fn plain(machine: &Machine) -> Machine {
    let nobody = SandboxId::from_random([0; 16]);
    let without_path = |disk: &Disk| Disk {
        path: "/disk".into(),
        ..disk.clone()
    };
    Machine {
        id: nobody,
        kernel: "/kernel".into(),
        initramfs: "/initramfs".into(),
        disks: machine.disks.iter().map(without_path).collect(),
        network: match machine.network {
            Network::None => Network::None,
            Network::User { .. } => Network::User { outbound: false },
            Network::Tap { slot, .. } => Network::Tap {
                slot: TapSlot::all().next().unwrap_or(slot),
                mac: Mac::of(&nobody),
            },
        },
        paths: SandboxPaths {
            state: "/state".into(),
            runtime: "/run".into(),
        },
        durable: true,
        resume: None,
        vcpu: machine.vcpu,
        memory: machine.memory,
        accelerator: machine.accelerator,
        generation_id: machine.generation_id,
    }
}

/// In hexadecimal. Each argument ends with a zero, which none can have in it.
fn digest(arguments: &[OsString]) -> String {
    let mut hasher = Sha256::new();
    for argument in arguments {
        hasher.update(argument.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmm::machine::{Accelerator, DiskRole, Saved};

    fn machine() -> Machine {
        let disk = |role, read_only| Disk {
            role,
            path: "/b/disk".into(),
            read_only,
        };
        Machine {
            id: SandboxId::from_random([7; 16]),
            vcpu: 2.try_into().expect("in range"),
            memory: 512.try_into().expect("in range"),
            kernel: "/b/vmlinux".into(),
            initramfs: "/b/initramfs".into(),
            disks: vec![disk(DiskRole::Image, true), disk(DiskRole::System, false)],
            network: Network::User { outbound: true },
            accelerator: Accelerator::Tcg,
            paths: SandboxPaths {
                state: "/b/s".into(),
                runtime: "/b/r".into(),
            },
            durable: true,
            generation_id: true,
            resume: None,
        }
    }

    fn of_machine(machine: &Machine) -> String {
        digest(&args::arguments(&plain(machine)))
    }

    fn tap(slot: u16, id: u8) -> Network {
        Network::Tap {
            slot: slot.try_into().expect("in range"),
            mac: Mac::of(&SandboxId::from_random([id; 16])),
        }
    }

    #[test]
    fn whose_it_is_and_where_its_files_are_does_not_count() {
        let mut other = machine();
        other.id = SandboxId::from_random([9; 16]);
        (other.kernel, other.initramfs) = ("/c/k".into(), "/c/i".into());
        other.disks[1].path = "/c/system".into();
        other.network = Network::User { outbound: false };
        other.paths.state = "/c/s".into();
        other.paths.runtime = "/c/r".into();
        other.durable = false;
        other.resume = Some(Saved {
            memory: "/c/m".into(),
            devices: "/c/d".into(),
        });
        assert_eq!(of_machine(&machine()), of_machine(&other));
        let (mut one, mut two) = (machine(), machine());
        (one.network, two.network) = (tap(3, 1), tap(4, 2));
        assert_eq!(of_machine(&one), of_machine(&two));
    }

    #[test]
    fn each_thing_that_the_guest_sees_counts() {
        type Change = fn(&mut Machine);
        let changes: [Change; 10] = [
            |_| {},
            |machine| machine.vcpu = 3.try_into().expect("in range"),
            |machine| machine.memory = 1024.try_into().expect("in range"),
            |machine| machine.accelerator = Accelerator::Kvm,
            |machine| machine.network = Network::None,
            |machine| machine.network = tap(1, 1),
            |machine| machine.disks[1].read_only = true,
            |machine| machine.disks[1].role = DiskRole::Work,
            |machine| machine.disks.reverse(),
            |machine| machine.generation_id = false,
        ];
        let digests: std::collections::BTreeSet<_> = changes
            .iter()
            .map(|change| {
                let mut machine = machine();
                change(&mut machine);
                of_machine(&machine)
            })
            .collect();
        assert_eq!(digests.len(), changes.len());
    }

    mod t1 {
        use super::*;
        use crate::vmm::Vmm;
        use crate::vmm::qemu::{Launcher, Program, Version};

        #[test]
        fn another_build_of_the_program_is_another_one() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("qemu");
            let program = Program {
                path: path.clone(),
                version: Version(10, 0, 2),
                modified: std::time::SystemTime::UNIX_EPOCH,
            };
            let qemu = Qemu::new(program, Launcher::this_program());
            qemu.fingerprint(&machine()).expect_err("it is not there");
            std::fs::write(&path, "one").expect("written");
            let one = qemu.fingerprint(&machine()).expect("there");
            assert_eq!(one.vmm, "qemu 10.0.2");
            assert_eq!(one, qemu.fingerprint(&machine()).expect("there"));
            std::fs::write(&path, "another").expect("written");
            let two = qemu.fingerprint(&machine()).expect("there");
            assert_ne!(one.build, two.build);
            assert_eq!((one.vmm, one.machine), (two.vmm, two.machine));
        }
    }
}
