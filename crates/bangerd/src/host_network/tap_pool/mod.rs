//! TAPs: a few wait ready, so that a start takes one without asking anybody; those that are given
//! back are deleted in the background, so that nobody waits for the kernel's grace periods.

mod slots;

use super::host::{Host, HostError, change, survey};
use crate::operation::{OpId, new_id};
use banger_model::host_names::TapSlot;
use banger_proto::fault::FaultCode;
use banger_proto::root::{BATCH_MAX, Survey, Verb};
use slots::{Slots, Taken};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Why a guest gets no TAP.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTap {
    /// A bridge has 1,024 ports (`BR_MAX_PORTS`, net/bridge/br_private.h).
    #[error("all {} places on the bridge are taken", TapSlot::MAX)]
    Full,
    /// It could not be made.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// The pool. Clones are the same one; its task ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct TapPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: Arc<dyn Host>,
    size: usize,
    slots: Mutex<Slots>,
    /// To be deleted, and by which operation each was given back.
    doomed: Mutex<BTreeMap<TapSlot, OpId>>,
    work: Notify,
    /// Held while a batch is at work; whether there are to be no more.
    closed: tokio::sync::Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TapPool {
    /// A pool that keeps `size` TAPs ready, from now on (none: every TAP is made when it is wanted),
    /// without those that guests of a daemon before have, and those that are another program's.
    pub(super) fn new(
        host: Arc<dyn Host>,
        size: usize,
        used: &BTreeSet<TapSlot>,
        foreign: BTreeSet<TapSlot>,
    ) -> Self {
        let mut slots = Slots::default();
        used.iter().for_each(|slot| slots.adopt(*slot));
        slots.foreign(foreign);
        let inner = Arc::new(Inner {
            host,
            size,
            slots: Mutex::new(slots),
            doomed: Mutex::default(),
            work: Notify::new(),
            closed: tokio::sync::Mutex::new(false),
        });
        let weak = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(inner) = weak.upgrade() {
                // What is awaited must not keep the pool: its task would never end.
                if !inner.work_once().await {
                    let work = Arc::downgrade(&inner);
                    drop(inner);
                    wait_for_work(&work).await;
                }
            }
        });
        Self(inner)
    }

    /// A TAP for a guest. A warm one takes no time; the pool is filled again behind it.
    ///
    /// # Errors
    /// When there is none and none can be made.
    pub(super) async fn take(&self, op: OpId) -> Result<TapSlot, NoTap> {
        loop {
            let taken = lock(&self.0.slots).take().ok_or(NoTap::Full)?;
            self.0.work.notify_one();
            let slot = match taken {
                Taken::Warm(slot) => return Ok(slot),
                Taken::Cold(slot) => slot,
            };
            let given = GiveBack(self, op, Some(slot));
            match change(&*self.0.host, op, make(&[slot].into())).await {
                Ok(_) => {
                    given.keep();
                    return Ok(slot);
                }
                // Each time there is one slot less to be tried.
                Err(error)
                    if self
                        .0
                        .foreign_of(op, &error, &[slot].into())
                        .await
                        .is_some() =>
                {
                    given.leave();
                    tracing::warn!(%op, "{error}: another slot is taken");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A guest needs its TAP no more. Returns at once.
    pub(super) fn give_back(&self, slot: TapSlot, op: OpId) {
        if lock(&self.0.slots).give_back(slot, self.0.size) {
            self.delete(slot, op);
        }
    }

    fn delete(&self, slot: TapSlot, op: OpId) {
        lock(&self.0.doomed).insert(slot, op);
        self.0.work.notify_one();
    }

    /// The bridge was made anew: all TAPs become ports of it, those of guests and those that wait.
    ///
    /// # Errors
    /// When the host cannot; some may be without a bridge then.
    pub(super) async fn join_again(&self, op: OpId) -> Result<(), HostError> {
        // A batch at work was asked for before there was this bridge.
        let _no_batch = self.0.closed.lock().await;
        let all: Vec<_> = lock(&self.0.slots).made().collect();
        for batch in all.chunks(BATCH_MAX) {
            change(&*self.0.host, op, make(&batch.iter().copied().collect())).await?;
        }
        Ok(())
    }

    /// Forgets the pool, and fills it no more: its TAPs are to be swept. Returns when the batch is over
    /// that was at work, so that the sweep finds all there is.
    pub(super) async fn close(&self) {
        *self.0.closed.lock().await = true;
        lock(&self.0.slots).forget_idle();
    }

    #[cfg(test)]
    fn has_idle(&self, count: usize) -> bool {
        lock(&self.0.slots).idle() == count
    }

    #[cfg(test)]
    fn is_free(&self, slot: TapSlot) -> bool {
        lock(&self.0.slots).is_free(slot)
    }
}

/// A slot that was taken and whose TAP is not there yet: dropped, it is deleted.
struct GiveBack<'a>(&'a TapPool, OpId, Option<TapSlot>);

impl GiveBack<'_> {
    fn keep(mut self) {
        self.2 = None;
    }

    /// There is nothing to delete: the slot is another program's.
    fn leave(mut self) {
        if let Some(slot) = self.2.take() {
            lock(&self.0.0.slots).leave(slot);
        }
    }
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.2 {
            lock(&self.0.0.slots).doom(slot);
            self.0.delete(slot, self.1);
        }
    }
}

fn make(slots: &BTreeSet<TapSlot>) -> Verb {
    Verb::MakeTaps {
        slots: slots.clone().try_into().unwrap_or_default(),
    }
}

/// The operation of a batch: that of all its TAPs, or a new one when they are of several.
fn of_batch(doomed: &BTreeMap<TapSlot, OpId>) -> OpId {
    let of_all: BTreeSet<_> = doomed.values().collect();
    if let (Some(only), 1) = (of_all.first(), of_all.len()) {
        return **only;
    }
    let (op, of_all) = (new_id(), of_all.into_iter().map(ToString::to_string));
    let of_all = of_all.collect::<Vec<_>>().join(", ");
    tracing::info!(%op, "deleting TAPs of {of_all}");
    op
}

async fn wait_for_work(pool: &std::sync::Weak<Inner>) {
    // Looked at from time to time, because the last clone goes without a word.
    const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
    if let Some(inner) = pool.upgrade() {
        let _nothing = tokio::time::timeout(LOOK, inner.work.notified()).await;
    }
}

impl Inner {
    /// Deletes a batch, or makes one; whether there was any.
    async fn work_once(&self) -> bool {
        let closed = self.closed.lock().await;
        if *closed {
            return false;
        }
        let doomed: BTreeMap<_, _> = {
            let mut doomed = lock(&self.doomed);
            let rest = doomed.keys().nth(BATCH_MAX).copied();
            let rest = rest.map(|first| doomed.split_off(&first));
            std::mem::replace(&mut doomed, rest.unwrap_or_default())
        };
        if !doomed.is_empty() {
            let op = of_batch(&doomed);
            self.delete_batch(op, doomed.into_keys().collect()).await;
            return true;
        }
        let lacking = lock(&self.slots).warm(self.size, BATCH_MAX);
        if lacking.is_empty() {
            return false;
        }
        let op = new_id();
        let made = change(&*self.host, op, make(&lacking)).await;
        let Err(error) = made else {
            lock(&self.slots).warmed(true);
            return true;
        };
        tracing::warn!(%op, "cannot fill the pool of TAPs: {error}");
        let foreign = self.foreign_of(op, &error, &lacking).await;
        lock(&self.slots).warmed(false);
        let left = &lacking - foreign.as_ref().unwrap_or(&BTreeSet::new());
        self.delete_batch(op, left).await;
        // With others at once, or when somebody wants a TAP again.
        foreign.is_some()
    }

    /// Which of these slots are another program's, if that is why the host has not done what it was asked;
    /// they are passed over from now on.
    async fn foreign_of(
        &self,
        op: OpId,
        error: &HostError,
        slots: &BTreeSet<TapSlot>,
    ) -> Option<BTreeSet<TapSlot>> {
        let is_conflict =
            matches!(error, HostError::Failed(fault) if fault.code == FaultCode::Conflict);
        if !is_conflict {
            return None;
        }
        let found = survey(&*self.host, op).await.ok()?;
        let all = foreign(&found);
        let among = &all & slots;
        lock(&self.slots).foreign(all);
        (!among.is_empty()).then_some(among)
    }

    async fn delete_batch(&self, op: OpId, mut batch: BTreeSet<TapSlot>) {
        while !batch.is_empty() {
            let slots = batch.clone().try_into().unwrap_or_default();
            let deleted = change(&*self.host, op, Verb::DeleteTaps { slots }).await;
            let Err(error) = deleted else {
                return lock(&self.slots).deleted(&batch);
            };
            tracing::warn!(%op, "cannot delete TAPs: {error}");
            // The others are ours and nobody's: the next sweep removes them.
            let Some(foreign) = self.foreign_of(op, &error, &batch).await else {
                return;
            };
            batch.retain(|slot| !foreign.contains(slot));
        }
    }
}

/// The slots whose names another program's interfaces have.
pub(super) fn foreign(found: &Survey) -> BTreeSet<TapSlot> {
    let foreign = found.taps.iter().filter(|tap| !tap.whose.is_ours());
    foreign.map(|tap| tap.slot).collect()
}

#[cfg(test)]
mod tests;
