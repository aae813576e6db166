//! The line in front of a sandbox: requests are sent to its driver in the order in which they came, not in
//! that in which their tasks happen to run or their records are written.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A turn, not state: tokio's lock is given in the order in which it was asked for.
#[derive(Debug, Default)]
pub(super) struct Line(Arc<Mutex<()>>);

/// A place in line; dropped, it is given up.
pub struct PlaceInLine(Reached);

enum Reached {
    Already(OwnedMutexGuard<()>),
    Later(BoxFuture<'static, OwnedMutexGuard<()>>),
}

impl Line {
    pub(super) async fn queue(&self) -> PlaceInLine {
        let mut turn = Arc::clone(&self.0).lock_owned().boxed();
        // Asked once, it has its place.
        PlaceInLine(match futures_util::poll!(&mut turn) {
            std::task::Poll::Ready(turn) => Reached::Already(turn),
            std::task::Poll::Pending => Reached::Later(turn),
        })
    }
}

impl std::fmt::Debug for PlaceInLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlaceInLine")
    }
}

impl PlaceInLine {
    /// Waits until it is first. The next in line waits until what this returns is dropped.
    pub async fn first(self) -> OwnedMutexGuard<()> {
        match self.0 {
            Reached::Already(turn) => turn,
            Reached::Later(turn) => turn.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_in_the_order_in_which_they_were_taken_and_one_that_is_given_up_is_none() {
        let line = Line::default();
        let (first, second) = (line.queue().await, line.queue().await);
        let (third, fourth) = (line.queue().await, line.queue().await);
        let mut fourth = fourth.first().boxed();
        let mut second = second.first().boxed();
        assert!(futures_util::poll!(&mut fourth).is_pending());
        let turn = first.first().await;
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(turn);
        let turn = second.await;
        assert!(futures_util::poll!(&mut fourth).is_pending());
        drop(third);
        drop(turn);
        fourth.await;
    }
}
