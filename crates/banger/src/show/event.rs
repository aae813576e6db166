//! Events, one a line: a stream has no widths to wait for.

use super::table::Tone;
use super::words::harmless;
use banger_proto::owner::event::{Event, What};
use unicode_width::UnicodeWidthStr;

/// Columns that a name and a kind take; longer ones push the rest on.
const NAME: usize = 20;
const WHAT: usize = 12;

/// The line with its end.
#[must_use]
pub fn line(event: &Event, color: bool) -> String {
    let time = event.time.to_string();
    // To the second, with a blank: `2026-11-24 02:13:00`.
    let time = time.get(..19).unwrap_or(&time).replace('T', " ");
    let name = harmless(&event.name).into_owned();
    let padded = |text: &str, width: usize| {
        let gap = width.saturating_sub(text.width());
        format!("{text}{}", " ".repeat(gap))
    };
    let word = event.what.word();
    let what = tone(&event.what).paint(&padded(word, WHAT), color);
    let mut line = format!(
        "{}  {}  {what}  {}",
        Tone::Faint.paint(&time, color),
        padded(&name, NAME),
        harmless(&event.what.detail())
    );
    if let Some(op) = &event.op {
        let op = format!("({})", harmless(op));
        line = format!("{}  {}", line.trim_end(), Tone::Faint.paint(&op, color));
    }
    format!("{}\n", line.trim_end())
}

fn tone(what: &What) -> Tone {
    match what {
        What::Started { .. } | What::Resumed | What::Repaired | What::LinkMade => Tone::Good,
        What::StartFailed { .. } | What::NeedsRepair { .. } => Tone::Bad,
        What::Stopped { reason: Some(_) } | What::LinkLost | What::Paused { .. } => Tone::Warning,
        What::Created { .. }
        | What::Starting
        | What::Stopped { reason: None }
        | What::Suspended
        | What::Deleted
        | What::Renamed { .. }
        | What::Set { .. }
        | What::Published { .. }
        | What::Unpublished { .. }
        | What::Unknown => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::owner::time::UtcTime;

    fn event(name: &str, op: Option<&str>, what: What) -> Event {
        Event {
            seq: 1,
            time: UtcTime::from_ms(1_700_000_000_123),
            sandbox: "0123".into(),
            name: name.into(),
            op: op.map(Into::into),
            what,
        }
    }

    #[test]
    fn an_event_is_a_line_with_its_reason_and_operation() {
        let all = [
            event(
                "web",
                Some("op-abc123"),
                What::Created {
                    image: "debian".into(),
                },
            ),
            event("web", Some("op-abc123"), What::Starting),
            event(
                "web",
                None,
                What::Stopped {
                    reason: Some("its VMM \u{1b}[31m".into()),
                },
            ),
            event("web", None, What::LinkLost),
        ];
        let text: String = all.iter().map(|event| line(event, false)).collect();
        insta::assert_snapshot!(text, @r"
        2023-11-14 22:13:20  web                   created       of debian  (op-abc123)
        2023-11-14 22:13:20  web                   starting  (op-abc123)
        2023-11-14 22:13:20  web                   stopped       its VMM �[31m
        2023-11-14 22:13:20  web                   link lost
        ");
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let lost = event("web", None, What::LinkLost);
        assert!(line(&lost, true).contains('\u{1b}'));
        assert!(!line(&lost, false).contains('\u{1b}'));
    }
}
