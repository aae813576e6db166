//! The daemon's end of the guest protocol.
//!
//! One [`Link`] per running guest owns the connection to the agent's port. The guest is hostile: what
//! it can make the daemon keep is bounded by the credit that was given to it, a frame must end in
//! time, an answer must come in time, and whatever breaks a rule ends the link with the reason.

pub mod link;
mod mailbox;
pub mod rehearsal;
pub mod stream;

pub use link::{Link, LinkError, Met};
pub use stream::{Incoming, Stream};
