//! What the agent at the other end can do, by the generation of the protocol that it speaks.

use super::Link;
use banger_proto::guest::{
    DIALS_LAST_SINCE, DIALS_SINCE, GROWS_SINCE, LEAVES_NETWORK_SINCE, RESUMES_SINCE, SYNCS_SINCE,
    USAGE_SINCE,
};

impl Link {
    /// Whether the agent can connect to ports in its guest: one of an older banger cannot.
    #[must_use]
    pub const fn can_dial(&self) -> bool {
        self.generation >= DIALS_SINCE
    }

    /// Whether the agent can be told that its guest goes on from a saved memory: one of an older banger
    /// cannot.
    #[must_use]
    pub const fn can_resume(&self) -> bool {
        self.generation >= RESUMES_SINCE
    }

    /// Whether the agent can write back what its guest's file systems hold.
    #[must_use]
    pub const fn can_sync(&self) -> bool {
        self.generation >= SYNCS_SINCE
    }

    /// Whether the agent can give up its guest's network before the guest is saved.
    #[must_use]
    pub const fn can_leave_network(&self) -> bool {
        self.generation >= LEAVES_NETWORK_SINCE
    }

    /// Whether connections in its guest can outlive this link: with an agent of an older banger they do not.
    #[must_use]
    pub const fn dials_last(&self) -> bool {
        self.generation >= DIALS_LAST_SINCE
    }

    /// Whether the agent can tell what its guest uses: one of an older banger cannot.
    #[must_use]
    pub const fn can_tell_usage(&self) -> bool {
        self.generation >= USAGE_SINCE
    }

    /// Whether the agent can grow what is in a disk: one of an older banger cannot.
    #[must_use]
    pub const fn can_grow(&self) -> bool {
        self.generation >= GROWS_SINCE
    }
}
