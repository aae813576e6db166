//! TAPs: a few wait ready, so that a start takes one without asking anybody; those that are given
//! back are deleted in the background, so that nobody waits for the kernel's grace periods.

mod slots;

use super::host::{Host, HostError, change};
use banger_model::host_names::TapSlot;
use banger_proto::root::{BATCH_MAX, Verb};
use slots::{Slots, Taken};
use std::collections::BTreeSet;
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
    /// To be deleted, in the order of their coming.
    doomed: Mutex<BTreeSet<TapSlot>>,
    work: Notify,
    /// Held while a batch is at work; whether there are to be no more.
    closed: tokio::sync::Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TapPool {
    /// A pool that keeps `size` TAPs ready, from now on (none: every TAP is made when it is wanted),
    /// without those that guests of a daemon before have.
    pub(super) fn new(host: Arc<dyn Host>, size: usize, used: &BTreeSet<TapSlot>) -> Self {
        let mut slots = Slots::default();
        used.iter().for_each(|slot| slots.adopt(*slot));
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
    pub(super) async fn take(&self) -> Result<TapSlot, NoTap> {
        let taken = lock(&self.0.slots).take().ok_or(NoTap::Full)?;
        self.0.work.notify_one();
        match taken {
            Taken::Warm(slot) => Ok(slot),
            Taken::Cold(slot) => {
                let given = GiveBack(self, Some(slot));
                change(&*self.0.host, make(&[slot].into())).await?;
                given.keep();
                Ok(slot)
            }
        }
    }

    /// A guest needs its TAP no more. Returns at once.
    pub(super) fn give_back(&self, slot: TapSlot) {
        if lock(&self.0.slots).give_back(slot, self.0.size) {
            self.delete(slot);
        }
    }

    fn delete(&self, slot: TapSlot) {
        lock(&self.0.doomed).insert(slot);
        self.0.work.notify_one();
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
struct GiveBack<'a>(&'a TapPool, Option<TapSlot>);

impl GiveBack<'_> {
    fn keep(mut self) {
        self.1 = None;
    }
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.1 {
            lock(&self.0.0.slots).doom(slot);
            self.0.delete(slot);
        }
    }
}

fn make(slots: &BTreeSet<TapSlot>) -> Verb {
    Verb::MakeTaps {
        slots: slots.clone().try_into().unwrap_or_default(),
    }
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
        let doomed: BTreeSet<_> = {
            let mut doomed = lock(&self.doomed);
            let rest = doomed.iter().nth(BATCH_MAX).copied();
            let rest = rest.map(|first| doomed.split_off(&first));
            std::mem::replace(&mut doomed, rest.unwrap_or_default())
        };
        if !doomed.is_empty() {
            self.delete_batch(&doomed).await;
            return true;
        }
        let lacking = lock(&self.slots).warm(self.size, BATCH_MAX);
        if lacking.is_empty() {
            return false;
        }
        let made = change(&*self.host, make(&lacking)).await;
        lock(&self.slots).warmed(made.is_ok());
        if let Err(error) = made {
            tracing::warn!("cannot fill the pool of TAPs: {error}");
            self.delete_batch(&lacking).await;
            // Until somebody wants a TAP again.
            return false;
        }
        true
    }

    async fn delete_batch(&self, batch: &BTreeSet<TapSlot>) {
        let slots = batch.clone().try_into().unwrap_or_default();
        if let Err(error) = change(&*self.host, Verb::DeleteTaps { slots }).await {
            // They are ours and nobody's: the next sweep removes them.
            tracing::warn!("cannot delete TAPs: {error}");
            return;
        }
        lock(&self.slots).deleted(batch);
    }
}

#[cfg(test)]
mod tests;
