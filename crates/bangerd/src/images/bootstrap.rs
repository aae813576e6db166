//! Debian from its packages, through the host's `mmdebstrap`: no root needed, no tree of files kept.

use super::{
    apt,
    entry::{Entry, Kind},
    error::ImageError,
    import::Added,
    path,
};
use crate::{
    disks::{RunningChild, programs},
    progress::Progress,
};
use std::{io::Read, path::Path, process::Command};

const PROGRAM: &str = "mmdebstrap";

/// What a developer's shell and a boot of systemd need, beside the essential packages and apt.
const PACKAGES: [&str; 14] = [
    "ca-certificates",
    "curl",
    "dbus",
    "git",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "netbase",
    "openssh-client",
    "procps",
    "systemd",
    "systemd-sysv",
    "udev",
];

/// Documentation and translations, which the image does without.
///
/// `mmdebstrap` would filter each package by a program of its own, which takes a third of the whole
/// time; leaving the entries out of its tar has the same effect. The directories of manuals stay,
/// because some packages' scripts make links in them.
const LEFT_OUT: [&str; 5] = ["doc", "info", "lintian", "locale", "man"];

/// The same for packages that are installed later. Nobody keeps a sandbox through a power cut in the
/// middle of an installation, so dpkg need not wait for the disk either.
const DPKG_CONFIGURATION: &str = "\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
path-exclude=/usr/share/man/*
force-unsafe-io
";

/// Units that cost time at boot and do nothing for a machine that has no console, no firmware and a
/// disk of its own only, and that is thrown away rather than kept up to date.
const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "getty@.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "remote-fs.target",
    "serial-getty@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
];

/// The command that writes the tar, and where it comes from in words.
pub(crate) fn command() -> Result<(Command, String), ImageError> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = debian_codename(&release);
    let suite = codename.unwrap_or("stable");
    let mirrors = codename
        .map(|name| apt::mirrors(Path::new("/etc/apt"), name))
        .unwrap_or_default();
    let mut command = programs::command(PROGRAM)?;
    programs::with_proxies(&mut command);
    if let Some(place) = std::env::var_os("TMPDIR") {
        command.env("TMPDIR", place);
    }
    let root = rustix::process::geteuid().is_root();
    command.args(arguments(suite, &mirrors, root));
    Ok((command, format!("{PROGRAM} {suite}")))
}

/// The code name of the host's own release, when it is Debian (os-release(5)).
fn debian_codename(release: &str) -> Option<&str> {
    let field = |name: &str| {
        let value = release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim().trim_matches(['"', '\'']))
    };
    let codename = field("VERSION_CODENAME").filter(|_| field("ID") == Some("debian"))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (codename.starts_with(|c: char| c.is_ascii_lowercase()) && codename.chars().all(plain))
        .then_some(codename)
}

fn arguments(suite: &str, mirrors: &[String], root: bool) -> Vec<String> {
    let mode = if root { "auto" } else { "unshare" };
    let mut arguments = vec![
        format!("--mode={mode}"),
        "--variant=apt".to_owned(),
        "--architectures=amd64".to_owned(),
        "--components=main".to_owned(),
        "--format=tar".to_owned(),
        format!("--include={}", PACKAGES.join(",")),
        "--aptopt=Acquire::Languages \"none\"".to_owned(),
        "--dpkgopt=force-unsafe-io".to_owned(),
    ];
    arguments.extend([suite.to_owned(), "-".to_owned()]);
    arguments.extend(mirrors.iter().cloned());
    arguments
}

/// What is laid over the packages: nothing of this host, an identity that is given at boot, and a
/// boot without what a sandbox does not need.
pub(crate) fn added() -> Vec<Added> {
    let mut all = vec![
        Added::File("etc/machine-id", ""),
        Added::File("etc/hostname", "localhost\n"),
        Added::File(
            "etc/hosts",
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        ),
        Added::File("etc/resolv.conf", ""),
        Added::File("etc/dpkg/dpkg.cfg.d/50-banger", DPKG_CONFIGURATION),
        Added::File("etc/default/locale", "LANG=C.UTF-8\n"),
        Added::File(
            "etc/systemd/journald.conf.d/50-banger.conf",
            "[Journal]\nStorage=volatile\nAudit=no\n",
        ),
    ];
    let mask = |unit: &&str| Added::Symlink(format!("etc/systemd/system/{unit}"), "/dev/null");
    all.extend(MASKED.iter().map(mask));
    all
}

/// Whether an entry of the bootstrap is documentation or a translation. Licences stay.
pub(crate) fn left_out(entry: &Entry) -> bool {
    let Ok(path) = path::components(&entry.path) else {
        return false;
    };
    match path.as_slice() {
        [b"usr", b"share", b"man", ..] => entry.kind != Kind::Directory,
        [b"usr", b"share", b"doc", _, b"copyright"]
        | [b"usr", b"share", b"locale", b"locale.alias"] => false,
        [b"usr", b"share", part, _, ..] => LEFT_OUT.iter().any(|name| name.as_bytes() == *part),
        _ => false,
    }
}

/// Runs the command and gives its output to `take`, which asks its second argument, once the stream
/// has ended, whether the command succeeded. A command that failed is the reason for whatever was
/// wrong with its output.
pub(crate) fn run<T>(
    command: Command,
    progress: &Progress,
    take: impl FnOnce(
        &mut dyn Read,
        &mut dyn FnMut() -> Result<(), ImageError>,
    ) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    let teller = progress.clone();
    let (mut child, mut stdout) =
        RunningChild::start(command, progress.cancelled(), move |line| {
            if let Some(stage) = line.strip_prefix("I: ") {
                teller.stage(stage);
            }
        })?;
    let taken = take(&mut stdout, &mut || succeeded(&mut child));
    // It was ended then: what it says of that is of no interest.
    progress.check()?;
    match taken {
        // Its output has ended, so it is about to end too, and knows better what went wrong.
        Err(ImageError::Archive(error)) if error.is_early_end() => {
            succeeded(&mut child)?;
            Err(error.into())
        }
        other => other,
    }
}

fn succeeded(child: &mut RunningChild) -> Result<(), ImageError> {
    let (status, words) = child.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(ImageError::Bootstrap {
        status: status.to_string(),
        remedy: remedy(&words),
        words,
    })
}

/// What helps against the failures that are known.
fn remedy(words: &str) -> Option<&'static str> {
    let has = |text| words.contains(text);
    if has("newuidmap") || has("newgidmap") || has("subuid") || has("subgid") || has("unshare") {
        Some(
            "install the package uidmap, and give this user a range of ids in /etc/subuid and /etc/subgid",
        )
    } else if has("No space left on device") {
        Some("free about 1GiB in the directory for temporary files, or point TMPDIR to another")
    } else if has("Could not resolve")
        || has("Could not connect")
        || has("Unable to connect")
        || has("Failed to fetch")
    {
        Some(
            "see whether this host reaches its package mirror; the usual proxy variables are honoured",
        )
    } else {
        None
    }
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
