//! Who wants to know of each operation that ends.

use super::Entry;
use banger_proto::fault::Fault;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An operation that has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Whose it is, what was asked, and when it began.
    pub entry: &'a Entry,
    /// From its beginning, or from that of the daemon that went on with it.
    pub took: Duration,
    /// What it came to.
    pub outcome: Result<(), &'a Fault>,
}

/// Called with each operation that ends; must return at once.
pub type Hook = Box<dyn Fn(&Ended<'_>) + Send + Sync>;

#[derive(Default)]
pub(super) struct Hooks(Mutex<Vec<Hook>>);

impl Hooks {
    pub(super) fn add(&self, hook: Hook) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(hook);
    }

    pub(super) fn call(&self, ended: &Ended<'_>) {
        for hook in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hook(ended);
        }
    }
}
