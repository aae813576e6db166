//! The user's terminal: its size, and raw mode that is always taken back.

use banger_proto::owner::exec::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::stdin;
use std::sync::{Mutex, Once, PoisonError};

/// What the terminal was before raw mode; the panic hook needs it, too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The size of the terminal at standard input or output; 24 × 80 where there is none.
#[must_use]
pub fn size() -> Size {
    let found = tcgetwinsize(stdin()).or_else(|_| tcgetwinsize(std::io::stdout()));
    match found {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Size {
            rows: size.ws_row,
            columns: size.ws_col,
        },
        _ => Size {
            rows: 24,
            columns: 80,
        },
    }
}

/// Raw mode while it lives. Taken back when it is dropped, and before the words of a panic.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Makes the terminal at standard input raw; `None` where there is none.
    #[must_use]
    pub fn enter() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        HOOK.call_once(install_hook);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(stdin(), OptionalActions::Drain, &raw).ok()?;
        Some(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that has gone needs no care.
        let _gone = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        previous(info);
    }));
}
