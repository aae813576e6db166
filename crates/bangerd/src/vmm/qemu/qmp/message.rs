//! What may stand in one line from QEMU.

use super::{QmpError, clip};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// One line from QEMU.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The first line.
    Greeting(Version),
    /// Something that happened; its name.
    Event(String),
    /// The answer to the command with this id.
    Answer(u64, Answer),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Return(Value),
    Error(String),
}

/// The version of a running QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As in `10.0.2`.
    pub number: (u64, u64, u64),
    /// What the packager added, perhaps nothing.
    pub package: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, micro) = self.number;
        write!(f, "{major}.{minor}.{micro}")
    }
}

/// Whether the guest's processors run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// They do.
    Running,
    /// Not yet: the machine is being made.
    Starting,
    /// Not any more, or not now; QEMU's word for it (`paused`, `shutdown`, `io-error`…).
    Halted(String),
}

impl RunState {
    pub(super) fn of(answer: &Value) -> Option<Self> {
        Some(match answer.get("status")?.as_str()? {
            "running" => Self::Running,
            "prelaunch" | "inmigrate" => Self::Starting,
            other => Self::Halted(clip(other)),
        })
    }
}

/// How far the loading of a saved state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loading {
    /// It goes on.
    Underway,
    /// All is loaded.
    Done,
    /// It cannot be loaded; why.
    Failed(String),
}

impl Loading {
    /// Reads `MigrationInfo` of QEMU's qapi/migration.json.
    pub(super) fn of(answer: &Value) -> Option<Self> {
        // Without a status nothing has begun.
        let Some(status) = answer.get("status") else {
            return answer.is_object().then_some(Self::Underway);
        };
        Some(match status.as_str()? {
            "completed" => Self::Done,
            status @ ("failed" | "cancelled" | "cancelling") => {
                let why = answer.get("error-desc").and_then(Value::as_str);
                Self::Failed(clip(why.unwrap_or(status)))
            }
            _ => Self::Underway,
        })
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "QMP")]
    greeting: Option<RawGreeting>,
    event: Option<String>,
    id: Option<u64>,
    // Written so that `"return": null`, were it ever sent, is an answer too.
    #[serde(rename = "return", default, deserialize_with = "present")]
    value: Option<Value>,
    error: Option<RawError>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct RawGreeting {
    version: RawVersion,
}

#[derive(Deserialize)]
struct RawVersion {
    qemu: RawNumber,
    #[serde(default)]
    package: String,
}

#[derive(Deserialize)]
struct RawNumber {
    major: u64,
    minor: u64,
    micro: u64,
}

#[derive(Deserialize)]
struct RawError {
    desc: String,
}

impl Incoming {
    pub(super) fn parse(line: &[u8]) -> Result<Self, QmpError> {
        let strange = || QmpError::Strange(clip(&String::from_utf8_lossy(line)));
        let raw: Raw = serde_json::from_slice(line).map_err(|_| strange())?;
        match raw {
            Raw {
                greeting: Some(greeting),
                ..
            } => Ok(Self::Greeting(greeting.version.into())),
            Raw {
                event: Some(name), ..
            } => Ok(Self::Event(name)),
            Raw {
                id: Some(id),
                value: Some(value),
                ..
            } => Ok(Self::Answer(id, Answer::Return(value))),
            Raw {
                id: Some(id),
                error: Some(error),
                ..
            } => Ok(Self::Answer(id, Answer::Error(error.desc))),
            // An error without an id answers what could not be understood as a command at all.
            _ => Err(strange()),
        }
    }
}

impl From<RawVersion> for Version {
    fn from(raw: RawVersion) -> Self {
        Self {
            number: (raw.qemu.major, raw.qemu.minor, raw.qemu.micro),
            package: raw.package,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_greeting_tells_the_version() {
        let line = br#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10},
            "package": "Debian"}, "capabilities": ["oob"]}}"#;
        let Ok(Incoming::Greeting(version)) = Incoming::parse(line) else {
            panic!("not a greeting");
        };
        assert_eq!(version.to_string(), "10.0.2");
    }

    #[test]
    fn what_has_no_meaning_is_named_and_clipped() {
        for line in [
            "",
            "{}",
            "[]",
            "{\"return\": {}}",
            "{\"id\": -1, \"return\": {}}",
            "\u{1b}[",
        ] {
            let error = Incoming::parse(line.as_bytes()).expect_err(line);
            assert!(matches!(error, QmpError::Strange(_)), "{line}");
        }
        let long = Incoming::parse("x".repeat(10_000).as_bytes()).expect_err("strange");
        assert!(long.to_string().len() < 300);
    }

    #[test]
    fn run_states_are_told_apart() {
        let state = |word: &str| RunState::of(&serde_json::json!({ "status": word }));
        assert_eq!(state("running"), Some(RunState::Running));
        assert_eq!(state("prelaunch"), Some(RunState::Starting));
        assert_eq!(state("io-error"), Some(RunState::Halted("io-error".into())));
        assert_eq!(RunState::of(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Incoming::parse(&line);
        }
    }
}
