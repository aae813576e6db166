//! The terminal's other screen: entered, drawn upon in place, and always left again.

use super::{Order, table};
use crate::exit::Failure;
use crate::show::Show;
use crate::show::stats::{SAID_NOTE, is_said};
use crate::show::table::Tone;
use crate::show::words::{count, show_bytes};
use crate::stats::Measured;
use banger_proto::owner::exec::Size;
use std::sync::Once;
use unicode_width::UnicodeWidthChar;

/// Keeps what is on the terminal, clears it, hides the cursor (xterm's private modes 1049 and 25).
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
/// Takes that back.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the first place of the first line.
const HOME: &str = "\u{1b}[H";
/// Clears to the end of the line, then begins the next: a raw terminal adds no carriage return.
const NEXT: &str = "\u{1b}[K\r\n";
/// Clears to the end of the line, and all lines below.
const END: &str = "\u{1b}[K\u{1b}[J";

static HOOK: Once = Once::new();

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Leave,
    Sort(Order),
}

/// What was typed; the last counts that means something. `None` for what means nothing.
pub(super) fn key(bytes: &[u8]) -> Option<Key> {
    // An escape sequence, as an arrow key sends one, has letters in it.
    let typed = bytes.split(|byte| *byte == 0x1b).next().unwrap_or_default();
    typed.iter().rev().find_map(|byte| match byte {
        // Ctrl-C and Ctrl-D, which a raw terminal passes on.
        b'q' | b'Q' | 3 | 4 => Some(Key::Leave),
        b'm' | b'M' => Some(Key::Sort(Order::Memory)),
        b'c' | b'C' => Some(Key::Sort(Order::Cpu)),
        _ => None,
    })
}

/// The other screen while it lives.
pub(super) struct Screen {
    show: Show,
}

impl Screen {
    pub(super) fn enter(show: Show) -> Result<Self, Failure> {
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                // Its words would vanish with the screen.
                let _gone = show.raw(LEAVE);
                previous(info);
            }));
        });
        // First: what was written of it must be taken back even if the rest was not.
        let screen = Self { show };
        show.raw(ENTER)?;
        Ok(screen)
    }

    pub(super) fn draw(
        &mut self,
        rows: &[Measured],
        order: Order,
        gone: bool,
        size: Size,
    ) -> Result<(), Failure> {
        let lines = lines(rows, order, gone, !self.show.no_color);
        self.show.raw(frame(&lines, size))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs no care.
        let _gone = self.show.raw(LEAVE);
    }
}

fn lines(rows: &[Measured], order: Order, gone: bool, color: bool) -> Vec<String> {
    let cpu = rows.iter().filter_map(|row| row.rates.cpu_percent);
    // The sum of no numbers would be -0.
    let cpu = cpu.fold(0.0, |sum, percent| sum + percent);
    let resident = rows.iter().filter_map(|row| row.stats.vmm.as_ref());
    let resident = resident.fold(0_u64, |sum, vmm| sum.saturating_add(vmm.resident_bytes));
    let machines = count(rows.len(), "machine", "machines");
    let by = match order {
        Order::Cpu => "by cpu (m: by memory)",
        Order::Memory => "by memory (c: by cpu)",
    };
    let head = format!(
        "{machines}   cpu {cpu:.1}%   memory {}   {by}   q: leave",
        show_bytes(resident)
    );
    let mut lines = vec![Tone::Faint.paint(&head, color)];
    lines.push(match gone {
        true => Tone::Warning.paint("the daemon is gone: waiting for the next one", color),
        false => String::new(),
    });
    lines.extend(table::table(rows).render(color).lines().map(str::to_owned));
    if is_said(rows) {
        lines.push(Tone::Faint.paint(SAID_NOTE, color));
    }
    lines
}

/// All of the screen: as many lines as fit, none longer than the screen is wide.
fn frame(lines: &[String], size: Size) -> String {
    let shown: Vec<_> = lines
        .iter()
        .take(usize::from(size.rows))
        .map(|line| clip(line, usize::from(size.columns)))
        .collect();
    format!("{HOME}{}{END}", shown.join(NEXT))
}

/// As much of a line as fits. Of escape sequences it has only those of colours, which take no room.
fn clip(line: &str, width: usize) -> String {
    let (mut out, mut taken, mut escape) = (String::new(), 0, false);
    for c in line.chars() {
        if escape || c == '\u{1b}' {
            escape = c != 'm';
            out.push(c);
            continue;
        }
        taken += c.width().unwrap_or(0);
        if taken <= width {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::measure;
    use crate::stats::tests::running;
    use proptest::prelude::*;

    const SMALL: Size = Size {
        rows: 3,
        columns: 10,
    };

    fn plain(text: &str) -> String {
        let mut escape = false;
        let keep = |c: &char| {
            let was = escape || *c == '\u{1b}';
            escape = was && !c.is_ascii_alphabetic();
            !was
        };
        text.chars().filter(keep).collect()
    }

    #[test]
    fn a_frame_fits_the_screen_whatever_its_size() {
        let rows: Vec<_> = ["a", "b", "c"]
            .map(|name| measure(None, running(name, 20_000, 100)))
            .into();
        let lines = lines(&rows, Order::Cpu, false, true);
        let frame = frame(&lines, SMALL);
        let shown = plain(&frame);
        let shown: Vec<_> = shown.split("\r\n").collect();
        assert_eq!(shown, ["3 machines", "", "NAME  CPU "]);
        assert!(frame.starts_with(HOME) && frame.ends_with(END));
    }

    #[test]
    fn a_daemon_that_is_gone_is_told_and_the_last_figures_stay() {
        let rows = [measure(None, running("web", 20_000, 5000))];
        let text = lines(&rows, Order::Memory, true, false).join("\n");
        assert!(
            text.contains("waiting for the next one") && text.contains("web"),
            "{text}"
        );
        assert!(
            text.starts_with("1 machine   cpu 50.0%   memory 100MiB   by memory"),
            "{text}"
        );
    }

    #[test]
    fn keys_sort_and_leave_and_arrows_do_nothing() {
        assert_eq!(key(b"q"), Some(Key::Leave));
        assert_eq!(key(&[3]), Some(Key::Leave));
        assert_eq!(key(b"m"), Some(Key::Sort(Order::Memory)));
        assert_eq!(key(b"mc"), Some(Key::Sort(Order::Cpu)));
        for nothing in [&b"\x1b[C"[..], b"x", b"", b"\x1bOM"] {
            assert_eq!(key(nothing), None, "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn a_clipped_line_is_never_wider_than_the_screen(text in "[a-z日ü ]{0,40}", width in 0_usize..30) {
            let colored = Tone::Bad.paint(&text, true);
            let clipped = plain(&clip(&colored, width));
            let taken: usize = clipped.chars().filter_map(UnicodeWidthChar::width).sum();
            prop_assert!(taken <= width);
            prop_assert!(clip(&colored, width).ends_with("\u{1b}[0m"), "colours end with the line");
        }
    }
}
