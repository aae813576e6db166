//! Capabilities (capabilities(7)): all but a few, in every set, for good.

use super::{ConfineError, refused};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitiesSecureBits as Bits, CapabilitySet, CapabilitySets, capability_is_in_bounding_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits,
};

/// A capability that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Changing links, addresses, rules and sysctls of the network.
    NetAdmin,
    /// Packet sockets.
    NetRaw,
}

impl Capability {
    /// Its name in capabilities(7).
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
        }
    }

    const fn bit(self) -> CapabilitySet {
        match self {
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::NetRaw => CapabilitySet::NET_RAW,
        }
    }
}

/// Keeps these and no others, in this thread and in what it runs, and locks that.
pub(super) fn keep_only(keep: &[Capability]) -> Result<(), ConfineError> {
    let kept = keep.iter().fold(CapabilitySet::empty(), |set, capability| {
        set | capability.bit()
    });
    shrink_bounding_set(kept).map_err(refused("shrink the capability bounding set"))?;
    // Ambient capabilities pass through exec only if they are inheritable; SETPCAP is still needed below.
    set(kept | CapabilitySet::SETPCAP, kept).map_err(refused("drop capabilities"))?;
    rustix::thread::clear_ambient_capability_set().map_err(refused("drop ambient capabilities"))?;
    for capability in keep {
        configure_capability_in_ambient_set(capability.bit(), true)
            .map_err(refused("hand capabilities to programs"))?;
    }
    // With NO_ROOT the programs get the ambient set, and not everything because they run as root.
    let locked = Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(locked).map_err(refused("lock the capabilities"))?;
    set(kept, kept).map_err(refused("drop capabilities"))
}

fn set(permitted: CapabilitySet, inheritable: CapabilitySet) -> Result<(), Errno> {
    let sets = CapabilitySets {
        effective: permitted,
        permitted,
        inheritable,
    };
    set_capabilities(None, sets)
}

fn shrink_bounding_set(kept: CapabilitySet) -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !kept.contains(one) => remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            // Beyond the last one that this kernel knows.
            Err(Errno::INVAL) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
