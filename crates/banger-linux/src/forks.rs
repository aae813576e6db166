//! Keeping some descriptors out of children.
//!
//! Between fork and exec a child has a copy of every descriptor, close-on-exec or not. A TAP counts as
//! taken for as long as any copy of its descriptor is open: one that is made and closed while another
//! thread starts nft would be busy when the VMM opens it, now and then, for milliseconds.

use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static FORKS: RwLock<()> = RwLock::new(());

/// No child is started as long as this lives.
pub(crate) fn none() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program. The standard library comes back from there when the child has executed it, or could not.
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _alone = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}
