//! What a long operation tells: bars on a terminal, one line per stage elsewhere, nothing when
//! quiet. All of it goes to standard error.

use super::words::{harmless, show_bytes};
use banger_proto::owner::operation::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Draws events.
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    prefix: String,
}

impl Progress {
    /// On a terminal.
    pub(super) fn bar() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(spinner());
        Self {
            bar: Some(bar),
            lines: false,
            prefix: String::new(),
        }
    }

    /// Elsewhere, or not at all.
    pub(super) const fn lines(lines: bool) -> Self {
        Self {
            bar: None,
            lines,
            prefix: String::new(),
        }
    }

    /// Says before each line what it is about.
    #[must_use]
    pub fn about(mut self, name: &str) -> Self {
        self.prefix = format!("{}: ", harmless(name));
        self
    }

    /// Draws one event.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Stage { text } => self.stage(text),
            Event::Amount { done, total } => self.amount(*done, *total),
            Event::Note { text } => self.note(text),
            Event::Accepted { .. } | Event::Done { .. } | Event::Failed { .. } => {}
        }
    }

    /// A new stage.
    pub fn stage(&self, text: &str) {
        let text = format!("{}{}", self.prefix, harmless(text));
        match &self.bar {
            Some(bar) => {
                bar.set_style(spinner());
                bar.enable_steady_tick(Duration::from_millis(100));
                bar.set_message(text);
            }
            None if self.lines => eprintln!("{text}"),
            None => {}
        }
    }

    fn amount(&self, done: u64, total: u64) {
        let Some(bar) = &self.bar else { return };
        if total == 0 {
            let message = bar.message();
            let stage = message.split(" (").next().unwrap_or_default().to_owned();
            bar.set_message(format!("{stage} ({})", show_bytes(done)));
        } else {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(amount());
            }
            bar.set_position(done);
        }
    }

    fn note(&self, text: &str) {
        let text = format!("{}{}", self.prefix, harmless(text));
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None if self.lines => eprintln!("{text}"),
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn amount() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_readable() {
        assert!(ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}").is_ok());
        assert!(
            ProgressStyle::with_template(
                "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes}"
            )
            .is_ok()
        );
    }
}
