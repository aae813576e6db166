//! Waiting for a condition, never for a while.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Looks every 20 ms until `look` gives `Ok`, and returns what it gave.
///
/// # Panics
/// After `limit`, with the last status that `look` gave.
pub fn eventually<T, S: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
    let until = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(status) if Instant::now() >= until => {
                panic!(
                    "{what}: not within {} s; last seen: {status:?}",
                    limit.as_secs()
                );
            }
            Err(_) => {}
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that waits"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
}
