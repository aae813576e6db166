//! What a long operation tells while it goes on.
//!
//! A [`Progress`] is handed down to whatever takes time. It never blocks and never fails: a reader
//! that is slow or gone loses events, the work goes on.

use crate::operation::{self, OpId};
use banger_proto::fault::{Fault, FaultCode};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One thing that a long operation tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A new stage begins: a short sentence in the present participle, as
    /// `unpacking the kernel`.
    Stage(String),
    /// How far the present stage is, in bytes unless the stage says otherwise; `total` is 0 where
    /// it is not known.
    Amount {
        /// Done so far.
        done: u64,
        /// All that there is to do, or 0.
        total: u64,
    },
    /// Something that the user should know though the operation goes on.
    Note(String),
}

/// Nobody wants the work any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled: nobody waits for it any more")]
pub struct Unwanted;

impl From<Unwanted> for Fault {
    fn from(error: Unwanted) -> Self {
        Self::new(FaultCode::Cancelled, error)
    }
}

/// Where a long operation tells how far it is, and whose it is. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    op: OpId,
    /// Whether somebody has asked for it.
    asked: bool,
    cancelled: CancellationToken,
    listener: Arc<dyn Fn(Told) + Send + Sync>,
}

impl Progress {
    /// The progress of an operation: calls `listener` with everything that is told; it must return
    /// at once.
    pub fn of(op: OpId, listener: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self {
            op,
            asked: true,
            cancelled: CancellationToken::new(),
            listener: Arc::new(listener),
        }
    }

    /// The same, of work that is to end when the token is cancelled.
    #[must_use]
    pub fn until(mut self, cancelled: CancellationToken) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// Cancelled when nobody wants the work any more: what blocks has to look.
    #[must_use]
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// The same for work that nobody has begun as an operation: it gets an id of its own.
    pub fn to(listener: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self {
            asked: false,
            ..Self::of(operation::new_id(), listener)
        }
    }

    /// The operation's id, for whoever it is handed on to.
    #[must_use]
    pub const fn op(&self) -> OpId {
        self.op
    }

    /// The id of the operation that somebody has asked for; none where nobody has.
    #[must_use]
    pub fn operation(&self) -> Option<OpId> {
        self.asked.then_some(self.op)
    }

    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::to(|_| {})
    }

    /// For work that blocks, from time to time: whether it is to end.
    ///
    /// # Errors
    /// [`Unwanted`], when it is.
    pub fn check(&self) -> Result<(), Unwanted> {
        match self.cancelled.is_cancelled() {
            true => Err(Unwanted),
            false => Ok(()),
        }
    }

    /// Something that another progress was told.
    pub fn tell(&self, told: Told) {
        (self.listener)(told);
    }

    /// A new stage begins.
    pub fn stage(&self, sentence: impl Into<String>) {
        (self.listener)(Told::Stage(sentence.into()));
    }

    /// How far the present stage is; callers need not thin out their calls.
    pub fn amount(&self, done: u64, total: u64) {
        (self.listener)(Told::Amount { done, total });
    }

    /// Something that the user should know though the operation goes on.
    pub fn note(&self, sentence: impl Into<String>) {
        (self.listener)(Told::Note(sentence.into()));
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
