//! Sandboxes: what is asked, and what is shown.

use banger_model::label::{LabelChange, Labels};
use banger_model::publish::{PortSelector, Protocol, Publication};
use banger_model::snapshot::Tag;
use banger_model::spec::{Init, NetworkMode, Source, Wait};
use banger_model::{ArtifactName, DiskSize, MemorySize, SandboxName, SandboxState, VcpuCount};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `POST /v1/sandboxes`: only what the user said; the daemon fills in the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CreateRequest {
    /// A DNS label; invented where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub name: Option<SandboxName>,
    /// The image; the default one where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub image: Option<ArtifactName>,
    /// The kernel; the default one where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub kernel: Option<ArtifactName>,
    /// Virtual processors, 1 to 64.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub vcpu: Option<VcpuCount>,
    /// Memory in MiB.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub memory_mib: Option<MemorySize>,
    /// Nominal size of the work disk in MiB.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub disk_mib: Option<DiskSize>,
    /// Nominal size of the system disk in MiB.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub system_disk_mib: Option<DiskSize>,
    /// How the guest is connected: `user`, `bridge` or `none`; by the bridge where that is possible,
    /// when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub network: Option<NetworkMode>,
    /// Whether the guest may reach the outside.
    pub nat: bool,
    /// Shared networks that the guest belongs to, each a DNS label; it and others of one may talk to
    /// each other. Only on the bridge.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub networks: Vec<SandboxName>,
    /// Sandboxes that it may talk to, and they to it: names, ids or unique prefixes. Only on the
    /// bridge.
    pub links: Vec<String>,
    /// What becomes PID 1.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub init: Init,
    /// Delete it when the first session that attaches to it ends.
    pub ephemeral: bool,
    /// Make a checkpoint before each of its commands; as the configuration says where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<bool>,
    /// Labels: keys with values; at most 64.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub labels: Labels,
    /// Ports to publish, each `[ADDR:]PORT[:GUEST][/tcp|udp]`; at most 64.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub publish: Vec<Publication>,
    /// Start it at once, and wait for this.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub start: Option<Wait>,
    /// What it is a fork of; image, kernel, sizes, network and init are then those of that sandbox, and are
    /// refused here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<ForkOf>,
    /// Boot it, though there is a template that it could go on from.
    pub cold: bool,
}

/// What a fork begins from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForkOf {
    /// Name, id or unique prefix of the sandbox.
    pub sandbox: String,
    /// One of its snapshots; what it is now where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub snapshot: Option<Tag>,
    /// Forks of one that runs which say the same here, at most 64 bytes, are of the same moment: the one of the
    /// first of them, kept until none has asked for it for 5 seconds and none is being made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<String>,
}

/// `POST …/promote`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PromoteRequest {
    /// The ephemeral fork whose disks and memory it gets: name, id or unique prefix; refused where absent.
    pub fork: String,
}

/// `POST …/snapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SnapshotRequest {
    /// Its name: 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`, beginning with a letter or digit; of the time
    /// where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tag: Option<Tag>,
}

/// `POST …/restore`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreRequest {
    /// Which snapshot; refused where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tag: Option<Tag>,
}

/// `POST …/checkpoints`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CheckpointRequest {
    /// What is about to be done, for people; its first 200 characters are kept.
    pub command: String,
}

/// `POST …/undo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UndoRequest {
    /// How many commands; one where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<u32>,
}

/// What can be undone of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// Whether a checkpoint is made before each command.
    pub kept: bool,
    /// Its checkpoints, the newest first.
    pub checkpoints: Vec<Checkpoint>,
    /// How many older ones have gone.
    pub gone: u32,
    /// How many are kept at most.
    pub most: u64,
    /// Bytes that they may take.
    pub budget: u64,
    /// Bytes that they take now: more than their sum, for the newest state is kept as a whole.
    pub disk_used: u64,
    /// Why none can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// How many commands an undo to it undoes.
    pub back: u32,
    /// The command before which it was made.
    pub command: String,
    /// Seconds since 1970.
    pub taken_at: u64,
    /// Room that it takes on the host, in bytes.
    pub disk_used: u64,
}

/// A snapshot of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// Its name.
    pub tag: String,
    /// Seconds since 1970.
    pub taken_at: u64,
    /// Whether its guest ran: then a restore or fork goes on, else it boots.
    pub memory: bool,
    /// Room that it takes on the host, in bytes; what it shares with others counts in full.
    pub disk_used: u64,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// `POST …/start` and `…/restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StartRequest {
    /// What to wait for.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub wait: Wait,
}

/// `POST …/set`: what is to change; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SetRequest {
    /// Whether the guest may reach the outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat: Option<bool>,
    /// Virtual processors, 1 to 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub vcpu: Option<VcpuCount>,
    /// Memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub memory_mib: Option<MemorySize>,
    /// Nominal size of the work disk in MiB; it only grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub disk_mib: Option<DiskSize>,
    /// Nominal size of the system disk in MiB; it only grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub system_disk_mib: Option<DiskSize>,
    /// Labels that change, one after the other: `KEY=VALUE` or `KEY` is set, `KEY-` removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub labels: Vec<LabelChange>,
    /// An ephemeral one is to stay.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

/// `POST …/rename`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenameRequest {
    /// The new name: a DNS label that no other sandbox has; refused where absent.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Option<SandboxName>,
}

/// `POST …/kill`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct KillRequest {
    /// The signal for the VMM: `TERM`, `KILL`, `INT`, `HUP`, `QUIT`, `USR1`, `USR2` or `ABRT`, in
    /// any case, with or without `SIG`; `KILL` where absent.
    pub signal: Option<String>,
}

/// `POST …/publish`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishRequest {
    /// Ports to publish besides those that are, each `[ADDR:]PORT[:GUEST][/tcp|udp]`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub publish: Vec<Publication>,
}

/// `POST …/unpublish`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnpublishRequest {
    /// Ports of the host that are published no longer, each `[ADDR:]PORT[/tcp|udp]`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub ports: Vec<PortSelector>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Published {
    /// As it was asked for: `127.0.0.1:0:80/tcp` for any free port.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub asked: Publication,
    /// `tcp` or `udp`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub protocol: Protocol,
    /// The host's address.
    pub address: String,
    /// The host's port; 0 while any free one is wanted and none was chosen yet.
    pub port: u16,
    /// The guest's port.
    pub guest_port: u16,
    /// Whether it can be connected to now.
    pub open: bool,
    /// Why it is not open though the guest runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

impl Published {
    /// The host's end, as `127.0.0.1:8080` or `[::1]:8080`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}->{}/{}",
            self.endpoint(),
            self.guest_port,
            self.protocol
        )
    }
}

/// A value of the spec with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// `request`, `config`, `host` or `builtin`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: Source,
}

/// A sandbox as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sandbox {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: SandboxState,
    /// Why it is not running, when that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The image.
    pub image: Sourced<String>,
    /// The kernel.
    pub kernel: Sourced<String>,
    /// Virtual processors.
    pub vcpu: Sourced<u32>,
    /// Memory in MiB.
    pub memory_mib: Sourced<u64>,
    /// Nominal size of the work disk in MiB.
    pub disk_mib: Sourced<u64>,
    /// Nominal size of the system disk in MiB.
    pub system_disk_mib: Sourced<u64>,
    /// How it is connected: `user`, `bridge` or `none`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Sourced<String>>))]
    pub network: Option<Sourced<NetworkMode>>,
    /// Its addresses on the bridge, while it runs there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub addresses: Vec<IpAddr>,
    /// Whether the guest may reach the outside.
    pub nat: bool,
    /// Shared networks that it belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub networks: Vec<String>,
    /// Ids of sandboxes that it may talk to, and they to it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<String>,
    /// What was asked to become PID 1.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub init: Init,
    /// Deleted when its first session ends.
    pub ephemeral: bool,
    /// A checkpoint is made before each of its commands.
    #[serde(default)]
    pub checkpoint: bool,
    /// Ports that are published while it runs.
    #[serde(default)]
    pub publish: Vec<Published>,
    /// What people have written on it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The present or last run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<Run>,
    /// What could not be removed, while it needs repair.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub leftovers: Vec<Leftover>,
    /// Room that its disks take on the host, in bytes.
    pub disk_used: u64,
    /// Where its files are.
    pub directory: String,
}

/// Something of a sandbox that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Leftover {
    /// `state-directory`, `system-disk`, `work-disk`, `runtime-directory`, `network` or `vmm`.
    pub object: String,
    /// Why it could not be removed.
    pub why: String,
}

/// The last event of `POST …/repair`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repaired {
    /// It, as it is now, or was before it was deleted.
    pub sandbox: Sandbox,
    /// Its deletion had been begun and is finished.
    pub deleted: bool,
    /// What was found and done, a sentence each; empty when nothing was wrong.
    pub report: Vec<String>,
}

/// One run of a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// The VMM's process id on the host, while it lives.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// `qemu-kvm` or `qemu-tcg`.
    pub backend: String,
    /// Seconds since 1970.
    pub started_at: u64,
    /// What the start took.
    pub times: StartTimes,
    /// The guest's kernel release.
    pub kernel_release: String,
    /// Whether the image's init runs as PID 1.
    pub init_started: bool,
    /// Whether it went on from a saved memory instead of booting.
    #[serde(default)]
    pub resumed: bool,
}

/// The meanings of "started", each in milliseconds since the start was asked for. The fourth, first
/// command done, is known to the client only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartTimes {
    /// The VMM answers on its control socket.
    pub vmm_up_ms: f64,
    /// The VMM says that the guest's processors run.
    pub guest_running_ms: f64,
    /// The agent has answered and the guest is configured.
    pub agent_answered_ms: f64,
    /// The guest's init has settled, where that was waited for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init_settled_ms: Option<f64>,
}

/// A socket that listens in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address that it is bound to.
    pub address: String,
    /// Its number.
    pub port: u16,
    /// Where it is published on the host, each as `127.0.0.1:8080`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub published: Vec<String>,
    /// The process that has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// That process's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub process: Option<String>,
}

/// How a guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `none`, `starting` or `settled`.
    pub init: String,
    /// Milliseconds since the guest's kernel started.
    pub uptime_ms: u64,
    /// KiB that programs may still take.
    pub memory_available_kib: u64,
    /// KiB that the guest has.
    pub memory_total_kib: u64,
    /// Commands that run in exec sessions.
    pub sessions: u32,
    /// The agent's version.
    pub agent_version: String,
}
