//! How many more machines fit.

use super::stats::dash;
use super::table::{Table, Tone};
use super::words::show_bytes;
use banger_proto::owner::capacity::{Capacity, Share};

/// What each of the things gives; what binds is marked.
#[must_use]
pub fn table(found: &Capacity) -> Table {
    let mut table = Table::new(&["BY", "FIT", "EACH", "ONCE", "AVAILABLE", "KEPT"]);
    for (what, share) in [("memory", &found.memory), ("disk", &found.disk)] {
        table.row(row(what, share, found.limit == what));
    }
    table
}

fn row(what: &str, share: &Share, binds: bool) -> [(String, Tone); 6] {
    let plain = |text| (text, Tone::Plain);
    let tone = if binds { Tone::Warning } else { Tone::Plain };
    let once = match share.once_bytes {
        0 => dash(),
        bytes => show_bytes(bytes),
    };
    [
        plain(what.to_owned()),
        (share.machines.to_string(), tone),
        plain(show_bytes(share.each_bytes)),
        plain(once),
        plain(show_bytes(share.available_bytes)),
        plain(show_bytes(share.kept_bytes)),
    ]
}

/// The answer in a sentence.
#[must_use]
pub fn verdict(found: &Capacity) -> String {
    let source = match found.measured {
        0 => "what each takes of memory is an estimate".to_owned(),
        count => format!("what each takes of memory is the mean of {count} that run"),
    };
    let starting = match found.starting {
        0 => String::new(),
        count => format!(", besides {count} that start"),
    };
    format!(
        "{} more fit{starting}, by {}; {source}; if each used all of its memory, {} would fit",
        found.machines, found.limit, found.machines_when_full
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Capacity {
        Capacity {
            machines: 40,
            limit: "memory".into(),
            machines_when_full: 6,
            memory: Share {
                machines: 40,
                available_bytes: 5 << 30,
                kept_bytes: 1 << 30,
                once_bytes: 0,
                each_bytes: 100 << 20,
            },
            disk: Share {
                machines: 92,
                available_bytes: 1 << 30,
                kept_bytes: 64 << 20,
                once_bytes: 36 << 20,
                each_bytes: 10 << 20,
            },
            measured: 0,
            starting: 2,
        }
    }

    #[test]
    fn what_binds_is_told_with_what_it_was_computed_from() {
        insta::assert_snapshot!(table(&sample()).render(false), @r"
        BY      FIT  EACH    ONCE   AVAILABLE  KEPT
        memory  40   100MiB  -      5GiB       1GiB
        disk    92   10MiB   36MiB  1GiB       64MiB
        ");
        insta::assert_snapshot!(verdict(&sample()), @"40 more fit, besides 2 that start, by memory; what each takes of memory is an estimate; if each used all of its memory, 6 would fit");
    }
}
