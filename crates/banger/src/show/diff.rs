//! What is different on a machine's disks.

use super::table::{Table, Tone};
use super::words::{is_harmful, show_bytes};
use banger_proto::owner::ByteText;
use banger_proto::owner::diff::{Aspect, Change, ChangeKind, Diff};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How deep `--stat` goes.
const DEPTH: usize = 2;

/// A line for each difference; of the quiet ones the path alone.
#[must_use]
pub fn lines(diff: &Diff, quiet: bool) -> String {
    let mut text = String::new();
    for change in &diff.changes {
        let slash = if change.file_type == "directory" && change.path.0 != b"/" {
            "/"
        } else {
            ""
        };
        let path = printable(&change.path) + slash;
        let what: Vec<_> = change.what.iter().copied().map(word).collect();
        text += &match (quiet, what.as_slice()) {
            (true, _) => format!("{path}\n"),
            (false, []) => format!("{} {path}\n", letter(change.kind)),
            (false, what) => format!("{} {path} ({})\n", letter(change.kind), what.join(", ")),
        };
    }
    text
}

/// How many there are, and how many bytes, in each directory near the root and in all.
#[must_use]
pub fn by_directory(diff: &Diff) -> Table {
    let mut directories: BTreeMap<Vec<u8>, Sum> = BTreeMap::new();
    let mut all = Sum::default();
    for change in &diff.changes {
        let directory = directories
            .entry(near_the_root(&change.path.0))
            .or_default();
        directory.add(change);
        all.add(change);
    }
    all.counts = [diff.added, diff.changed, diff.removed];
    let mut table = Table::new(&["DIRECTORY", "ADDED", "CHANGED", "REMOVED", "MORE", "LESS"]);
    let sums = directories
        .iter()
        .map(|(path, sum)| (printable(&ByteText(path.clone())), sum));
    for (name, sum) in sums.chain([("all".to_owned(), &all)]) {
        let [added, changed, removed] = sum.counts.map(|count| count.to_string());
        let bytes = [sum.more, sum.less].map(show_bytes);
        table.row([
            (name.as_str(), Tone::Plain),
            (&added, Tone::Plain),
            (&changed, Tone::Plain),
            (&removed, Tone::Plain),
            (&bytes[0], Tone::Plain),
            (&bytes[1], Tone::Plain),
        ]);
    }
    table
}

#[derive(Default)]
struct Sum {
    counts: [u64; 3],
    more: u64,
    less: u64,
}

impl Sum {
    fn add(&mut self, change: &Change) {
        let [added, changed, removed] = &mut self.counts;
        let count = match change.kind {
            ChangeKind::Added => added,
            ChangeKind::Changed => changed,
            ChangeKind::Removed => removed,
        };
        *count += 1;
        let [was, is] = [change.size_before, change.size].map(Option::unwrap_or_default);
        self.more = self.more.saturating_add(is.saturating_sub(was));
        self.less = self.less.saturating_add(was.saturating_sub(is));
    }
}

/// The directory that a path is counted in.
fn near_the_root(path: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = path.split(|byte| *byte == b'/').skip(1).collect();
    let kept = parts.len().saturating_sub(1).min(DEPTH);
    let mut directory: Vec<u8> = vec![];
    for part in parts.into_iter().take(kept) {
        directory.push(b'/');
        directory.extend_from_slice(part);
    }
    directory.push(b'/');
    directory
}

const fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Changed => 'M',
        ChangeKind::Removed => 'D',
    }
}

const fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Type => "type",
        Aspect::Content => "content",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Attributes => "attributes",
    }
}

/// A path as one line that tells it from every other and that no terminal obeys: what cannot be printed is shown
/// as `\xNN`, a backslash as two.
fn printable(path: &ByteText) -> String {
    let mut text = String::new();
    for part in path.0.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if is_harmful(c) => {
                    let mut bytes = [0; 4];
                    c.encode_utf8(&mut bytes)
                        .bytes()
                        .for_each(|byte| escape(&mut text, byte));
                }
                c => text.push(c),
            }
        }
        part.invalid()
            .iter()
            .for_each(|byte| escape(&mut text, *byte));
    }
    text
}

fn escape(text: &mut String, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ChangeKind, path: &[u8], sizes: [Option<u64>; 2]) -> Change {
        Change {
            path: ByteText(path.to_vec()),
            kind,
            what: vec![],
            file_type: "regular".into(),
            size_before: sizes[0],
            size: sizes[1],
        }
    }

    fn diff() -> Diff {
        let mut hosts = change(ChangeKind::Changed, b"/etc/hosts", [Some(100), Some(20)]);
        hosts.what = vec![Aspect::Content, Aspect::Owner];
        let mut directory = change(ChangeKind::Added, b"/srv/www/one", [None, None]);
        directory.file_type = "directory".into();
        Diff {
            changes: vec![
                hosts,
                change(ChangeKind::Removed, b"/etc/motd", [Some(5), None]),
                directory,
                change(
                    ChangeKind::Added,
                    b"/srv/www/one/page",
                    [None, Some(3 << 20)],
                ),
                change(ChangeKind::Added, b"/srv/www/two", [None, Some(1)]),
                change(ChangeKind::Added, b"/vmlinuz", [None, Some(1)]),
            ],
            added: 4,
            changed: 1,
            removed: 1,
            ..Diff::default()
        }
    }

    #[test]
    fn each_difference_has_a_line() {
        insta::assert_snapshot!(lines(&diff(), false));
        insta::assert_snapshot!(lines(&diff(), true));
    }

    #[test]
    fn differences_are_counted_by_directory() {
        insta::assert_snapshot!(by_directory(&diff()).render(false));
    }

    #[test]
    fn no_name_moves_the_cursor_or_is_taken_for_another() {
        let evil = ["/a\nD /etc/passwd", "/\u{1b}[2J", "/x\\x41", "/\u{202e}txt"];
        let shown = evil.map(|path| printable(&ByteText(path.into())));
        assert_eq!(
            shown,
            [
                "/a\\x0aD /etc/passwd",
                "/\\x1b[2J",
                "/x\\\\x41",
                "/\\xe2\\x80\\xaetxt"
            ]
        );
        assert_eq!(printable(&ByteText(b"/\xff\xc3\xbc".to_vec())), "/\\xffü");
    }
}
