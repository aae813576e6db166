//! Checks of everything that banger needs. Nothing is made for them; see [`network`] for the two
//! exceptions of the host's network.

mod network;

use crate::accelerators;
use crate::host;
use crate::services::{Services, blocking};
use crate::vmm::Vmm;
use banger_model::defaults::vm_defaults;
use banger_model::size::show_bytes;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::{Check, Verdict};
use std::sync::Arc;

/// Room below which the user is warned, in bytes: one image and a few written disks.
const LITTLE_ROOM: u64 = 4 << 30;

fn check(name: &str, verdict: Verdict, found: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        verdict,
        found: found.into(),
        remedy: None,
    }
}

fn from_fault(name: &str, verdict: Verdict, fault: Fault) -> Check {
    Check {
        remedy: fault.remedy.clone(),
        ..check(name, verdict, fault.message)
    }
}

/// All checks, in the order in which they depend on each other.
pub async fn examine(services: &Arc<Services>) -> Vec<Check> {
    let mut checks = vec![architecture()];
    checks.push(match services.vmm().await {
        Ok(vmm) => {
            let backend = vmm.describe();
            let found = format!(
                "{} {} at {}",
                backend.name,
                backend.version,
                backend.program.display()
            );
            check("VMM", Verdict::Pass, found)
        }
        Err(fault) => from_fault("VMM", Verdict::Fail, fault),
    });
    checks.push(accelerator(services).await);
    checks.push(agent(services));
    checks.push(default_kernel(services).await);
    checks.push(default_image(services).await);
    checks.extend(programs());
    checks.extend(network::checks(services).await);
    checks.push(room(services));
    checks.push(defaults(services));
    checks.push(match services.store.all().await {
        Ok((records, bad)) if bad.is_empty() => check(
            "state",
            Verdict::Pass,
            format!("{} sandbox(es) recorded", records.len()),
        ),
        Ok((_, bad)) => {
            let words: Vec<_> = bad.iter().map(ToString::to_string).collect();
            check("state", Verdict::Fail, words.join("; "))
        }
        Err(error) => from_fault("state", Verdict::Fail, error.into()),
    });
    checks
}

fn architecture() -> Check {
    match std::env::consts::ARCH {
        "x86_64" => check("architecture", Verdict::Pass, "x86_64"),
        other => check(
            "architecture",
            Verdict::Fail,
            format!("{other}: only x86_64 is supported"),
        ),
    }
}

async fn accelerator(services: &Arc<Services>) -> Check {
    use crate::vmm::Accelerator;
    let not_yet = || {
        let found = "not probed yet: the first start of the default kernel does it";
        check("accelerator", Verdict::Pass, found)
    };
    let (store, name) = (
        services.kernels.clone(),
        services.config.default_kernel.0.clone(),
    );
    let kernel = blocking(move || store.get(&name).map_err(Fault::from)).await;
    let (Ok(vmm), Ok(kernel)) = (services.vmm().await, kernel) else {
        return not_yet();
    };
    match accelerators::known(services, &vmm, &kernel) {
        Err(fault) => from_fault("accelerator", Verdict::Warn, fault),
        Ok(None) => not_yet(),
        Ok(Some(probe)) if probe.accelerator == Accelerator::Kvm => check(
            "accelerator",
            Verdict::Pass,
            format!("KVM: {}", probe.reason),
        ),
        Ok(Some(probe)) => {
            let slower = "guests run, several times slower: a host with a working KVM is faster";
            Check {
                remedy: Some(probe.remedy.unwrap_or_else(|| slower.into())),
                ..check(
                    "accelerator",
                    Verdict::Warn,
                    format!("emulation: {}", probe.reason),
                )
            }
        }
    }
}

fn agent(services: &Services) -> Check {
    let path = services.agent();
    match crate::initramfs::check_agent(&path) {
        Ok(()) => check("agent", Verdict::Pass, path.display().to_string()),
        Err(error) => from_fault("agent", Verdict::Fail, error.into()),
    }
}

async fn default_kernel(services: &Arc<Services>) -> Check {
    let (store, name) = (
        services.kernels.clone(),
        services.config.default_kernel.0.clone(),
    );
    let shown = name.clone();
    match blocking(move || store.get(&name).map_err(Fault::from)).await {
        Ok(kernel) => check(
            "default kernel",
            Verdict::Pass,
            format!("{shown}: {}", kernel.manifest.version),
        ),
        Err(fault) if fault.code == FaultCode::NotFound => missing("default kernel", &shown),
        Err(fault) => from_fault("default kernel", Verdict::Fail, fault),
    }
}

async fn default_image(services: &Arc<Services>) -> Check {
    let (store, name) = (
        services.images.clone(),
        services.config.default_image.0.clone(),
    );
    let shown = name.clone();
    match blocking(move || store.get(&name).map_err(Fault::from)).await {
        Ok(image) => check(
            "default image",
            Verdict::Pass,
            format!("{shown}: {}", image.manifest.origin),
        ),
        Err(fault) if fault.code == FaultCode::NotFound => missing("default image", &shown),
        Err(fault) => from_fault("default image", Verdict::Fail, fault),
    }
}

fn missing(what: &str, name: &banger_model::ArtifactName) -> Check {
    let builtin = [crate::config::BUILTIN_IMAGE, crate::config::BUILTIN_KERNEL];
    if builtin.contains(&name.as_str()) {
        return check(
            what,
            Verdict::Pass,
            format!("{name}: not made yet, the first start makes it"),
        );
    }
    Check {
        remedy: Some(format!("import it, or change the {what} in config.toml")),
        ..check(what, Verdict::Fail, format!("{name} is not there"))
    }
}

/// Programs that banger runs, and what fails without each.
fn programs() -> Vec<Check> {
    let wanted = [
        (
            "mke2fs",
            Verdict::Fail,
            "no sandbox can be created",
            "e2fsprogs",
        ),
        ("e2fsck", Verdict::Fail, "no image can be made", "e2fsprogs"),
        (
            "mmdebstrap",
            Verdict::Warn,
            "the default image cannot be made",
            "mmdebstrap",
        ),
    ];
    let look =
        |(program, verdict, without, package): (&str, _, _, _)| match crate::disks::programs::find(
            program,
        ) {
            Ok(path) => check(program, Verdict::Pass, path.display().to_string()),
            Err(_) => Check {
                remedy: Some(format!("install the package {package}")),
                ..check(program, verdict, format!("not found: {without}"))
            },
        };
    wanted.into_iter().map(look).collect()
}

fn room(services: &Services) -> Check {
    match host::room(&services.layout.state) {
        None => check("room", Verdict::Warn, "cannot be found out"),
        Some(room) => {
            let found = format!(
                "{} free of {}",
                show_bytes(room.free),
                show_bytes(room.total)
            );
            let verdict = if room.free < LITTLE_ROOM {
                Verdict::Warn
            } else {
                Verdict::Pass
            };
            let remedy = format!(
                "make room on the file system of {}",
                services.layout.state.display()
            );
            Check {
                remedy: (verdict == Verdict::Warn).then_some(remedy),
                ..check("room", verdict, found)
            }
        }
    }
}

fn defaults(services: &Services) -> Check {
    let defaults = vm_defaults(services.config.vm_defaults, host::size());
    let found = format!(
        "vcpu {} ({}), memory {} ({}), disk {} ({})",
        defaults.vcpu.value,
        defaults.vcpu.source,
        defaults.memory.value,
        defaults.memory.source,
        defaults.work_disk.value,
        defaults.work_disk.source
    );
    check("VM defaults", Verdict::Pass, found)
}
