//! A world of one test: its own XDG directories, daemon, sandboxes. Dropping it ends every process of
//! it and removes every file; when its test is killed, its [`reaper`] does.

mod faults;
mod kept;
mod processes;
pub mod reaper;

pub use processes::{kill, signal};

use crate::fixtures;
use crate::mounts::SmallDisk;
use crate::run::{self, Ran};
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a command of a test may take: sixteen times what the slowest takes on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(240);

/// The owner's configuration where guests are simulated.
const SIMULATED_CONFIGURATION: &str = "accelerator = \"tcg\"\nstart_limit_seconds = 20\n";

/// Guests on the bridge. Names at any free port: tests run beside each other.
const BRIDGED: &str = "network = \"bridge\"\ndns_address = \"127.0.0.1:0\"\n";

/// The bridge of the host in memory. Whether it is there the daemon asks the kernel, which must not have
/// one of this name: it would pass for the one in memory after that was removed.
pub const SIMULATED_BRIDGE: &str = "br-fc-memory";

/// See the module.
#[derive(Debug)]
pub struct World {
    /// What the state directory is on, when it has a file system of its own; gone before the
    /// directory that it is mounted in.
    small_disk: Option<SmallDisk>,
    directory: tempfile::TempDir,
    binaries: PathBuf,
    environment: Vec<(String, PathBuf)>,
    /// Whether guests are the host.
    simulated: bool,
    /// Ends the world when its test cannot; after everything else.
    _reaper: reaper::Reaper,
}

impl World {
    fn new(binaries: PathBuf) -> Self {
        // Short, whatever the checkout's path: a socket's path has at most 107 bytes.
        let directory = tempfile::Builder::new()
            .prefix("bw")
            .tempdir()
            .expect("a directory");
        let at = |name: &str| {
            let path = directory.path().join(name);
            fixtures::private_directory(&path);
            path
        };
        let environment = [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ];
        let environment = environment
            .map(|(name, place)| (name.to_owned(), at(place)))
            .to_vec();
        let reaper = reaper::Reaper::of(directory.path(), &built());
        Self {
            small_disk: None,
            _reaper: reaper,
            directory,
            binaries,
            environment,
            simulated: false,
        }
    }

    /// As [`Self::simulated`], with its state on a file system of so many MiB. Only in
    /// [`crate::namespaces::own_mounts`].
    ///
    /// # Panics
    /// As [`Self::simulated`], and when nothing may be mounted.
    #[must_use]
    pub fn simulated_on_small_disk(mib: u64) -> Self {
        let mut world = Self::bare();
        world.mount_state(mib);
        let sizes = "[vm_defaults]\ndisk_size = \"64MiB\"\nsystem_disk_size = \"64MiB\"\n";
        world.configure(&format!("{SIMULATED_CONFIGURATION}{sizes}"));
        world.import();
        world.stop_daemon();
        world
    }

    fn mount_state(&mut self, mib: u64) {
        self.small_disk = Some(SmallDisk::mount(&self.path("state"), mib));
    }

    /// The small file system that its state is on.
    ///
    /// # Panics
    /// When it is on none.
    #[must_use]
    pub fn small_disk(&self) -> &SmallDisk {
        self.small_disk.as_ref().expect("a world on a small disk")
    }

    /// With a simulated QEMU, whose guests run their commands on the host as the test's user; it has
    /// a kernel and an image that were imported from fixtures.
    ///
    /// # Panics
    /// When the binaries were not built.
    #[must_use]
    pub fn simulated() -> Self {
        let mut world = Self::bare();
        world.import();
        world.stop_daemon();
        world
    }

    /// As [`Self::simulated`], with guests on a bridge that a simulated root helper makes on a host in
    /// memory; see `banger_root::simulated::program`.
    ///
    /// # Panics
    /// As [`Self::simulated`].
    #[must_use]
    pub fn simulated_bridged() -> Self {
        let mut world = Self::bare();
        let helper = world.path("banger-root");
        symlink(world.binaries.join("simulated-root"), &helper).expect("linked");
        let host = format!(
            "root_helper = \"{}\"\nbridge_name = \"{SIMULATED_BRIDGE}\"\n",
            helper.display()
        );
        world.configure(&format!("{SIMULATED_CONFIGURATION}{BRIDGED}{host}"));
        world.import();
        world.stop_daemon();
        world
    }

    /// As [`Self::simulated`], without kernel and image.
    ///
    /// # Panics
    /// When the binaries were not built.
    #[must_use]
    pub fn bare() -> Self {
        let built = built();
        let mut world = Self::new(built.clone());
        world.simulated = true;
        let qemu = world.path("qemu-system-x86_64");
        let simulated = built.join("simulated-qemu");
        assert!(
            simulated.exists(),
            "build first: `cargo build --workspace --bins`"
        );
        symlink(simulated, &qemu).expect("linked");
        let agent = world.path("agent");
        std::fs::write(&agent, fixtures::static_elf()).expect("written");
        world.environment.push(("BANGER_QEMU".into(), qemu));
        world.environment.push(("BANGER_AGENT".into(), agent));
        world.configure(SIMULATED_CONFIGURATION);
        world
    }

    /// With real QEMU, kernel and image, which `cargo xtask test T3` has prepared; they are shared
    /// by all tests and only read.
    ///
    /// # Panics
    /// When it was not prepared.
    #[must_use]
    pub fn real() -> Self {
        Self::real_on(None)
    }

    /// As [`Self::real`], with guests on a bridge that the root helper beside the daemon makes. Only in
    /// [`crate::namespaces::own_network`].
    ///
    /// # Panics
    /// As [`Self::real`], and when the helper was not built.
    #[must_use]
    pub fn bridged() -> Self {
        let world = Self::real();
        let helper = world.binaries.join("banger-root");
        assert!(helper.exists(), "build first: `cargo xtask build`");
        world.configure("network = \"bridge\"\n");
        world
    }

    /// As [`Self::real`], with its state on a file system of so many MiB. Only in
    /// [`crate::namespaces::own_mounts`].
    ///
    /// # Panics
    /// As [`Self::real`], and when nothing may be mounted.
    #[must_use]
    pub fn real_on_small_disk(mib: u64) -> Self {
        Self::real_on(Some(mib))
    }

    fn real_on(small_disk: Option<u64>) -> Self {
        let variable = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .unwrap_or_else(|| {
                    panic!("{name} is not set: run this tier with `cargo xtask test T3`")
                })
        };
        let mut world = Self::new(variable("BANGER_TEST_BIN"));
        if let Some(mib) = small_disk {
            world.mount_state(mib);
        }
        let prepared = variable("BANGER_TEST_STATE");
        for (home, things) in [
            ("state", ["images", "kernels"].as_slice()),
            ("cache", &["probe.json"]),
        ] {
            let own = world.path(home).join("banger");
            fixtures::private_directory(&own);
            for thing in things {
                let there = prepared.join(home).join("banger").join(thing);
                if there.exists() {
                    symlink(there, own.join(thing)).expect("linked");
                }
            }
        }
        world.configure("");
        world
    }

    fn import(&mut self) {
        let kernel = self.path("vmlinux");
        std::fs::write(&kernel, fixtures::kernel_elf()).expect("written");
        let imported = self.run(["kernel", "import", "default", "--file", text(&kernel)]);
        let _ = imported.good();
        let tar = self.path("root.tar");
        std::fs::write(&tar, fixtures::small_tar()).expect("written");
        let _ = self.run(["image", "import", text(&tar), "debian"]).good();
    }

    /// A path in the world's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path that a guest may write to: in this world's directory when the guest is the host.
    #[must_use]
    pub fn guest_path(&self, name: &str) -> String {
        let simulated = self.path(name).display().to_string();
        if self.simulated {
            simulated
        } else {
            format!("/root/{name}")
        }
    }

    /// What the daemon keeps.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path("state").join("banger")
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("run").join("banger/bangerd.sock")
    }

    /// As [`Self::configure`], with emulated machines of which there is little to save: 64 MiB of everything, and
    /// these keys besides.
    ///
    /// # Panics
    /// As [`Self::configure`].
    pub fn configure_small(&self, more: &str) {
        let sizes = "[vm_defaults]\nmemory = \"64MiB\"\ndisk_size = \"64MiB\"\nsystem_disk_size = \"64MiB\"\n";
        self.configure(&format!("accelerator = \"tcg\"\n{more}{sizes}"));
    }

    /// Writes the owner's configuration file. Guests are connected in user mode unless it says
    /// otherwise: the bridge would be the host's own. No template is made unasked: it would be one more machine
    /// than a test has made.
    pub fn configure(&self, toml: &str) {
        let network = match toml.contains("network =") {
            true => "",
            false => "network = \"user\"\n",
        };
        let templates = match toml.contains("templates =") {
            true => "",
            false => "templates = \"off\"\n",
        };
        self.configure_exactly(&format!("{network}{templates}{toml}"));
    }

    /// Writes the owner's configuration file as it is given.
    pub fn configure_exactly(&self, toml: &str) {
        let directory = self.path("config").join("banger");
        fixtures::private_directory(&directory);
        std::fs::write(directory.join("config.toml"), toml).expect("written");
    }

    /// Gives all its programs another variable, or another value of one.
    pub fn set_variable(&mut self, name: &str, value: PathBuf) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value));
    }

    /// Tells the simulated QEMU how to behave from now on; see [`crate::simulated_qemu`].
    pub fn scenario(&self, name: &str) {
        std::fs::write(self.path("scenario"), name).expect("written");
    }

    /// A program of banger's in this world.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.env_clear();
        for kept in ["PATH", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.current_dir(self.path("home"));
        command
    }

    /// `banger` with arguments.
    #[must_use]
    pub fn banger<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.program("banger");
        command.args(arguments);
        command
    }

    /// Runs `banger` to its end.
    #[must_use]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        self.run_with(arguments, Vec::new())
    }

    /// Runs `banger` to its end with input.
    #[must_use]
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Ran {
        run::finish(run::start(&mut self.banger(arguments)), input, LIMIT)
    }

    /// `vm show` of a sandbox as JSON.
    #[must_use]
    pub fn show(&self, name: &str) -> serde_json::Value {
        self.run(["vm", "show", "--json", name]).good().json()
    }

    /// Names of all sandboxes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let all = self.run(["vm", "list", "--json"]).good().json();
        let name = |sandbox: &serde_json::Value| sandbox["name"].as_str().map(str::to_owned);
        all.as_array()
            .expect("a list")
            .iter()
            .filter_map(name)
            .collect()
    }

    /// Whether its guests are the host.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Demands that no simulated guest ever went on with memory, devices and disks of different moments.
    ///
    /// # Panics
    /// With what a guest found.
    pub fn assert_nothing_corrupted(&self) {
        let found = std::fs::read_to_string(self.path("corrupted"));
        assert!(
            found.is_err(),
            "a guest went on: {}",
            found.unwrap_or_default()
        );
    }

    /// Demands that nothing of any sandbox is left: no process, socket, directory or record; and that none
    /// was corrupted.
    ///
    /// # Panics
    /// With what is left.
    pub fn assert_nothing_left(&self) {
        self.assert_nothing_corrupted();
        crate::eventually("nothing to be left", Duration::from_secs(60), || {
            let mut left = self.names();
            left.extend(self.vmms().iter().map(|pid| format!("VMM {pid}")));
            left.extend(self.carriers().iter().map(|pid| format!("carrier {pid}")));
            for directory in [
                self.state().join("sandboxes"),
                self.path("run").join("banger/vm"),
            ] {
                let entries = std::fs::read_dir(&directory)
                    .into_iter()
                    .flatten()
                    .flatten();
                left.extend(entries.map(|entry| entry.path().display().to_string()));
            }
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }
}

/// `target/<profile>`: where this program was built to, or the directory above the one for tests.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    let directory = own.parent().expect("a directory");
    let tests = directory.ends_with("deps").then(|| directory.parent());
    tests.flatten().unwrap_or(directory).to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

impl Drop for World {
    fn drop(&mut self) {
        // Children of a killed process may appear while it dies: look until there is none.
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(kill);
            #[expect(
                clippy::disallowed_methods,
                reason = "a guard must not panic, so it cannot wait"
            )]
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
