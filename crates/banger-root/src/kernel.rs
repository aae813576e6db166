//! What acting needs of the host: links, addresses, rules, switches, the resolver, one probe packet.
//!
//! Two implementations: the real one on `banger-linux`, and the one in memory that tests use together
//! with the real judge. Everything that decides is above this line, so that both see it alike.

use crate::listing::Listing;
use banger_model::host_names::TapSlot;
use banger_model::subnet::Cidr;

/// Something that the host did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// An interface has our name and not our mark; it was not touched.
    #[error("the interface {name} is not banger's{}", alias.as_ref().map(|alias| format!(" (its alias is {alias:?})")).unwrap_or_default())]
    Foreign {
        /// Its name.
        name: String,
        /// Its alias.
        alias: Option<String>,
    },
    /// Anything else, with what was asked.
    #[error("{0}")]
    Failed(String),
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address, if it has one of 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// Whether it carries our mark.
    pub ours: bool,
    /// Its alias, whatever that is.
    pub alias: Option<String>,
    /// The bridge that it is a port of, by number.
    pub master: Option<u32>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether something is at its other end: for a TAP, a process that holds it open.
    pub carrier: bool,
    /// For a TAP, the user who may open it; none for anybody who may.
    pub owner: Option<u32>,
    /// Whether it is a TAP.
    pub is_tap: bool,
    /// Whether it is a bridge.
    pub is_bridge: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The interface's number.
    pub interface: u32,
    /// The address, with the prefix of its network.
    pub address: Cidr,
}

/// A route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Cidr,
    /// Through which interface, by number.
    pub interface: Option<u32>,
    /// Lower is taken first.
    pub metric: u32,
}

/// A switch below `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Switch {
    /// `ipv4.ip_forward`.
    Ipv4Forward,
    /// `ipv6.conf.all.forwarding`.
    Ipv6Forward,
    /// `ipv4.conf.BRIDGE.forwarding`.
    BridgeIpv4,
    /// `ipv6.conf.BRIDGE.forwarding`.
    BridgeIpv6,
    /// `ipv4.conf.BRIDGE.send_redirects`.
    BridgeRedirects,
    /// `ipv6.conf.BRIDGE.accept_ra`.
    BridgeAcceptRa,
    /// `ipv6.conf.INTERFACE.accept_ra` of an interface of the host.
    AcceptRa(String),
}

/// What of a marked link is to be changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// Up or down.
    pub up: Option<bool>,
    /// Largest packet in bytes.
    pub mtu: Option<u16>,
    /// Make it a port of our bridge, which has this number.
    pub master: Option<u32>,
}

/// One packet of a throw-away guest.
#[derive(Debug, Clone, Copy)]
pub struct ProbePacket<'a> {
    /// The Ethernet frame, as the guest sends it.
    pub frame: &'a [u8],
    /// Rules to load before it is sent, which trace it and end it.
    pub rules: &'a str,
    /// The transaction that removes them, whether they are there or not.
    pub removal: &'a str,
}

/// The host. Nothing here changes an interface that does not carry our mark.
pub trait Kernel {
    /// All interfaces.
    fn links(&self) -> Result<Vec<Link>, KernelError>;
    /// All addresses.
    fn addresses(&self) -> Result<Vec<Address>, KernelError>;
    /// All routes of the main table, in both families.
    fn routes(&self) -> Result<Vec<Route>, KernelError>;

    /// Makes the bridge, with our mark, down.
    fn create_bridge(&self, mtu: u16) -> Result<(), KernelError>;
    /// Makes a TAP, with our mark, up, a port of the bridge with this number.
    fn create_tap(&self, slot: TapSlot, bridge: u32) -> Result<(), KernelError>;
    /// Changes a link of ours.
    fn change(&self, name: &str, change: LinkChange) -> Result<(), KernelError>;
    /// Deletes links of ours; one that is gone already is none.
    fn delete(&self, names: &[String]) -> Result<(), KernelError>;
    /// Gives the bridge an address.
    fn add_address(&self, address: Cidr) -> Result<(), KernelError>;
    /// Takes an address from the bridge.
    fn delete_address(&self, address: Cidr) -> Result<(), KernelError>;

    /// The tables with this name in the families of [`banger_model::policy::Family::ALL`], in their
    /// order, each as
    /// `nft -j list table` writes it; none where there is none.
    fn tables(&self, name: &str) -> Result<[Option<Listing>; 2], KernelError>;
    /// Gives nft a transaction, as its commands.
    fn apply(&self, transaction: &str) -> Result<(), KernelError>;

    /// A switch's value; none where the host has none (no IPv6, no such interface).
    fn switch(&self, switch: &Switch) -> Result<Option<i32>, KernelError>;
    /// Sets a switch.
    fn set_switch(&self, switch: &Switch, value: i32) -> Result<(), KernelError>;

    /// Calls `resolvectl`; none where it is not installed or does not succeed.
    fn resolvectl(&self, arguments: &[&str]) -> Option<String>;

    /// Sends a packet through a TAP of its own on the bridge with this number, gives `line` what nft's
    /// trace says until it returns true or time is over, and removes TAP and rules.
    fn probe(
        &self,
        bridge: u32,
        packet: &ProbePacket<'_>,
        line: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), KernelError>;
}
