//! What a boot needs: the VMM, what it boots, and the programs that make it.

use super::{check, from_fault};
use crate::accelerators;
use crate::host;
use crate::services::{Services, blocking};
use crate::vmm::Vmm;
use banger_model::defaults::vm_defaults;
use banger_model::size::show_bytes;
use banger_model::spec::Source;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::{Check, Verdict};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// Room below which the user is warned, in bytes: one image and a few written disks.
const LITTLE_ROOM: u64 = 4 << 30;
/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// What the VMM is.
pub(super) async fn vmm(services: &Services) -> Check {
    match services.vmm().await {
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
    }
}

pub(super) fn architecture() -> Check {
    match std::env::consts::ARCH {
        "x86_64" => check("architecture", Verdict::Pass, "x86_64"),
        other => check(
            "architecture",
            Verdict::Fail,
            format!("{other}: only x86_64 is supported"),
        ),
    }
}

pub(super) async fn accelerator(services: &Arc<Services>) -> Check {
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

/// What is remembered of probe boots.
pub(super) fn probe_results(services: &Services) -> Check {
    const NAME: &str = "probe results";
    let path = services.layout.probe_cache();
    let shown = path.display();
    if crate::vmm::probe::is_stale(&path) {
        return Check {
            remedy: Some("`banger doctor --fix` forgets them: the next start probes again".into()),
            ..check(
                NAME,
                Verdict::Warn,
                format!("{shown} has some that no longer hold"),
            )
        };
    }
    let found = if path.exists() {
        format!("{shown} holds")
    } else {
        "none yet".into()
    };
    check(NAME, Verdict::Pass, found)
}

pub(super) fn agent(services: &Services) -> Check {
    let path = services.agent();
    match crate::initramfs::check_agent(&path) {
        Ok(()) => check("agent", Verdict::Pass, path.display().to_string()),
        Err(error) => from_fault("agent", Verdict::Fail, error.into()),
    }
}

pub(super) async fn default_kernel(services: &Arc<Services>) -> Check {
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

pub(super) async fn default_image(services: &Arc<Services>) -> Check {
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
pub(super) async fn programs() -> Vec<Check> {
    let wanted = [
        (
            "mke2fs",
            "-V",
            Verdict::Fail,
            "no sandbox can be created",
            "e2fsprogs",
        ),
        (
            "e2fsck",
            "-V",
            Verdict::Fail,
            "no image can be made",
            "e2fsprogs",
        ),
        (
            "mmdebstrap",
            "--version",
            Verdict::Warn,
            "the default image cannot be made",
            "mmdebstrap",
        ),
    ];
    let mut checks = Vec::new();
    for (program, option, verdict, without, package) in wanted {
        checks.push(match crate::disks::programs::find(program) {
            Ok(path) => {
                let version = version(&path, option).await;
                check(
                    program,
                    Verdict::Pass,
                    format!("{version}at {}", path.display()),
                )
            }
            Err(_) => Check {
                remedy: Some(format!("install the package {package}")),
                ..check(program, verdict, format!("not found: {without}"))
            },
        });
    }
    checks
}

/// The first number with a dot in what a program says of itself, and a space; nothing where it says none.
async fn version(program: &std::path::Path, option: &str) -> String {
    let mut command = tokio::process::Command::new(program);
    command
        .arg(option)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let said = tokio::time::timeout(VERSION_LIMIT, command.output()).await;
    let Ok(Ok(said)) = said else {
        return String::new();
    };
    // mke2fs speaks on standard error.
    let text = [said.stdout, b" ".to_vec(), said.stderr].concat();
    number_in(&String::from_utf8_lossy(&text))
}

fn number_in(text: &str) -> String {
    let is_number =
        |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let found = text.split_ascii_whitespace().find(is_number);
    found.map_or_else(String::new, |version| format!("{version} "))
}

pub(super) fn room(services: &Services) -> Check {
    // Before the first start there is only what it will be made in.
    let mut places = services.layout.state.ancestors();
    match places.find_map(host::room) {
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

pub(super) fn defaults(services: &Services) -> Check {
    let config = &services.config;
    let defaults = vm_defaults(config.vm_defaults, host::size());
    let named = |(name, configured): &(banger_model::ArtifactName, bool)| {
        let source = if *configured {
            Source::Config
        } else {
            Source::Builtin
        };
        format!("{name} ({source})")
    };
    let found = format!(
        "image {}, kernel {}, vcpu {} ({}), memory {} ({}), disk {} ({}), system disk {} ({})",
        named(&config.default_image),
        named(&config.default_kernel),
        defaults.vcpu.value,
        defaults.vcpu.source,
        defaults.memory.value,
        defaults.memory.source,
        defaults.work_disk.value,
        defaults.work_disk.source,
        defaults.system_disk.value,
        defaults.system_disk.source
    );
    check("VM defaults", Verdict::Pass, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        for (text, version) in [
            (
                "mke2fs 1.47.0 (5-Feb-2023)\n Using EXT2FS Library",
                "1.47.0 ",
            ),
            ("mmdebstrap 1.3.5\n", "1.3.5 "),
            ("usage: none", ""),
            ("", ""),
        ] {
            assert_eq!(number_in(text), version);
        }
    }
}
