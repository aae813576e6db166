//! Where the figures come from: whatever daemon answers now.

use crate::client::{Client, path};
use crate::place::Surroundings;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::stats::Stats;

/// What a look brought.
#[derive(Debug)]
pub(super) enum Look {
    /// Every machine that runs.
    Seen(Vec<Stats>),
    /// No daemon answers now. Whoever only looks starts none: it may have been told to leave.
    Gone,
}

/// Looks once, over a connection of its own. When it breaks the daemon is gone: another is neither started nor
/// waited for, as for every command, so that who looks is told.
///
/// # Errors
/// What no waiting helps against.
pub(super) async fn look(surroundings: &Surroundings) -> Result<Look, Fault> {
    let asked = async {
        let Some(client) = Client::if_running(surroundings.clone()).await? else {
            return Ok(Look::Gone);
        };
        let stats = client.get_of_this(path::plain("stats")).await;
        stats.map(Look::Seen)
    };
    match asked.await {
        Err(fault) if fault.code == FaultCode::Unavailable => Ok(Look::Gone),
        looked => looked,
    }
}
