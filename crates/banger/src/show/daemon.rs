//! The daemon, and what `doctor` found.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use banger_proto::owner::daemon::{Check, Status, Verdict};

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
            format!("{} running of {}", status.running, status.sandboxes),
        ),
        ("operations", status.operations.to_string()),
        ("sessions", status.sessions.to_string()),
    ] {
        table.row([(what.to_owned(), Tone::Strong), (text, Tone::Plain)]);
    }
    table
}

/// The checks, each remedy under its check.
#[must_use]
pub fn checks(checks: &[Check]) -> Table {
    let mut table = Table::new(&[]);
    for check in checks {
        let (word, tone) = match check.verdict {
            Verdict::Pass => ("PASS", Tone::Good),
            Verdict::Warn => ("WARN", Tone::Warning),
            Verdict::Fail => ("FAIL", Tone::Bad),
        };
        let name = check.name.as_str();
        table.row([
            (word, tone),
            (name, Tone::Strong),
            (&check.found, Tone::Plain),
        ]);
        if let Some(remedy) = &check.remedy {
            let remedy = format!("remedy: {remedy}");
            table.row([("", Tone::Plain), ("", Tone::Plain), (&remedy, Tone::Plain)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_verdict_and_its_remedy() {
        let check = |name: &str, verdict, remedy: Option<&str>| Check {
            name: name.into(),
            verdict,
            found: "found so".into(),
            remedy: remedy.map(Into::into),
        };
        let all = [
            check("qemu", Verdict::Pass, None),
            check("kvm", Verdict::Warn, Some("load the module")),
        ];
        insta::assert_snapshot!(checks(&all).render(false), @"
        PASS  qemu  found so
        WARN  kvm   found so
                    remedy: load the module
        ");
    }
}
