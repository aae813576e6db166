//! The daemon.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use banger_proto::owner::daemon::Status;

/// The daemon's status.
#[must_use]
pub fn status(status: &Status, now: u64) -> Table {
    let mut table = Table::new(&[]);
    for (what, text) in [
        ("version", status.version.version.clone()),
        ("build", status.version.build.clone()),
        ("process", status.pid.to_string()),
        ("user", status.uid.to_string()),
        ("socket", status.socket.clone()),
        ("log", status.log.clone()),
        ("state", status.state_directory.clone()),
        ("up for", age(status.started_at, now)),
        ("memory", show_bytes(status.memory_kib.saturating_mul(1024))),
        (
            "sandboxes",
            match status.pooled {
                0 => format!("{} running of {}", status.running, status.sandboxes),
                pooled => format!(
                    "{} running of {}, and {pooled} in the pool",
                    status.running, status.sandboxes
                ),
            },
        ),
        ("operations", status.operations.to_string()),
        ("sessions", status.sessions.to_string()),
    ] {
        table.row([(what.to_owned(), Tone::Strong), (text, Tone::Plain)]);
    }
    table
}
