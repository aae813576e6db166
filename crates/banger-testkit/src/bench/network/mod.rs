//! The host's network: places on the bridge beside the same by `ip` and `nft`, memory of the root
//! helper, bytes through the bridge, names.
//!
//! Everything but the names runs in network namespaces of its own, which needs root.

mod by_hand;
pub mod dns;
mod ground;
mod hundreds;
mod kernel;
pub mod load;
pub mod name_server;
mod places;
mod tcp;

use super::error::Error;
use super::figure::Figure;

/// Measures it.
///
/// # Errors
/// When something does not start, a result is wrong or something is left.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    if ground::is_possible() {
        figures.extend(measure_places(count)?);
        figures.extend(measure_tcp(count)?);
    } else {
        eprintln!("network: only the name server is measured, the rest needs root");
    }
    figures.extend(dns::measure(count)?);
    Ok(figures)
}

/// Measures TCP between host and guest.
///
/// # Errors
/// The same, and without root.
pub fn measure_tcp(count: usize) -> Result<Vec<Figure>, Error> {
    tcp::measure(count)
}

/// Measures places on the bridge, and the helper's memory: what needs no guest.
///
/// # Errors
/// The same, and without root.
pub fn measure_places(count: usize) -> Result<Vec<Figure>, Error> {
    let mut figures = places::measure(count)?;
    figures.extend(hundreds::measure(count)?);
    Ok(figures)
}
