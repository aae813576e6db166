//! Snapshots.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use banger_proto::owner::sandbox::Snapshot;

/// The table of `snapshots`.
#[must_use]
pub fn table(snapshots: &[Snapshot], now: u64) -> Table {
    let mut table = Table::new(&["TAG", "AGE", "MEMORY", "DISK", ""]);
    for one in snapshots {
        let memory = match (&one.trouble, one.memory) {
            (Some(_), _) => "?",
            (None, true) => "yes",
            (None, false) => "no",
        };
        table.row([
            (one.tag.as_str(), Tone::Plain),
            (&age(one.taken_at, now), Tone::Plain),
            (memory, Tone::Plain),
            (&show_bytes(one.disk_used), Tone::Plain),
            (one.trouble.as_deref().unwrap_or_default(), Tone::Bad),
        ]);
    }
    table
}

/// The table of `template list`.
#[must_use]
pub fn templates(templates: &[Snapshot], now: u64) -> Table {
    let mut table = Table::new(&["KEY", "AGE", "DISK", ""]);
    for one in templates {
        table.row([
            (one.tag.as_str(), Tone::Plain),
            (&age(one.taken_at, now), Tone::Plain),
            (&show_bytes(one.disk_used), Tone::Plain),
            (one.trouble.as_deref().unwrap_or_default(), Tone::Bad),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_cannot_be_used_says_why() {
        let of = |tag: &str, memory, trouble: Option<&str>| Snapshot {
            tag: tag.into(),
            taken_at: 1000,
            memory,
            disk_used: 3 << 20,
            trouble: trouble.map(Into::into),
        };
        let all = [
            of("good", true, None),
            of("cold", false, None),
            of("bad", false, Some("its manifest is cut off")),
        ];
        let text = table(&all, 1060).render(false);
        insta::assert_snapshot!(text);
    }
}
