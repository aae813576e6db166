//! A namespace with a helper in it, a client, and other people's tools to look.

use banger_linux::namespaces;
use banger_linux::seqpacket::Connection;
use banger_model::SandboxId;
use banger_model::host_names::{BridgeName, Installation, TapSlot};
use banger_model::policy::{Guest, Policy};
use banger_model::subnet::{HostPart, Subnet};
use banger_proto::root::{
    Answer, Change, Mtu, Outcome, PACKET_MAX, Reply, Request, Slots, Survey, Verb,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The user whom the helper serves; root may ask too.
pub(crate) const OWNER: u32 = 1000;
/// How long any one answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running helper.
pub(crate) struct World {
    directory: tempfile::TempDir,
    child: Running,
}

/// Runs a test in a fresh namespace with a helper.
pub(crate) fn alone(test: impl FnOnce(&mut World) + Send) {
    in_namespace(|| test(&mut World::start()));
}

/// Runs a test in a fresh namespace.
pub(crate) fn in_namespace(test: impl FnOnce() + Send) {
    let ran = namespaces::in_fresh(|| {
        tool("ip link set lo up");
        test();
    });
    ran.expect("these tests need root: a network namespace");
}

impl World {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let child = spawn(&directory.path().join("root.sock"));
        let world = Self { directory, child };
        world.wait();
        world
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("root.sock")
    }

    /// Waits until it answers: it listens before it has given up what it does not need.
    fn wait(&self) {
        let begun = Instant::now();
        while Connection::connect(&self.socket()).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the helper does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(self.ask(Verb::Ping {}), Outcome::Done(Answer::Pong {}));
    }

    /// Kills it with SIGKILL and starts it again.
    pub(crate) fn restart(&mut self) {
        self.child.0.kill().expect("it runs");
        self.child.0.wait().expect("it ends");
        self.child = spawn(&self.socket());
        self.wait();
    }

    /// Sends SIGKILL and does not wait.
    pub(crate) fn kill(&mut self) {
        self.child.0.kill().expect("it runs");
    }

    pub(crate) fn ask(&self, verb: Verb) -> Outcome {
        ask(&self.socket(), verb)
    }

    /// What was done, as the answer's JSON.
    pub(crate) fn done(&self, verb: Verb) -> Vec<Change> {
        match self.ask(verb) {
            Outcome::Done(Answer::Changes(changes)) => changes,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn failed(&self, verb: Verb) -> String {
        match self.ask(verb) {
            Outcome::Failed(fault) => fault.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn survey(&self) -> Survey {
        match self.ask(Verb::Survey {}) {
            Outcome::Done(Answer::Survey(survey)) => *survey,
            other => panic!("{other:?}"),
        }
    }

    /// A field of `/proc/PID/status`, in KiB or as a number.
    pub(crate) fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id()))
            .expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect(field)
    }

    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.0.id()))
            .expect("it runs")
            .count()
    }
}

/// A helper that ends with its test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn spawn(socket: &Path) -> Running {
    let mut command = helper();
    command.arg("--socket").arg(socket).stdin(Stdio::null());
    Running(command.spawn().expect("the helper"))
}

/// The helper without its door.
pub(crate) fn helper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banger-root"));
    command.args([
        "--owner",
        &OWNER.to_string(),
        "--installation",
        &installation().to_string(),
    ]);
    command
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

pub(crate) fn ask(socket: &Path, verb: Verb) -> Outcome {
    let request = Request {
        version: banger_root::VERSION.to_owned(),
        op: "op-abc123".parse().expect("an id"),
        verb,
    };
    let reply = send(socket, &request.encode().expect("a packet")).expect("an answer");
    assert_eq!(
        reply.op,
        Some(request.op),
        "each answer says which operation it is of"
    );
    reply.outcome
}

/// Sends any packet; the answer, if there is one.
pub(crate) fn send(socket: &Path, packet: &[u8]) -> Option<Reply> {
    let connection = Connection::connect(socket).ok()?;
    connection.send(packet, Instant::now() + PATIENCE).ok()?;
    let answer = connection
        .receive(PACKET_MAX, Instant::now() + PATIENCE)
        .ok()?;
    Some(Reply::decode(&answer).expect("an answer"))
}

/// Runs a program of the host in the calling thread's namespace and gives what it printed.
pub(crate) fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}; `cargo xtask setup`"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The same for a tool that prints JSON.
pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(&tool(line)).unwrap_or_default()
}

/// Loads rules as another program would.
pub(crate) fn nft(rules: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rules).expect("written");
    tool(&format!("nft -f {}", file.path().display()));
}

/// What `ip` says of a link; none where there is none.
pub(crate) fn ip_link(name: &str) -> Option<Value> {
    let links = json("ip -j -d link show");
    let mut links = links.as_array().expect("a list").iter();
    links.find(|link| link["ifname"] == name).cloned()
}

pub(crate) fn installation() -> Installation {
    Installation::from_random([1; 8])
}

pub(crate) fn subnet() -> Subnet {
    Subnet::new([172, 16, 0, 0].into(), 24, &installation()).expect("a subnet")
}

pub(crate) fn bridge() -> Verb {
    Verb::EnsureBridge {
        subnet: subnet(),
        mtu: Mtu::try_from(1400).expect("an MTU"),
    }
}

pub(crate) fn slot(number: u16) -> TapSlot {
    TapSlot::try_from(number).expect("a slot")
}

pub(crate) fn slots<const MAX: usize>(numbers: impl IntoIterator<Item = u16>) -> Slots<MAX> {
    Slots::try_from(numbers.into_iter().map(slot).collect::<BTreeSet<_>>()).expect("slots")
}

pub(crate) fn make(numbers: impl IntoIterator<Item = u16>) -> Verb {
    Verb::MakeTaps {
        slots: slots(numbers),
    }
}

pub(crate) fn sweep(live: impl IntoIterator<Item = u16>, bridge: bool, policy: bool) -> Verb {
    Verb::Sweep {
        live: slots(live),
        bridge,
        policy,
    }
}

pub(crate) fn guest(number: u16, nat: bool) -> Guest {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Guest {
        id: SandboxId::from_random(id),
        slot: slot(number),
        host_part: HostPart::try_from(number + 1).expect("a host part"),
        nat,
        networks: BTreeSet::new(),
    }
}

pub(crate) fn policy_of(guests: Vec<Guest>) -> Policy {
    let port = NonZeroU16::new(42069);
    Policy::new(
        installation(),
        BridgeName::default(),
        subnet(),
        port,
        guests,
    )
    .expect("a policy")
}

pub(crate) fn policy(guests: Vec<Guest>) -> Verb {
    Verb::SetPolicy {
        policy: policy_of(guests),
    }
}
