//! What is said in calls, answers, notices and steers: postcard bodies of frames.
//!
//! Variants and fields are only ever appended. Paths, arguments and environment are bytes: a Linux
//! guest knows no encoding.

use crate::fault::FaultCode;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::hello::UnixTime;

/// The channel of a command's standard input, and of a file that is put.
pub const STDIN: u8 = 0;
/// The channel of a command's standard output, of a terminal, and of a file that is got.
pub const STDOUT: u8 = 1;
/// The channel of a command's standard error.
pub const STDERR: u8 = 2;

/// The longest list that an agent sends in one answer; more is cut, and said so.
pub const MAX_LIST: usize = 512;

/// Identifies an exec session: random, chosen by the client.
pub type SessionId = [u8; 16];

/// host → guest: opens a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Identity and the rest of what makes this guest that sandbox. May come again.
    Configure(Configure),
    /// Starts a command and attaches to it. With a session that exists, only attaches.
    Exec(Exec),
    /// Attaches to a session, taking it from any other stream.
    Attach(Attach),
    /// Forgets a session that has exited; does nothing to one that is there and running. Of a connection
    /// ([`Call::DialSession`]): forgets it, and resets it if it goes on.
    Forget(SessionId),
    /// Describes a file without following a last symbolic link.
    Stat(Vec<u8>),
    /// Lists a directory's entries, sorted by name, those after a name (empty: from the first).
    ListDirectory {
        /// The directory.
        path: Vec<u8>,
        /// Begin behind this name.
        after: Vec<u8>,
    },
    /// Makes a directory; one that is there is a success. Missing parents are an error.
    MakeDirectory {
        /// The directory.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// Makes a symbolic link, in the place of any file or link of that name.
    MakeSymlink {
        /// Where the link is.
        path: Vec<u8>,
        /// What it says.
        target: Vec<u8>,
    },
    /// Writes a file: its bytes come in [`STDIN`]; the answer comes after their end. The file
    /// appears whole or not at all (temporary name, sync, rename).
    Put {
        /// The file.
        path: Vec<u8>,
        /// Its permission bits.
        mode: u32,
        /// Seconds of its modification time, if it is to be set.
        modified: Option<i64>,
    },
    /// Reads a file: the answer comes first, its bytes in [`STDOUT`].
    Get(Vec<u8>),
    /// Lists sockets that listen.
    Ports,
    /// How the guest is.
    Health,
    /// Syncs file systems, then powers off (after the answer).
    Shutdown,
    /// Connects to a port inside of the guest; since generation 2. The answer is [`Answer::Done`] when
    /// the connection is made; its bytes go by [`STDIN`] and come by [`STDOUT`], each with its own
    /// end; UDP as [`super::datagram`]s, without an end. [`Notice::Closed`] is the last of a
    /// connection that ended in order; a stream that is closed without it was reset.
    Dial {
        /// UDP; else TCP.
        udp: bool,
        /// The port: of 127.0.0.1, else of `::1`, else of whatever address is bound.
        port: u16,
    },
    /// What the guest uses; since generation 3.
    Usage,
    /// A disk has become larger under the guest: its file system grows to fill it while it stays
    /// mounted. The answer is [`Answer::Grown`] when it has, also where there was nothing left to do.
    /// Since generation 4.
    Grow {
        /// Which one.
        disk: GrowDisk,
    },
    /// Writes to disk what the file systems still hold in memory; the answer comes when that is done.
    /// Since generation 4.
    Sync,
    /// The guest goes on from saved memory: takes the place of `Configure` after a resume, and is the
    /// first call then. The answer is [`Answer::Configured`]; before it the guest has a new identity and
    /// nothing of its parent's that is to be nobody else's. Units and hooks of the image follow behind
    /// the answer; until they are through, [`Health::init`] is [`InitState::Starting`]. Since
    /// generation 4.
    Resumed(Resumed),
    /// As [`Call::Dial`], for a connection that outlives its stream and the link, until it is forgotten
    /// ([`Call::Forget`] resets one that goes on). The answer is [`Answer::Attached`] with process 0. With a
    /// session that exists, attaches to it from its beginning. Since generation 4.
    DialSession {
        /// Names the connection; chosen by the host.
        session: SessionId,
        /// UDP; else TCP.
        udp: bool,
        /// The port, as in [`Call::Dial`].
        port: u16,
    },
    /// Attaches to such a connection, taking it from any other stream. Since generation 4.
    AttachDial {
        /// The connection.
        session: SessionId,
        /// How much of [`STDOUT`] the host has.
        from: u64,
    },
    /// Forgets all such connections but these, and resets those that go on. Since generation 4.
    KeepDials(Vec<SessionId>),
    /// The guest will be saved as nobody's: its network card goes down, and gives up its addresses and
    /// routes. It has none until the next [`Call::Resumed`] or [`Call::Configure`]. Since generation 5.
    LeaveNetwork,
}

/// guest → host: the answer to a call. Encoded as `Result<Answer, GuestFault>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done; there is nothing to tell.
    Done,
    /// To `Configure` and `Resumed`.
    Configured(Configured),
    /// To `Exec` and `Attach`, `DialSession` and `AttachDial`.
    Attached(Attached),
    /// To `Stat` and `Get`.
    File(FileStat),
    /// To `ListDirectory`.
    Entries {
        /// At most [`MAX_LIST`].
        entries: Vec<Entry>,
        /// Whether there are more behind the last.
        more: bool,
    },
    /// To `Ports`: at most [`MAX_LIST`].
    Ports(Vec<Port>),
    /// To `Health`.
    Health(Health),
    /// To `Usage`; since generation 3.
    Usage(Usage),
    /// To `Grow`; since generation 4.
    Grown {
        /// Size of the disk in bytes, as the guest sees it: the file system has all of it that is of use.
        bytes: u64,
    },
}

/// Why a call failed in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct GuestFault {
    /// Its kind.
    pub code: FaultCode,
    /// What failed and why, one line.
    pub message: String,
}

/// guest → host, in a session's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The command has ended; all that it wrote before was sent. The last of a stream.
    Exited(ExitStatus),
    /// Another stream has attached to the session.
    Taken,
    /// The dialled connection has ended: all bytes of the guest were sent, and no more are taken. The
    /// last of a stream. Since generation 2.
    Closed,
}

/// host → guest, in a session's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steer {
    /// The terminal has another size.
    Resize(TerminalSize),
    /// Send a signal to the command's process group (its foreground group on a terminal).
    Signal(i32),
    /// The client is gone: SIGHUP to the session, input ends, output is thrown away from now on.
    Hangup,
}

/// Identity and surroundings of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// A DNS label.
    pub hostname: String,
    /// For `/etc/machine-id` (machine-id(5)).
    pub machine_id: [u8; 16],
    /// The host's time.
    pub time: UnixTime,
    /// Random bytes for the kernel's pool.
    pub entropy: Vec<u8>,
    /// The network, or none.
    pub network: Option<NetworkConfig>,
    /// Environment of every command, beneath what the command's own call says.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// What becomes PID 1.
    pub init: InitChoice,
}

/// How a guest goes on from saved memory; since generation 4.
///
/// `configure` is last, so that what is appended to it is at the end here, too. Nothing is ever appended
/// here: what a later generation needs besides is another call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The hardware address of its network card; otherwise the card keeps the one that it has.
    pub mac: Option<[u8; 6]>,
    /// Whether clients of exec sessions may come back, as after a daemon's death: the guest is the one
    /// that was saved. Otherwise they never come: what runs goes on without input, its output is
    /// thrown away.
    pub keeps_sessions: bool,
    /// Who it is now. With the machine id that it had it is the same sandbox, and keeps its keys.
    pub configure: Configure,
}

/// A disk whose file system can grow while it is mounted; since generation 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrowDisk {
    /// The work disk.
    Work,
    /// The system disk.
    System,
}

/// Addresses of the guest's only network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Default routes.
    pub gateways: Vec<IpAddr>,
    /// Name servers for `/etc/resolv.conf`.
    pub resolvers: Vec<IpAddr>,
    /// Maximum transmission unit in bytes, or the driver's own.
    pub mtu: Option<u32>,
}

/// What becomes PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitChoice {
    /// The image's init if it has one, else the agent.
    Auto,
    /// The image's init; a fault where there is none.
    Systemd,
    /// The agent.
    None,
}

/// What came of `Configure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Whether the image's own init was started as PID 1.
    pub init_started: bool,
    /// The kernel's release, as `uname -r`.
    pub kernel_release: String,
    /// What could not be done and did not stop the rest, one line each.
    pub warnings: Vec<String>,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The session's id.
    pub session: SessionId,
    /// The program and its arguments; empty: the user's shell as a login shell.
    pub argv: Vec<Vec<u8>>,
    /// Environment in addition to the guest's.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Working directory; otherwise the user's home, else `/`.
    pub directory: Option<Vec<u8>>,
    /// User by name or number, with `:group` if wanted; otherwise root.
    pub user: Option<String>,
    /// A terminal of this size; standard error then goes to it, too.
    pub terminal: Option<TerminalSize>,
    /// Whether input will come; otherwise standard input is empty.
    pub stdin: bool,
}

/// Where a client continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The session.
    pub session: SessionId,
    /// Offset in [`STDOUT`].
    pub stdout: u64,
    /// Offset in [`STDERR`].
    pub stderr: u64,
}

/// The stream is attached to the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The command's process id in the guest; 0 of a connection.
    pub pid: u32,
    /// How much of [`STDIN`] has arrived for good: the client continues there.
    pub stdin: u64,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It exited with this status, 0 to 255.
    Code(u8),
    /// A signal ended it.
    Signal(u8),
}

impl ExitStatus {
    /// As a shell shows it: the status, or 128 + the signal's number.
    #[must_use]
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.wrapping_add(signal),
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else: devices, sockets, pipes.
    Other,
}

/// A file's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What it is.
    pub file_type: FileType,
    /// Permission bits (07777).
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Modification time in seconds since 1970.
    pub modified: i64,
    /// What a symbolic link says; else empty.
    pub target: Vec<u8>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name: no `/`, neither `.` nor `..`. The host checks, too.
    pub name: Vec<u8>,
    /// What it is.
    pub stat: FileStat,
}

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Whether it is UDP; else TCP.
    pub udp: bool,
    /// The address that it is bound to.
    pub address: IpAddr,
    /// The port's number.
    pub port: u16,
    /// Who has it: process id and name, when it can be seen.
    pub process: Option<(u32, String)>,
}

/// How far the guest's init is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitState {
    /// The agent is PID 1: there is nothing to wait for.
    None,
    /// Still starting units.
    Starting,
    /// Its default target is reached.
    Settled,
}

/// How the guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How far its init is.
    pub init: InitState,
    /// Milliseconds since its kernel started.
    pub uptime_ms: u64,
    /// Memory that programs may still take, in KiB (`MemAvailable`).
    pub memory_available_kib: u64,
    /// Memory that the guest has, in KiB (`MemTotal`).
    pub memory_total_kib: u64,
    /// Sessions whose command runs.
    pub sessions: u32,
}

/// What the guest uses, as its kernel counts; since generation 3. Counters begin with the guest's boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Milliseconds since its kernel started.
    pub uptime_ms: u64,
    /// Memory that programs may still take, in KiB (`MemAvailable`).
    pub memory_available_kib: u64,
    /// Memory that the guest has, in KiB (`MemTotal`).
    pub memory_total_kib: u64,
    /// Load of the last minute in hundredths (proc_loadavg(5)).
    pub load_hundredths: u32,
    /// Threads that there are.
    pub threads: u32,
    /// Bytes read from its disks.
    pub read_bytes: u64,
    /// Bytes written to its disks.
    pub written_bytes: u64,
    /// Bytes that its network card received.
    pub received_bytes: u64,
    /// Bytes that its network card sent.
    pub sent_bytes: u64,
}

/// Encodes a message for a frame.
///
/// # Errors
/// Only for types that postcard cannot encode; none of these.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(message)
}

/// Decodes a message; bytes behind it are fields of a newer generation and are ignored.
///
/// # Errors
/// When the bytes are not such a message.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, postcard::Error> {
    postcard::take_from_bytes(bytes).map(|(message, _rest)| message)
}

#[cfg(test)]
mod tests;
