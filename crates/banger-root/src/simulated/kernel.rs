//! What the host in memory does.

use super::{SimulatedKernel, State};
use crate::kernel::{Address, Kernel, KernelError, Link, LinkChange, ProbePacket, Route, Switch};
use crate::listing::Listing;
use banger_model::host_names::TapSlot;
use banger_model::policy::Family;
use banger_model::subnet::Cidr;
use std::collections::{BTreeMap, BTreeSet};

/// The bridge's own switches and what the kernel sets them to at first.
const BRIDGE_SWITCHES: [(Switch, i32); 4] = [
    (Switch::BridgeIpv4, 0),
    (Switch::BridgeIpv6, 0),
    (Switch::BridgeRedirects, 1),
    (Switch::BridgeAcceptRa, 1),
];

impl Kernel for SimulatedKernel {
    fn links(&self) -> Result<Vec<Link>, KernelError> {
        Ok(self.state().links.clone())
    }

    fn addresses(&self) -> Result<Vec<Address>, KernelError> {
        Ok(self.state().addresses.clone())
    }

    fn routes(&self) -> Result<Vec<Route>, KernelError> {
        Ok(self.state().routes.clone())
    }

    fn create_bridge(&self, mtu: u16) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let link = state.create(self.place.bridge.as_str())?;
        link.alias = Some(self.place.installation.mark());
        link.ours = true;
        link.is_bridge = true;
        link.mtu = u32::from(mtu);
        link.up = false;
        state.switches.extend(BRIDGE_SWITCHES);
        Ok(())
    }

    fn create_tap(&self, slot: TapSlot, bridge: u32) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let link = state.create(&slot.interface())?;
        link.alias = Some(self.place.installation.mark());
        link.ours = true;
        link.is_tap = true;
        link.owner = Some(self.place.owner);
        link.master = Some(bridge);
        link.carrier = false;
        Ok(())
    }

    fn change(&self, name: &str, change: LinkChange) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let link = state.ours(name)?;
        link.up = change.up.unwrap_or(link.up);
        link.mtu = change.mtu.map_or(link.mtu, u32::from);
        link.master = change.master.or(link.master);
        Ok(())
    }

    fn delete(&self, names: &[String]) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let mut numbers = BTreeSet::new();
        for name in names {
            numbers.insert(state.ours(name)?.index);
        }
        state.forget(&numbers);
        if names.iter().any(|name| name == self.place.bridge.as_str()) {
            state.forget_bridge();
        }
        Ok(())
    }

    fn add_address(&self, address: Cidr) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let interface = state.ours(self.place.bridge.as_str())?.index;
        state.addresses.push(Address { interface, address });
        Ok(())
    }

    fn delete_address(&self, address: Cidr) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        let interface = state.ours(self.place.bridge.as_str())?.index;
        let gone = Address { interface, address };
        state.addresses.retain(|found| *found != gone);
        Ok(())
    }

    fn tables(&self, name: &str) -> Result<[Option<Listing>; 2], KernelError> {
        let state = self.state();
        let [first, second] = Family::ALL.map(|family| {
            let listing = state.tables.list(family.name(), name);
            listing.map(Listing::from_json).transpose()
        });
        Ok([first?, second?])
    }

    fn apply(&self, transaction: &str) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        if let Some(of_another) = state.before_next_apply.take() {
            state.tables.apply(&of_another)?;
        }
        state.tables.apply(transaction)?;
        match state.after_next_apply.take() {
            Some(of_another) => state.tables.apply(&of_another),
            None => Ok(()),
        }
    }

    fn switch(&self, switch: &Switch) -> Result<Option<i32>, KernelError> {
        Ok(self.state().switches.get(switch).copied())
    }

    fn set_switch(&self, switch: &Switch, value: i32) -> Result<(), KernelError> {
        let mut state = self.changing()?;
        // The switch of all interfaces sets that of each (ip-sysctl, `ip_forward`).
        let follows = match switch {
            Switch::Ipv4Forward => Some(Switch::BridgeIpv4),
            Switch::Ipv6Forward => Some(Switch::BridgeIpv6),
            _ => None,
        };
        for switch in [Some(switch.clone()), follows].into_iter().flatten() {
            if let Some(found) = state.switches.get_mut(&switch) {
                *found = value;
            }
        }
        Ok(())
    }

    fn resolvectl(&self, arguments: &[&str]) -> Option<String> {
        let mut state = self.state();
        if state.resolved.is_some() && !matches!(arguments, ["dns" | "domain", _]) {
            state.told_resolved.push(arguments.join(" "));
        }
        let known = state.resolved.as_mut()?;
        match arguments {
            ["revert", _] => {
                known.clear();
                Some(String::new())
            }
            [what, bridge] => {
                let value = known.get(*what).cloned().unwrap_or_default();
                Some(format!("Link 9 ({bridge}): {value}\n"))
            }
            [what, _, value] => {
                known.insert((*what).to_owned(), (*value).to_owned());
                Some(String::new())
            }
            _ => None,
        }
    }

    fn probe(
        &self,
        _bridge: u32,
        packet: &ProbePacket<'_>,
        line: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), KernelError> {
        self.apply(packet.rules)?;
        let lines = self.state().trace.clone();
        let _ended = lines.iter().any(|text| line(text));
        self.apply(packet.removal)
    }
}

impl State {
    /// Removes an interface as another program would.
    pub fn remove_link(&mut self, name: &str) {
        let Some(link) = self.link(name) else {
            return;
        };
        let (index, is_bridge) = (link.index, link.is_bridge);
        self.forget(&[index].into());
        if is_bridge {
            self.forget_bridge();
        }
    }

    /// What the kernel and resolved keep for the bridge goes with it.
    fn forget_bridge(&mut self) {
        for (switch, _) in BRIDGE_SWITCHES {
            self.switches.remove(&switch);
        }
        self.resolved = self.resolved.take().map(|_| BTreeMap::new());
    }

    fn forget(&mut self, numbers: &BTreeSet<u32>) {
        self.links.retain(|link| !numbers.contains(&link.index));
        self.addresses
            .retain(|address| !numbers.contains(&address.interface));
        for link in &mut self.links {
            link.master = link.master.filter(|master| !numbers.contains(master));
        }
    }
}
