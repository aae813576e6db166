//! What attempts have printed, beside each other: a column for each, as wide as the terminal allows.

use crate::show::words::harmless;
use std::iter::repeat_n;
use unicode_width::UnicodeWidthChar;

/// Between two columns.
const RULE: &str = " │ ";
const RULE_WIDTH: usize = 3;
/// Narrower columns are of no use; those that do not fit are in rows of columns beneath.
const NARROWEST: usize = 24;
/// Where a tab leads to: each so many places.
const TAB: usize = 8;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub heading: String,
    /// What was printed. From a guest: it may be anything.
    pub printed: Vec<u8>,
}

/// All of them in lines of at most `width` places, as far as one column is not wider alone.
#[must_use]
pub fn lay(columns: &[Column], width: usize) -> String {
    let beside = ((width + RULE_WIDTH) / (NARROWEST + RULE_WIDTH)).clamp(1, columns.len().max(1));
    let each = (width + RULE_WIDTH) / beside;
    let each = each.saturating_sub(RULE_WIDTH).max(NARROWEST);
    let rows = columns.chunks(beside).map(|row| lay_row(row, each));
    rows.collect::<Vec<_>>().join("\n")
}

fn lay_row(columns: &[Column], width: usize) -> String {
    let cells: Vec<Vec<String>> = columns.iter().map(|one| cells(one, width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for line in 0..height {
        let of_line = cells.iter().map(|column| match column.get(line) {
            Some(cell) => pad(cell, width),
            None => pad("", width),
        });
        let whole = of_line.collect::<Vec<_>>().join(RULE);
        text.push_str(whole.trim_end());
        text.push('\n');
    }
    text
}

/// Heading, a line under it, and what was printed, in pieces that are not too wide.
fn cells(column: &Column, width: usize) -> Vec<String> {
    let mut cells = pieces(&column.heading, width);
    cells.push("─".repeat(width));
    let printed = String::from_utf8_lossy(&column.printed);
    for line in printed.lines() {
        cells.extend(pieces(line, width));
    }
    cells
}

/// A line in pieces of at most so many places. An empty one is one piece.
fn pieces(line: &str, width: usize) -> Vec<String> {
    let (mut pieces, mut piece, mut taken) = (Vec::new(), String::new(), 0);
    for c in harmless(&without_tabs(line)).chars() {
        let places = c.width().unwrap_or(0);
        if taken + places > width {
            pieces.push(std::mem::take(&mut piece));
            taken = 0;
        }
        piece.push(c);
        taken += places;
    }
    pieces.push(piece);
    pieces
}

/// With blanks in the place of tabs.
fn without_tabs(line: &str) -> String {
    let (mut text, mut taken) = (String::new(), 0);
    for c in line.chars() {
        match c {
            '\t' => {
                let blanks = TAB - taken % TAB;
                text.extend(repeat_n(' ', blanks));
                taken += blanks;
            }
            c => {
                text.push(c);
                taken += c.width().unwrap_or(0);
            }
        }
    }
    text
}

fn pad(cell: &str, width: usize) -> String {
    let taken: usize = cell.chars().filter_map(UnicodeWidthChar::width).sum();
    let mut padded = cell.to_owned();
    padded.extend(repeat_n(' ', width.saturating_sub(taken)));
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(heading: &str, printed: &str) -> Column {
        Column {
            heading: heading.into(),
            printed: printed.into(),
        }
    }

    #[test]
    fn columns_are_of_one_width_and_a_shorter_one_ends_before() {
        let text = lay(
            &[column("[1] A=1", "one\ntwo\n"), column("[2] A=2", "three")],
            51,
        );
        let line = "─".repeat(24);
        assert_eq!(
            text,
            format!(
                "{:24} │ [2] A=2\n{line} │ {line}\n{:24} │ three\n{:24} │\n",
                "[1] A=1", "one", "two"
            )
        );
    }

    #[test]
    fn what_is_too_wide_goes_on_beneath_in_its_own_column() {
        let long = "x".repeat(30);
        let text = lay(&[column("a", &long), column("b", "y\n\nz")], 51);
        let lines: Vec<_> = text.lines().skip(2).collect();
        let (first, rest) = ("x".repeat(24), "x".repeat(6));
        assert_eq!(
            lines,
            [
                format!("{first} │ y"),
                format!("{rest:24} │"),
                format!("{:24} │ z", "")
            ]
        );
    }

    #[test]
    fn those_that_do_not_fit_are_beneath() {
        let three = ["a", "b", "c"].map(|heading| column(heading, heading));
        let text = lay(&three, 60);
        let blocks: Vec<_> = text.split("\n\n").collect();
        assert_eq!(blocks.len(), 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 60));
        // A terminal that is narrower than any column.
        assert_eq!(lay(&three, 5).split("\n\n").count(), 3);
        assert_eq!(lay(&[], 80), "");
    }

    #[test]
    fn wide_characters_tabs_and_what_would_move_the_cursor_leave_the_columns_straight() {
        let text = lay(
            &[column("a", "漢字\tx\n\u{1b}[2Jy\r\n"), column("b", "1\n2")],
            51,
        );
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                format!("漢字    x{:15} │ 1", ""),
                format!("\u{fffd}[2Jy{:19} │ 2", "")
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let text = lay(
            &[Column {
                heading: "a".into(),
                printed: vec![b'x', 0xff],
            }],
            80,
        );
        assert!(text.ends_with("x\u{fffd}\n"), "{text}");
    }
}
