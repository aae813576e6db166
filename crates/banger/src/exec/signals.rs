//! Signals that reach the command line while a session or a creation goes on.

use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// signal(7), for the guest.
pub const SIGHUP: u8 = 1;
/// signal(7), for the guest.
pub const SIGINT: u8 = 2;
/// signal(7), for the guest.
pub const SIGQUIT: u8 = 3;
/// signal(7), for the guest.
pub const SIGTERM: u8 = 15;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Ctrl-C or Ctrl-\, as the signal's number.
    Interrupt(u8),
    /// The command line is to end, as the signal's number.
    End(u8),
    /// The terminal has another size.
    Resize,
}

/// Listens for all of them. While it lives, none of them ends the process.
pub struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
    window: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the process cannot have handlers.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            window: signal(SignalKind::window_change())?,
        })
    }

    /// The next. Safe to drop while it waits.
    pub async fn next(&mut self) -> Came {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Came::Interrupt(SIGINT),
            Some(()) = self.quit.recv() => Came::Interrupt(SIGQUIT),
            Some(()) = self.terminate.recv() => Came::End(SIGTERM),
            Some(()) = self.hangup.recv() => Came::End(SIGHUP),
            Some(()) = self.window.recv() => Came::Resize,
            else => std::future::pending().await,
        }
    }

    /// The next that means "stop what you do", as its number.
    pub async fn stop(&mut self) -> u8 {
        loop {
            if let Came::Interrupt(number) | Came::End(number) = self.next().await {
                return number;
            }
        }
    }
}

/// How long ago the first of three Ctrl-C may be for the third to end the wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// What follows from a Ctrl-C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// The guest's command gets it.
    Forward,
    /// The guest's command gets it, and the user hears that the next ends the wait.
    ForwardAndWarn,
    /// The user does not wait any longer.
    GiveUp,
}

/// Counts presses: the third within three seconds gives up.
#[derive(Debug, Default)]
pub struct Presses(Vec<Instant>);

impl Presses {
    /// One more, at that time.
    pub fn press(&mut self, now: Instant) -> Press {
        self.0.retain(|then| now.duration_since(*then) < PATIENCE);
        self.0.push(now);
        match self.0.len() {
            1 => Press::Forward,
            2 => Press::ForwardAndWarn,
            _ => Press::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quick_presses_give_up_and_slow_ones_never_do() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut quick = Presses::default();
        let came = [0, 500, 1000].map(|ms| quick.press(at(ms)));
        assert_eq!(came, [Press::Forward, Press::ForwardAndWarn, Press::GiveUp]);
        let mut slow = Presses::default();
        for number in 0..5 {
            assert_eq!(slow.press(at(number * 4000)), Press::Forward);
        }
    }
}
