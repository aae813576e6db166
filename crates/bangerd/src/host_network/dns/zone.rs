//! What is served: an immutable picture of records and of who sees which.

use super::{Addresses, Asker, Prefix, Visibility};
use banger_model::{SandboxId, SandboxName};
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// All machines that have a name.
pub type Records = BTreeMap<SandboxName, Addresses>;

/// Machines that are suspended: their names lead to nothing until they are woken.
pub type Sleeping = BTreeMap<SandboxName, SandboxId>;

/// A snapshot of everything that an answer depends on.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    machines: HashMap<Key, Addresses>,
    owners: BTreeMap<IpAddr, SandboxName>,
    sleeping: HashMap<Key, SandboxId>,
    subnets: Vec<Prefix>,
    visibility: Visibility,
    serial: u32,
}

/// A machine's name, which is looked for as text: a question is no [`SandboxName`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key(SandboxName);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

/// What one asker sees of a zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    zone: &'a Zone,
    asker: Asker,
}

impl Zone {
    /// Replaces all records.
    pub fn replace(&mut self, records: Records) {
        self.machines.clear();
        self.owners.clear();
        for (name, addresses) in records {
            self.insert(name, addresses);
        }
        self.changed();
    }

    /// Adds a machine, or gives it other addresses. An address that another machine has had is this
    /// one's from now on.
    pub fn set(&mut self, name: SandboxName, addresses: Addresses) {
        self.forget(name.as_str());
        self.insert(name, addresses);
        self.changed();
    }

    /// Removes a machine; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let was_there = self.forget(name);
        if was_there {
            self.changed();
        }
        was_there
    }

    /// Replaces the subnets whose addresses have PTR records.
    pub fn set_subnets(&mut self, subnets: Vec<Prefix>) {
        self.subnets = subnets;
        self.changed();
    }

    /// Replaces the machines that are suspended. What is served stays as it is.
    pub fn set_sleeping(&mut self, sleeping: Sleeping) {
        let keyed = sleeping.into_iter().map(|(name, id)| (Key(name), id));
        self.sleeping = keyed.collect();
    }

    /// Whether any is.
    pub(super) fn has_sleepers(&self) -> bool {
        !self.sleeping.is_empty()
    }

    /// Replaces who sees which names.
    pub fn set_visibility(&mut self, visibility: Visibility) {
        self.visibility = visibility;
    }

    /// Goes up by one with every change, and round (RFC 1982).
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// What somebody sees; `None` for an address of which nothing is known.
    pub(super) fn seen_by(&self, asker: Asker) -> Option<View<'_>> {
        let known = match asker {
            Asker::Host => true,
            Asker::Guest(ip) => self.owners.contains_key(&ip) || self.visibility.of(ip).is_some(),
        };
        known.then_some(View { zone: self, asker })
    }

    fn insert(&mut self, name: SandboxName, addresses: Addresses) {
        for address in addresses.iter() {
            self.owners.insert(address, name.clone());
        }
        self.machines.insert(Key(name), addresses);
    }

    fn forget(&mut self, name: &str) -> bool {
        let Some(addresses) = self.machines.remove(name) else {
            return false;
        };
        for address in addresses.iter() {
            // It may be another's by now.
            if self
                .owners
                .get(&address)
                .is_some_and(|owner| owner.as_str() == name)
            {
                self.owners.remove(&address);
            }
        }
        true
    }

    fn changed(&mut self) {
        self.serial = self.serial.wrapping_add(1);
    }
}

impl<'a> View<'a> {
    pub(super) const fn serial(&self) -> u32 {
        self.zone.serial()
    }

    /// The subnet that a range of addresses is in.
    pub(super) fn subnet_of(&self, prefix: &Prefix) -> Option<&'a Prefix> {
        let mut subnets = self.zone.subnets.iter();
        subnets.find(|subnet| subnet.covers(prefix))
    }

    /// The addresses of a machine, when there is one of this name and it may be seen.
    pub(super) fn addresses(&self, name: &str) -> Option<&'a Addresses> {
        let (key, addresses) = self.zone.machines.get_key_value(name)?;
        self.sees(&key.0).then_some(addresses)
    }

    /// The machine of this name that is suspended, when there is one and it may be seen.
    pub(super) fn sleeper(&self, name: &str) -> Option<SandboxId> {
        let (key, id) = self.zone.sleeping.get_key_value(name)?;
        self.sees(&key.0).then_some(*id)
    }

    /// The first machine with an address in this range that may be seen.
    pub(super) fn owner(&self, prefix: &Prefix) -> Option<&'a SandboxName> {
        let mut owners = self.zone.owners.range(prefix.addresses());
        owners.find_map(|(_, name)| self.sees(name).then_some(name))
    }

    fn sees(&self, name: &SandboxName) -> bool {
        let Asker::Guest(ip) = self.asker else {
            return true;
        };
        let listed = self.zone.visibility.of(ip);
        listed.is_some_and(|names| names.contains(name)) || self.zone.owners.get(&ip) == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{addresses, guest, name, prefix};
    use super::*;

    fn owner(zone: &Zone, text: &str) -> Option<String> {
        let view = zone.seen_by(Asker::Host).expect("the host sees everything");
        view.owner(&prefix(text)).map(ToString::to_string)
    }

    #[test]
    fn an_address_belongs_to_the_machine_that_had_it_last() {
        let mut zone = Zone::default();
        zone.set(name("old"), addresses("172.16.0.2"));
        zone.set(name("new"), addresses("172.16.0.2"));
        assert_eq!(owner(&zone, "172.16.0.2/32").as_deref(), Some("new"));
        assert!(zone.remove("old"));
        assert_eq!(owner(&zone, "172.16.0.2/32").as_deref(), Some("new"));
        assert!(zone.remove("new") && !zone.remove("new"));
        assert_eq!(owner(&zone, "0.0.0.0/0"), None);
    }

    #[test]
    fn other_addresses_take_the_place_of_those_before() {
        let mut zone = Zone::default();
        zone.set(name("web"), addresses("172.16.0.2 fd00::2"));
        zone.set(name("web"), addresses("172.16.0.3"));
        assert_eq!(owner(&zone, "172.16.0.2/32"), None);
        assert_eq!(owner(&zone, "fd00::2/128"), None);
        assert_eq!(owner(&zone, "172.16.0.3/32").as_deref(), Some("web"));
    }

    #[test]
    fn every_change_of_what_is_served_gives_another_serial() {
        let mut zone = Zone {
            serial: u32::MAX,
            ..Zone::default()
        };
        zone.set(name("web"), addresses("172.16.0.2"));
        assert_eq!(zone.serial(), 0);
        zone.remove("nobody");
        assert_eq!(zone.serial(), 0);
        zone.remove("web");
        zone.replace(Records::new());
        assert_eq!(zone.serial(), 2);
    }

    #[test]
    fn who_is_neither_recorded_nor_listed_is_a_stranger() {
        let mut zone = Zone::default();
        assert!(zone.seen_by(guest("172.16.0.2")).is_none());
        zone.set(name("web"), addresses("172.16.0.2"));
        assert!(zone.seen_by(guest("172.16.0.2")).is_some());
        let listed = [("172.16.0.9".parse().expect("one"), [name("web")].into())];
        zone.set_visibility(listed.into_iter().collect());
        let view = zone.seen_by(guest("172.16.0.9")).expect("listed");
        assert!(view.addresses("web").is_some());
    }
}
