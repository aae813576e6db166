//! Why nothing could be measured.

use std::io;

/// Anything that makes a figure wrong or missing. Slowness is none of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A result is not what it must be.
    #[error("{0}")]
    Wrong(String),
    /// Somebody wants this to end.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err` of an IO call.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// A result that is not what it must be.
    pub fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }
}
