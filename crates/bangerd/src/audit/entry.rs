//! A line of the audit log.

use banger_proto::fault::FaultCode;
use banger_proto::owner::time::UtcTime;
use serde::Serialize;
use std::time::Duration;

/// The longest text that a caller may put into a line, in bytes: a path (PATH_MAX is 4096, but one that
/// long is made to fill the log).
const LONGEST: usize = 256;

/// Who is on the other side of a connection, as the kernel says (`SO_PEERCRED`, unix(7)): the process
/// that connected, which may have ended since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Asker {
    /// Its user.
    pub uid: u32,
    /// Its process, where the kernel knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// One line. What does not apply is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it was written.
    pub time: UtcTime,
    /// Who asked.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub asker: Option<Asker>,
    /// Method and route, as `POST /v1/sandboxes/{sandbox}/start`; `connect` for a connection that was
    /// refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// What the route names, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The sandbox's id, where one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The path of a file that was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The program that was run in the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How many arguments it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<usize>,
    /// The operation's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The answer's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What an operation or a session came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The kind of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultCode>,
    /// How long it took: until the answer began, or until the operation ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How often the same came, where it is not told each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Entries before this one that could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

impl Entry {
    /// An empty line of a moment.
    #[must_use]
    pub const fn at(time: UtcTime) -> Self {
        Self {
            time,
            asker: None,
            verb: None,
            target: None,
            sandbox: None,
            path: None,
            program: None,
            arguments: None,
            op: None,
            status: None,
            outcome: None,
            fault: None,
            took_ms: None,
            times: None,
            lost: None,
        }
    }
}

/// Whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Text of a caller's, as much of it as a line takes.
pub(crate) fn bounded(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= LONGEST {
        return text.into_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
    let mut short = text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_a_caller_writes() {
        let entry = Entry {
            target: Some(bounded(b"a\nb\"\x1b[31m\xff")),
            asker: Some(Asker {
                uid: 7,
                pid: Some(9),
            }),
            ..Entry::at(UtcTime::from_ms(0))
        };
        let line = serde_json::to_string(&entry).expect("JSON");
        assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        assert!(
            line.starts_with(r#"{"time":"1970-01-01T00:00:00.000Z","uid":7,"pid":9,"target":"#),
            "{line}"
        );
    }

    #[test]
    fn what_a_caller_writes_is_cut_at_a_character() {
        let long = "é".repeat(1000);
        let cut = bounded(long.as_bytes());
        assert!(cut.len() <= LONGEST + 3 && cut.ends_with("é…"), "{cut}");
        assert_eq!(bounded(b"short"), "short");
    }
}
