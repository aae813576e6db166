//! Moments of a sandbox that several forks share, though each is made by a request of its own.

use super::fork::Seed;
use banger_model::SandboxId;
use banger_proto::fault::Fault;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long a moment is kept that nobody has asked for since, once no fork is being made of it any more: requests that
/// were sent together do not come together.
const KEPT: Duration = Duration::from_secs(5);

/// Of which sandbox, and the name that its forks have given it.
pub(super) type Key = (SandboxId, String);

/// Those that are kept. What is saved of one is removed when it and all that are made of it are done with it; what a
/// daemon leaves, the next one removes.
#[derive(Debug, Default)]
pub struct Moments(Mutex<HashMap<Key, Kept>>);

#[derive(Debug)]
struct Kept {
    seed: Arc<OnceCell<Arc<Seed>>>,
    asked: Instant,
}

impl Moments {
    /// The moment of that name; saved now if there is none. Whoever asks meanwhile waits for it, and saves it where
    /// the first one failed or was cancelled.
    pub(super) async fn one(
        &self,
        key: Key,
        saving: impl Future<Output = Result<Seed, Fault>>,
    ) -> Result<Arc<Seed>, Fault> {
        let seed = self.kept(key);
        let saved = seed.get_or_try_init(|| async { saving.await.map(Arc::new) });
        saved.await.map(Arc::clone)
    }

    fn kept(&self, key: Key) -> Arc<OnceCell<Arc<Seed>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(key).or_insert_with(|| Kept {
            seed: Arc::default(),
            asked: Instant::now(),
        });
        kept.asked = Instant::now();
        Arc::clone(&kept.seed)
    }

    /// Forgets those that nobody has asked for. To be called from time to time.
    pub(super) fn forget(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| kept.asked.elapsed() < KEPT || kept.is_used());
    }
}

impl Kept {
    /// Whether it is being saved, or a fork being made of it.
    fn is_used(&self) -> bool {
        let of_a_fork = self
            .seed
            .get()
            .is_some_and(|seed| Arc::strong_count(seed) > 1);
        of_a_fork || Arc::strong_count(&self.seed) > 1
    }
}
