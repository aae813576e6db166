use super::*;
use crate::layout::{Layout, SandboxPaths};
use crate::vmm::machine::{DiskRole, Saved};
use banger_model::SandboxId;
use proptest::prelude::*;

fn machine_under(directory: &Path) -> Machine {
    let id = SandboxId::from_random([0xab; 16]);
    let layout = Layout {
        config: directory.join("c"),
        state: directory.join("s"),
        cache: directory.join("k"),
        runtime: directory.join("r"),
    };
    Machine {
        id,
        vcpu: 2.try_into().expect("in range"),
        memory: 512.try_into().expect("in range"),
        kernel: directory.join("vmlinux"),
        initramfs: directory.join("initramfs"),
        disks: Vec::new(),
        network: Network::None,
        accelerator: Accelerator::Tcg,
        paths: SandboxPaths::of(&layout, id),
        durable: true,
        generation_id: true,
        resume: None,
    }
}

fn full_machine() -> Machine {
    let disk = |role, name: &str, read_only| Disk {
        role,
        path: Path::new("/b").join(name),
        read_only,
    };
    Machine {
        disks: vec![
            disk(DiskRole::Image, "image.ext4", true),
            disk(DiskRole::System, "system.ext4", false),
            disk(DiskRole::Work, "work.ext4", false),
            disk(DiskRole::Modules, "modules.ext4", true),
        ],
        network: Network::User { outbound: false },
        ..machine_under(Path::new("/b"))
    }
}

/// One option with its value on each line, as one would write it down.
fn shown(machine: &Machine) -> String {
    let mut text = String::new();
    for argument in arguments(machine) {
        let argument = argument.to_string_lossy();
        if !text.is_empty() {
            text.push(if argument.starts_with('-') { '\n' } else { ' ' });
        }
        text.push_str(&argument);
    }
    text
}

#[test]
fn an_emulated_machine_with_all_disks_and_a_closed_network() {
    insta::assert_snapshot!(shown(&full_machine()));
}

#[test]
fn an_accelerated_machine_that_is_thrown_away_and_may_go_out() {
    let mut machine = full_machine();
    machine.disks.truncate(2);
    insta::assert_snapshot!(shown(&Machine {
        accelerator: Accelerator::Kvm,
        network: Network::User { outbound: true },
        durable: false,
        ..machine
    }));
}

#[test]
fn a_guest_that_goes_on_has_its_memory_from_a_file_that_nobody_writes_to() {
    let saved = Saved {
        memory: "/b/a,b/memory".into(),
        devices: "/b/devices".into(),
    };
    let cold = shown(&full_machine());
    let text = shown(&Machine {
        resume: Some(saved),
        ..full_machine()
    });
    let differs: Vec<_> = text.lines().filter(|line| !cold.contains(line)).collect();
    insta::assert_snapshot!(differs.join("\n"));
}

#[test]
fn a_probe_has_neither_disk_nor_network() {
    let text = shown(&machine_under(Path::new("/b")));
    assert!(!text.contains("-blockdev") && !text.contains("-netdev"));
}

#[test]
fn a_kernel_that_knows_no_generation_id_has_none() {
    let known = shown(&full_machine());
    let unknown = shown(&Machine {
        generation_id: false,
        ..full_machine()
    });
    assert!(known.contains("-device vmgenid,guid=auto"));
    assert!(!unknown.contains("vmgenid"));
}

#[test]
fn every_machine_is_confined() {
    for text in [
        shown(&full_machine()),
        shown(&machine_under(Path::new("/"))),
    ] {
        for denial in ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"] {
            assert!(text.contains(&format!("{denial}=deny")), "{denial}");
        }
    }
}

/// QEMU's reading of a value of the form `key=value,…`: two commas are one, one ends the value.
fn split_as_qemu_does(value: &OsStr) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b',' && bytes.next_if_eq(&b',').is_none() {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts
}

proptest! {
    #[test]
    fn no_directory_name_can_add_an_option(name in prop::collection::vec(1_u8..=255, 1..40)) {
        prop_assume!(!name.contains(&b'/'));
        let directory = Path::new("/b").join(OsString::from_vec(name));
        let mut hostile = machine_under(&directory);
        hostile.disks.push(Disk { role: DiskRole::Image, path: directory.join("i"), read_only: true });
        let mut harmless = machine_under(Path::new("/b"));
        harmless.disks.push(Disk { role: DiskRole::Image, path: "/b/i".into(), read_only: true });
        let saved = |place: &Path| Some(Saved { memory: place.join("m"), devices: place.join("d") });
        (hostile.resume, harmless.resume) = (saved(&directory), saved(Path::new("/b")));
        let (hostile_line, harmless_line) = (arguments(&hostile), arguments(&harmless));
        prop_assert_eq!(hostile_line.len(), harmless_line.len());
        let is_plain = |value: &OsString| *value == hostile.kernel || *value == hostile.initramfs;
        for (ours, theirs) in harmless_line.iter().zip(&hostile_line) {
            if is_plain(theirs) {
                continue;
            }
            prop_assert_eq!(split_as_qemu_does(ours).len(), split_as_qemu_does(theirs).len());
        }
        let mut expected = b"file.filename=".to_vec();
        expected.extend_from_slice(directory.join("i").as_os_str().as_bytes());
        prop_assert!(hostile_line.iter().any(|value| split_as_qemu_does(value).contains(&expected)));
    }
}
