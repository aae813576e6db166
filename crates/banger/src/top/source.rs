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

/// Looks once, over a connection of its own: one that is kept would have a daemon started when it
/// breaks, as for every command.
///
/// # Errors
/// What no waiting helps against.
pub(super) async fn look(surroundings: &Surroundings) -> Result<Look, Fault> {
    let asked = async {
        let Some(client) = Client::if_running(surroundings.clone()).await? else {
            return Ok(Look::Gone);
        };
        client.get(path::plain("stats")).await.map(Look::Seen)
    };
    match asked.await {
        Err(fault) if fault.code == FaultCode::Unavailable => Ok(Look::Gone),
        looked => looked,
    }
}
