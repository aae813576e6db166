//! The host's network.

pub mod dns;
pub mod load;
pub mod name_server;

use super::error::Error;
use super::figure::Figure;

/// Measures all of it.
///
/// # Errors
/// When a result is wrong or missing.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    dns::measure(count)
}
