//! When something was used last, on a clock that no setting of the time moves.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The moment of the last use; its own beginning counts as one.
#[derive(Debug)]
pub struct LastUse(Mutex<Instant>);

impl Default for LastUse {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl LastUse {
    /// It is used now.
    pub fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago that was.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}
