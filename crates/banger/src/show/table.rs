//! Columns, aligned with spaces. A library for this would cost the budget two crates; what is
//! needed is padding.

use super::words::harmless;
use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

/// How a cell is drawn where colours are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// Bad.
    Bad,
    /// Of less weight.
    Faint,
    /// Of more weight.
    Strong,
}

impl Tone {
    /// The escape sequences.
    #[must_use]
    pub const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }

    /// The text in this tone, or as it is.
    #[must_use]
    pub fn paint(self, text: &str, color: bool) -> String {
        if color && self != Self::Plain {
            let style = self.style();
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// Rows of cells under a head.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table with these headings; none for a list of properties.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let mut table = Self::default();
        if !head.is_empty() {
            table.row(head.iter().map(|title| (*title, Tone::Strong)));
        }
        table
    }

    /// Adds a row. What is in the cells may come from anywhere.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = (T, Tone)>) {
        let clean = |(text, tone): (T, Tone)| (harmless(text.as_ref()).into_owned(), tone);
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// The lines, each with its end. Two spaces part the columns; no line ends in spaces.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let last = row.iter().rposition(|(text, _)| !text.is_empty());
            for (at, ((text, tone), width)) in row.iter().zip(&widths).enumerate() {
                if last.is_none_or(|last| at > last) {
                    break;
                }
                out.push_str(&tone.paint(text, color));
                if Some(at) != last {
                    let gap = width.saturating_sub(text.width()) + 2;
                    out.extend(std::iter::repeat_n(' ', gap));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "REASON"]);
        table.row([
            ("dev", Tone::Plain),
            ("running", Tone::Good),
            ("", Tone::Plain),
        ]);
        table.row([
            ("ü日本", Tone::Plain),
            ("stopped", Tone::Faint),
            ("\u{1b}[2J", Tone::Plain),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_characters_take_on_the_screen() {
        insta::assert_snapshot!(sample().render(false), @r"
        NAME   STATE    REASON
        dev    running
        ü日本  stopped  �[2J
        ");
    }

    #[test]
    fn colours_do_not_change_the_alignment() {
        let colored = sample().render(true);
        assert!(colored.contains("\u{1b}[32mrunning"), "{colored:?}");
        let mut plain = String::new();
        let mut escape = false;
        for c in colored.chars() {
            match (escape, c) {
                (false, '\u{1b}') => escape = true,
                (true, 'm') => escape = false,
                (true, _) => {}
                (false, c) => plain.push(c),
            }
        }
        assert_eq!(plain, sample().render(false));
    }

    #[test]
    fn an_empty_table_is_nothing() {
        assert_eq!(Table::new(&[]).render(false), "");
    }
}
