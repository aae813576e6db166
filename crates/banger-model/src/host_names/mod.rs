//! Names of host objects: pure functions of an id, a slot or an address.
//!
//! Daemon and helper both derive names here, so that none ever crosses a socket. Every name has a
//! budget that the kernel sets; the tests try the extremes.

mod bridge;
mod installation;
mod mac;
mod tap;
mod vsock;

pub use bridge::{BadBridgeName, BridgeName};
pub use installation::{BadInstallation, Installation};
pub use mac::Mac;
pub use tap::{BadSlot, TapSlot, is_tap_name};
pub use vsock::{Cid, vsock_path};

/// Longest name of a network interface in bytes: `IFNAMSIZ` less the zero (linux/if.h).
pub const INTERFACE_NAME_MAX: usize = 15;

/// Longest path of a Unix socket in bytes: `sun_path` less the zero (unix(7)).
pub const SOCKET_PATH_MAX: usize = 107;

/// The nftables tables of banger: this name in the families `inet` and `bridge`.
pub const TABLE: &str = "banger";

/// The TAP of the throw-away guest that tries the host's firewall. It exists while a probe runs and
/// belongs to root alone.
pub const PROBE_TAP: &str = "tap-fc-probe";
