//! The owner API: command line (or any other client) ↔ daemon, HTTP/1.1 and JSON on a Unix socket.
//!
//! - Plain requests answer with JSON, faults with [`crate::fault::Fault`] and its HTTP status.
//! - Long operations answer with `application/x-ndjson`: one [`operation::Event`] per line, the last
//!   of them `done` or `failed`. The operation goes on when its reader leaves, and when the daemon is
//!   replaced; it can be followed again by its id.
//! - Commands run over a WebSocket ([`exec`]).
//!
//! Age rule: the daemon serves one older minor; unknown fields are ignored, on both sides.

pub mod artifact;
pub mod byte_text;
pub mod capacity;
pub mod daemon;
pub mod diff;
pub mod doctor;
pub mod event;
pub mod exec;
pub mod export;
pub mod file;
pub mod operation;
pub mod repair;
pub mod sandbox;
pub mod stats;
pub mod time;

pub use byte_text::ByteText;

/// The first part of every path.
pub const PREFIX: &str = "/v1";

/// Response header: the daemon's version, as `0.1.0`.
pub const VERSION_HEADER: &str = "banger-version";

/// Response header: which build of the daemon answers, see [`daemon::Version::build`].
pub const BUILD_HEADER: &str = "banger-build";

/// Header: the id of the operation, as in the daemon's log. A client may choose it: sent again with the
/// same one, a request begins nothing, and its answer is that of the first.
pub const OP_HEADER: &str = "banger-op";

/// Response header: the place in a log at which the answer begins, in bytes since the log's beginning.
pub const FROM_HEADER: &str = "banger-from";

/// Response header of what can be asked on: the ids of the sandboxes that the request named, parted by
/// commas. Names may change; with these a client asks the next daemon.
pub const SANDBOXES_HEADER: &str = "banger-sandboxes";

/// Content type of a stream of [`operation::Event`]s.
pub const NDJSON: &str = "application/x-ndjson";
