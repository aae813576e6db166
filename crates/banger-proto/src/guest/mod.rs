//! The guest protocol: daemon ↔ agent, over one duplex byte stream.
//!
//! The stream is a virtio-serial port or a vsock connection. It may lose its middle: when the daemon
//! goes away, the bytes that were under way are lost or arrive in the next connection. So a
//! connection begins with a *hello* that both sides can find in any garbage:
//!
//! ```text
//! host → guest   64 KiB of zeros (they end any frame that was cut off), then the hello
//! guest → host   the hello's answer, with the host's nonce; the host skips all that comes before
//! both           frames, each closed by 32 bits of the nonce: a frame that was begun in another
//!                connection can never be taken for a whole one
//! ```
//!
//! Every hello counts as a possible restore from a snapshot: it carries time and entropy.
//!
//! A **stream** belongs to one [`message::Call`]. Its bytes travel in **channels** with
//! credit ([`flow`]): the sender keeps what is not acknowledged, so that a client that comes back
//! continues where it was, nothing lost or doubled.
//!
//! Age rule: the new side adapts, the old agent never has to learn. Calls and answers are only ever
//! appended to their enums, fields to the end of their structs; the host speaks the generation that
//! the agent's hello names. An agent answers a call it does not know with a fault, never by closing.

pub mod codec;
pub mod data_frame;
pub mod datagram;
pub mod flow;
pub mod frame;
pub mod hello;
pub mod message;

pub use codec::{Decoder, Received};
pub use frame::{Frame, Kind};

/// The generation of the protocol that this code speaks.
pub const GENERATION: u16 = 5;

/// The first generation whose agents know [`message::Call::Dial`].
pub const DIALS_SINCE: u16 = 2;

/// The first generation whose agents know [`message::Call::Usage`].
pub const USAGE_SINCE: u16 = 3;

/// The first generation whose agents know [`message::Call::Grow`].
pub const GROWS_SINCE: u16 = 4;

/// The first generation whose agents know [`message::Call::Sync`].
pub const SYNCS_SINCE: u16 = 4;

/// The first generation whose agents know [`message::Call::Resumed`].
pub const RESUMES_SINCE: u16 = 4;

/// The first generation whose agents know [`message::Call::DialSession`].
pub const DIALS_LAST_SINCE: u16 = 4;

/// The first generation whose agents know [`message::Call::LeaveNetwork`].
pub const LEAVES_NETWORK_SINCE: u16 = 5;

/// The name of the agent's virtio-serial port, as in `/sys/class/virtio-ports/*/name`.
pub const PORT_NAME: &str = "banger.agent";

/// The `serial` of each virtio disk tells its role; at most 20 bytes (virtio 1.2, 5.2.6.1).
pub mod disk_serial {
    /// The image: read-only, ext4.
    pub const IMAGE: &str = "banger-image";
    /// The system disk: laid over the image.
    pub const SYSTEM: &str = "banger-system";
    /// The work disk: mounted at `/root`.
    pub const WORK: &str = "banger-work";
    /// The kernel's modules: read-only, mounted at `/lib/modules/<release>`.
    pub const MODULES: &str = "banger-modules";
}
