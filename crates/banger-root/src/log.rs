//! The log: plain lines on standard error, for the journal. One line for each request and its end.

use banger_proto::root::OpId;
use std::fmt;
use std::io::Write;

/// Writes a line. What a peer sent is never in it but in the form that its type allows; anything else
/// is shown without control characters.
pub(crate) fn line(op: Option<OpId>, text: impl fmt::Display) {
    let op = op.map_or_else(|| "-".to_owned(), |op| op.to_string());
    let text: String = text
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // A log that is full or gone keeps nobody from working.
    let _unwritten = writeln!(std::io::stderr().lock(), "banger-root: {op} {text}");
}
