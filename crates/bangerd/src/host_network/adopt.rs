//! Guests that run when the daemon starts: their places are theirs already.

use super::rules::Place;
use super::{HostNetwork, Wish};
use crate::record::Record;
use banger_model::SandboxId;
use banger_model::host_names::TapSlot;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// A guest on the bridge that a daemon before has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Its TAP.
    pub slot: TapSlot,
    /// What it has.
    pub wish: Wish,
}

impl Adopted {
    /// What a record says of a guest that lives; `None` when it is not on the bridge.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let place = record.network?;
        Some(Self {
            slot: place.slot?,
            wish: Wish::of(record.id, &record.name, &record.spec, place.host_part),
        })
    }

    pub(super) fn place(self) -> Place {
        self.wish.place(self.slot)
    }
}

impl HostNetwork {
    /// Takes over the guests that live, by the records that say so, and has everything else that is
    /// ours removed from the host. To be called once, before any driver acts.
    ///
    /// Nothing is asked of the host when no guest is on the bridge and nothing was ever made there. The bridge stays
    /// for those that are suspended (`asleep`), too: their names are to wake them.
    pub async fn adopt(&self, living: BTreeMap<SandboxId, Adopted>, asleep: bool) {
        let any = asleep || !living.is_empty();
        *self.adopted.lock().unwrap_or_else(PoisonError::into_inner) = living;
        let was_used = matches!(self.store.setting(super::choice::SUBNET).await, Ok(Some(_)));
        if self.availability().is_err() || !(any || was_used) {
            return;
        }
        // Preparing sweeps what no living guest owns.
        match self.prepare(crate::operation::new_id()).await {
            Ok(_) if any => {}
            Ok(_) => self.leave().await,
            Err(fault) => tracing::error!("the host's network cannot be looked after: {fault}"),
        }
    }
}
