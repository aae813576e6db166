//! What sandboxes take of the host, and what their guests say that they use.
//!
//! Counters only go up, from the start of a run; each answer says when it was taken. Who wants a rate
//! compares two answers of the same run ([`VmmStats::started_ms`]).

use banger_model::SandboxState;
use serde::{Deserialize, Serialize};

/// One sandbox at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: SandboxState,
    /// When the host's counters were read, in milliseconds since the host's boot (`CLOCK_BOOTTIME`).
    pub taken_ms: u64,
    /// Virtual processors.
    pub vcpu: u32,
    /// Room that its disks take on the host, in bytes.
    pub disk_used: u64,
    /// What the host's kernel counts of its VMM, while it runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vmm: Option<VmmStats>,
    /// What the host's kernel counts on its TAP, while it runs on the bridge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<NetworkStats>,
    /// What the guest says of itself, which may be anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guest: Option<GuestStats>,
    /// Why the guest says nothing though it runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guest_trouble: Option<String>,
}

/// A VMM's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VmmStats {
    /// Its process id on the host.
    pub pid: u32,
    /// When it was started, in milliseconds since the host's boot; with the pid it tells one run from
    /// another.
    pub started_ms: u64,
    /// Processor time that it has taken, in milliseconds: of all processors, the guest's work included.
    pub cpu_ms: u64,
    /// Bytes of the host's memory that it has now.
    pub resident_bytes: u64,
    /// How much of that is its own and how much others have as well; absent where the kernel does not let it
    /// be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<MemoryShares>,
    /// Bytes that it has read from the host's disks; what was in the host's cache does not count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_bytes: Option<u64>,
    /// Bytes that it has written, which reach the host's disks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub written_bytes: Option<u64>,
}

/// Whose a VMM's memory is (`/proc/PID/smaps_rollup`). Machines that go on from one template or snapshot share the
/// pages of its memory that none of them has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryShares {
    /// Bytes that no other process has.
    pub own_bytes: u64,
    /// Those of them that it has written: the host has them back only when it ends.
    pub own_dirty_bytes: u64,
    /// Bytes that other processes have as well: saved memory, programs, libraries.
    pub shared_bytes: u64,
    /// Its fair part: its own, and of each shared page as much as falls to each process that has it. The sum
    /// over all processes is what they take.
    pub proportional_bytes: u64,
}

/// Bytes over a guest's network card, from the guest's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkStats {
    /// Bytes that the guest received.
    pub received_bytes: u64,
    /// Bytes that the guest sent.
    pub sent_bytes: u64,
}

/// A guest's own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestStats {
    /// Milliseconds since the guest's kernel started.
    pub uptime_ms: u64,
    /// Bytes of memory that the guest has.
    pub memory_total_bytes: u64,
    /// Bytes of it that are not available to programs.
    pub memory_used_bytes: u64,
    /// What only an agent of this banger or a newer one tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<GuestUsage>,
}

/// What a guest says of its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestUsage {
    /// Its load of the last minute in hundredths: 150 are one and a half processes that wanted to run.
    pub load_hundredths: u32,
    /// Threads that there are.
    pub threads: u32,
    /// Bytes read from its disks.
    pub read_bytes: u64,
    /// Bytes written to its disks.
    pub written_bytes: u64,
    /// Bytes over its network card.
    pub network: NetworkStats,
}
