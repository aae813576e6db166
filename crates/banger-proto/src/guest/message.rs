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
    /// Forgets a session that has exited; does nothing to one that is there and running.
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
}

/// guest → host: the answer to a call. Encoded as `Result<Answer, GuestFault>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done; there is nothing to tell.
    Done,
    /// To `Configure`.
    Configured(Configured),
    /// To `Exec` and `Attach`.
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
    /// The command's process id in the guest.
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_that_a_newer_peer_appended_is_ignored() {
        let mut bytes = encode(&Attach {
            session: [1; 16],
            stdout: 2,
            stderr: 3,
        })
        .expect("plain");
        bytes.extend_from_slice(b"newer");
        assert_eq!(
            decode(&bytes),
            Ok(Attach {
                session: [1; 16],
                stdout: 2,
                stderr: 3
            })
        );
    }

    /// The wire form of what exists must never change: running guests keep their agent.
    #[test]
    fn the_wire_form_of_generation_one_stays() {
        let calls = [
            (Call::Forget([0; 16]), 3),
            (Call::Ports, 10),
            (Call::Health, 11),
            (Call::Shutdown, 12),
        ];
        for (call, number) in calls {
            assert_eq!(
                encode(&call).expect("plain").first(),
                Some(&number),
                "{call:?}"
            );
        }
        assert_eq!(
            encode(&Notice::Exited(ExitStatus::Signal(9))),
            Ok(vec![0, 1, 9])
        );
        assert_eq!(
            encode(&Steer::Resize(TerminalSize {
                rows: 24,
                columns: 80
            })),
            Ok(vec![0, 24, 80])
        );
    }

    #[test]
    fn the_wire_form_of_generation_two_stays() {
        let dial = Call::Dial {
            udp: true,
            port: 300,
        };
        assert_eq!(encode(&dial), Ok(vec![13, 1, 0xac, 2]));
        assert_eq!(encode(&Notice::Closed), Ok(vec![2]));
    }

    #[test]
    fn the_wire_form_of_generation_three_stays() {
        assert_eq!(encode(&Call::Usage), Ok(vec![14]));
        let usage = Usage {
            load_hundredths: 300,
            ..Usage::default()
        };
        let bytes = vec![7, 0, 0, 0, 0xac, 2, 0, 0, 0, 0, 0];
        assert_eq!(encode(&Answer::Usage(usage)), Ok(bytes));
    }

    #[test]
    fn a_signal_is_shown_as_a_shell_does() {
        assert_eq!(ExitStatus::Signal(9).shell_code(), 137);
        assert_eq!(ExitStatus::Code(42).shell_code(), 42);
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_read_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Call>(&bytes);
            let _ = decode::<Result<Answer, GuestFault>>(&bytes);
            let _ = decode::<Notice>(&bytes);
            let _ = decode::<Steer>(&bytes);
        }

        #[test]
        fn arguments_arrive_as_the_bytes_they_were(argv in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let exec = Exec { session: [7; 16], argv, environment: vec![], directory: None, user: None, terminal: None, stdin: true };
            let bytes = encode(&Call::Exec(exec.clone())).expect("plain");
            prop_assert_eq!(decode::<Call>(&bytes), Ok(Call::Exec(exec)));
        }
    }
}
