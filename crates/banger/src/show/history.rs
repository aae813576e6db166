//! What can be undone.

use super::table::{Table, Tone};
use super::words::{age, count, show_bytes};
use banger_proto::owner::sandbox::History;

/// The table of `vm history`.
#[must_use]
pub fn table(history: &History, now: u64) -> Table {
    let mut table = Table::new(&["BACK", "AGE", "SIZE", "BEFORE"]);
    for one in &history.checkpoints {
        table.row([
            (one.back.to_string().as_str(), Tone::Plain),
            (&age(one.taken_at, now), Tone::Plain),
            (&show_bytes(one.disk_used), Tone::Plain),
            (&one.command, Tone::Plain),
        ]);
    }
    table
}

/// What is to be known beside it.
#[must_use]
pub fn words(history: &History) -> String {
    if let Some(trouble) = &history.trouble {
        return format!("none can be used: {trouble}");
    }
    if !history.kept && history.checkpoints.is_empty() {
        return "no checkpoints are made for this machine: create one with --checkpoint".into();
    }
    let gone = match history.gone {
        0 => String::new(),
        gone => format!(
            "; {} gone",
            count(gone as usize, "older one has", "older ones have")
        ),
    };
    let most = history.most;
    format!(
        "{} in all, the newest state as a whole; kept are the newest {most} within {}{gone}",
        show_bytes(history.disk_used),
        show_bytes(history.budget),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::owner::sandbox::Checkpoint;

    fn history() -> History {
        let of = |back, command: &str| Checkpoint {
            back,
            command: command.into(),
            taken_at: 1000,
            disk_used: 3 << 20,
        };
        History {
            kept: true,
            checkpoints: vec![of(1, "rm -rf /srv"), of(2, "make \u{1b}[2J")],
            gone: 1,
            most: 20,
            budget: 4 << 30,
            disk_used: 300 << 20,
            trouble: None,
        }
    }

    #[test]
    fn the_newest_command_comes_first_and_none_reaches_the_terminal_as_it_is() {
        let text = table(&history(), 1060).render(false);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_has_gone_and_what_may_be_kept_is_said() {
        insta::assert_snapshot!(words(&history()));
        let trouble = History {
            trouble: Some("the disk is broken".into()),
            ..history()
        };
        assert_eq!(words(&trouble), "none can be used: the disk is broken");
        let none = History {
            kept: false,
            checkpoints: vec![],
            ..history()
        };
        assert!(words(&none).contains("--checkpoint"));
    }
}
