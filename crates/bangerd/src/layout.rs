//! Every path that the daemon uses, in one place. `docs/state.md` lists them with who writes and
//! who removes each; `cargo xtask tidy` compares the two.

use banger_model::snapshot::Tag;
use banger_model::{ArtifactName, SandboxId};
use std::path::{Path, PathBuf};

/// The four directories under which everything lies.
///
/// Standalone: the XDG base directories of the caller. System (a later issue): `/etc/banger`,
/// `/var/lib/banger`, `/var/cache/banger`, `/run/banger`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Configuration: `config.toml`.
    pub config: PathBuf,
    /// What must not be lost: records, disks, images, kernels.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Sockets and locks; gone after a reboot.
    pub runtime: PathBuf,
}

impl Layout {
    /// The owner's configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }
    /// The database of records.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("state.db")
    }
    /// One directory per image: `image.ext4` and `manifest.json`.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.state.join("images")
    }
    /// The directory of one image.
    #[must_use]
    pub fn image(&self, name: &ArtifactName) -> PathBuf {
        self.images().join(name.as_str())
    }
    /// One directory per kernel: `vmlinux`, `modules.ext4`, `boot-modules/` and `manifest.json`.
    #[must_use]
    pub fn kernels(&self) -> PathBuf {
        self.state.join("kernels")
    }
    /// The directory of one kernel.
    #[must_use]
    pub fn kernel(&self, name: &ArtifactName) -> PathBuf {
        self.kernels().join(name.as_str())
    }
    /// One directory per sandbox.
    #[must_use]
    pub fn sandboxes(&self) -> PathBuf {
        self.state.join("sandboxes")
    }
    /// The state directory of one sandbox: disks, console log, VMM log.
    #[must_use]
    pub fn sandbox(&self, id: SandboxId) -> PathBuf {
        self.sandboxes().join(id.to_string())
    }
    /// Initramfs files by digest of what they are made of.
    #[must_use]
    pub fn initramfs_cache(&self) -> PathBuf {
        self.cache.join("initramfs")
    }
    /// Results of probe boots.
    #[must_use]
    pub fn probe_cache(&self) -> PathBuf {
        self.cache.join("probe.json")
    }
    /// One directory per template: a snapshot of a first boot.
    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.cache.join("templates")
    }
    /// The directory of one template. The key says what it was made of: a part of a path, without a dot at
    /// its beginning.
    #[must_use]
    pub fn template(&self, key: &str) -> PathBuf {
        self.templates().join(key)
    }
    /// Where things are built before they are published by rename; on the same file system as
    /// `state`. Whatever lies here at start is left over from a crash and is removed.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.state.join("staging")
    }
    /// The owner API's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("bangerd.sock")
    }
    /// The root helper's socket, in standalone mode as root.
    #[must_use]
    pub fn root_socket(&self) -> PathBuf {
        self.runtime.join("banger-root.sock")
    }
    /// What the root helper printed.
    #[must_use]
    pub fn root_log(&self) -> PathBuf {
        self.state.join("banger-root.log")
    }
    /// Held locked by the one daemon that serves this layout; contains its pid.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.runtime.join("bangerd.lock")
    }
    /// What was asked of the daemon, by whom, and what came of it: a line each.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }
    /// What happened to sandboxes: a line each.
    #[must_use]
    pub fn event_log(&self) -> PathBuf {
        self.state.join("events.jsonl")
    }
    /// What was on the host when its owner had it recorded, for `banger doctor --prove`.
    #[must_use]
    pub fn baseline(&self) -> PathBuf {
        self.state.join("baseline.json")
    }
    /// The key that exports are signed with.
    #[must_use]
    pub fn export_key(&self) -> PathBuf {
        self.state.join("export.key")
    }
    /// The daemon's own log.
    #[must_use]
    pub fn daemon_log(&self) -> PathBuf {
        self.state.join("bangerd.log")
    }
    /// One runtime directory per sandbox that runs.
    #[must_use]
    pub fn sandbox_runtimes(&self) -> PathBuf {
        self.runtime.join("vm")
    }
    /// The runtime directory of one sandbox: the sockets of its VMM.
    #[must_use]
    pub fn sandbox_runtime(&self, id: SandboxId) -> PathBuf {
        self.sandbox_runtimes().join(id.short())
    }
}

/// Paths inside of a sandbox's two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPaths {
    /// See [`Layout::sandbox`].
    pub state: PathBuf,
    /// See [`Layout::sandbox_runtime`].
    pub runtime: PathBuf,
}

impl SandboxPaths {
    /// The paths of one sandbox.
    #[must_use]
    pub fn of(layout: &Layout, id: SandboxId) -> Self {
        Self {
            state: layout.sandbox(id),
            runtime: layout.sandbox_runtime(id),
        }
    }
    /// The system disk, a sparse ext4.
    #[must_use]
    pub fn system_disk(&self) -> PathBuf {
        self.state.join("system.ext4")
    }
    /// The work disk, a sparse ext4.
    #[must_use]
    pub fn work_disk(&self) -> PathBuf {
        self.state.join("work.ext4")
    }
    /// One directory per snapshot.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.state.join("snapshots")
    }
    /// The directory of one snapshot: disks, and memory and devices of a guest that ran.
    #[must_use]
    pub fn snapshot(&self, tag: &Tag) -> PathBuf {
        self.snapshots().join(tag.as_str())
    }
    /// What it was before its last commands.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.state.join("checkpoints")
    }
    /// The guest that the next start goes on from: memory and devices. While it is there, nobody has written
    /// to the disks since.
    #[must_use]
    pub fn resume(&self) -> PathBuf {
        self.state.join("resume")
    }
    /// What the guest that runs went on from: the pages that it has not written are still these. It is never
    /// gone on from again.
    #[must_use]
    pub fn origin(&self) -> PathBuf {
        self.state.join("origin")
    }
    /// A whole copy of a snapshot that the sandbox is being taken back to.
    #[must_use]
    pub fn restored(&self) -> PathBuf {
        self.state.join("restored")
    }
    /// What the guest's console printed (its newest part).
    #[must_use]
    pub fn console_log(&self) -> PathBuf {
        self.state.join("console.log")
    }
    /// How much of the console's log was cut off, in bytes; absent while nothing was.
    #[must_use]
    pub fn console_cut(&self) -> PathBuf {
        self.state.join("console.cut")
    }
    /// What the VMM itself printed.
    #[must_use]
    pub fn vmm_log(&self) -> PathBuf {
        self.state.join("vmm.log")
    }
    /// The VMM's control socket.
    #[must_use]
    pub fn vmm_socket(&self) -> PathBuf {
        self.runtime.join("qmp.sock")
    }
    /// The host's end of the agent's link.
    #[must_use]
    pub fn agent_socket(&self) -> PathBuf {
        self.runtime.join("agent.sock")
    }
    /// The socket of the carrier of its published ports.
    #[must_use]
    pub fn carrier_socket(&self) -> PathBuf {
        self.runtime.join("carry.sock")
    }
}

/// The longest path that a Unix socket can have, in bytes, without its closing zero (`sun_path` of
/// unix(7) holds 108).
pub const LONGEST_SOCKET_PATH: usize = 107;

/// Whether a socket can be bound at the path.
#[must_use]
pub fn fits_socket_address(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST_SOCKET_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(runtime: &str) -> Layout {
        Layout {
            config: "/c".into(),
            state: "/s".into(),
            cache: "/k".into(),
            runtime: runtime.into(),
        }
    }

    #[test]
    fn sockets_fit_under_the_usual_runtime_directories() {
        let id = SandboxId::from_random([0xff; 16]);
        for runtime in [
            "/run/user/4294967295/banger",
            "/tmp/banger-runtime-4294967295",
        ] {
            let paths = SandboxPaths::of(&layout(runtime), id);
            assert!(fits_socket_address(&paths.agent_socket()));
            assert!(fits_socket_address(&paths.vmm_socket()));
            assert!(fits_socket_address(&paths.carrier_socket()));
        }
        let long = format!("/{}", "d".repeat(100));
        assert!(!fits_socket_address(
            &SandboxPaths::of(&layout(&long), id).agent_socket()
        ));
    }

    #[test]
    fn a_snapshot_lies_in_its_sandbox_and_a_template_in_the_cache() {
        let all = layout("/r");
        let paths = SandboxPaths::of(&all, SandboxId::from_random([1; 16]));
        let tag = "before".parse().expect("a tag");
        assert!(paths.snapshot(&tag).starts_with(paths.snapshots()));
        for path in [paths.snapshots(), paths.resume(), paths.origin()] {
            assert_eq!(path.parent(), Some(paths.state.as_path()));
        }
        assert_eq!(all.template("k"), Path::new("/k/templates/k"));
    }

    #[test]
    fn nothing_of_one_sandbox_lies_in_another() {
        let all = layout("/r");
        let one = SandboxPaths::of(&all, SandboxId::from_random([1; 16]));
        let two = SandboxPaths::of(&all, SandboxId::from_random([2; 16]));
        assert!(!one.state.starts_with(&two.state) && !one.runtime.starts_with(&two.runtime));
    }
}
