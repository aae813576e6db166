//! A host in memory, for tests that need the helper's answers and no root: the real judge and the
//! real `act` run on it.
//!
//! It knows what the helper's decisions depend on: marks, ports, carriers, what is loaded, what is
//! switched. It does not know what rules mean; that is tested on a real kernel (tier T2).

mod kernel;
#[cfg(feature = "simulated")]
pub mod program;
mod tables;

use crate::judge::Place;
use crate::kernel::{Address, KernelError, Link, Route, Switch};
use banger_model::subnet::Cidr;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tables::Tables;

/// A host in memory. It may be shared between threads.
#[derive(Debug)]
pub struct SimulatedKernel {
    place: Place,
    state: Mutex<State>,
}

/// Everything that can be looked at and set up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Interfaces.
    pub links: Vec<Link>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Routes, those of [`State::addresses`] left out.
    pub routes: Vec<Route>,
    /// Switches; one that is missing is one that the host does not have.
    pub switches: BTreeMap<Switch, i32>,
    /// What resolved knows of the bridge, by what `resolvectl` calls it; none where there is none.
    pub resolved: Option<BTreeMap<String, String>>,
    /// What `resolvectl` was asked to change, call by call.
    pub told_resolved: Vec<String>,
    /// Lines of nft's trace that a probe will see.
    pub trace: Vec<String>,
    /// How many more changes succeed; none for all of them.
    pub changes_left: Option<u32>,
    /// How many changes were made.
    pub changes: u32,
    /// What another program loads right before our next transaction.
    pub before_next_apply: Option<String>,
    /// The same right after it.
    pub after_next_apply: Option<String>,
    tables: Tables,
    next_index: u32,
}

impl SimulatedKernel {
    /// A host with loopback, an uplink with a default route, IPv6, and systemd-resolved.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let mut state = State {
            resolved: Some(BTreeMap::new()),
            next_index: 1,
            ..State::default()
        };
        for switch in [Switch::Ipv4Forward, Switch::Ipv6Forward] {
            state.switches.insert(switch, 0);
        }
        state.add_link("lo");
        let uplink = state.add_link("eth0");
        state
            .switches
            .insert(Switch::AcceptRa("eth0".to_owned()), 1);
        let cidr = |text: &str| text.parse::<Cidr>().ok();
        let address = |address| Address {
            interface: uplink,
            address,
        };
        state.addresses.extend(cidr("192.0.2.7/24").map(address));
        for default in ["0.0.0.0/0", "::/0"] {
            let route = |to| Route {
                to,
                interface: Some(uplink),
                metric: 100,
            };
            state.routes.extend(cidr(default).map(route));
        }
        let state = Mutex::new(state);
        Self { place, state }
    }

    /// The host's state, to be looked at or changed as another program would.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> Result<MutexGuard<'_, State>, KernelError> {
        let mut state = self.state();
        if state.changes_left == Some(0) {
            return Err(KernelError::Failed(
                "the simulated host fails here".to_owned(),
            ));
        }
        state.changes_left = state.changes_left.map(|left| left - 1);
        state.changes += 1;
        Ok(state)
    }
}

impl State {
    /// Adds an interface as another program would: up, without a mark. Gives its number.
    pub fn add_link(&mut self, name: &str) -> u32 {
        let index = self.next_index;
        self.next_index += 1;
        self.links.push(Link {
            index,
            name: name.to_owned(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            ours: false,
            alias: None,
            master: None,
            mtu: 1500,
            up: true,
            carrier: true,
            owner: None,
            is_tap: false,
            is_bridge: false,
        });
        index
    }

    /// An interface by its name.
    pub fn link(&mut self, name: &str) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.name == name)
    }

    /// Loads a transaction as another program would.
    ///
    /// # Errors
    /// What nft would say.
    pub fn load(&mut self, transaction: &str) -> Result<(), KernelError> {
        self.tables.apply(transaction)
    }

    fn ours(&mut self, name: &str) -> Result<&mut Link, KernelError> {
        let no_such = || KernelError::Failed(format!("there is no interface {name}"));
        let link = self.link(name).ok_or_else(no_such)?;
        if link.ours {
            return Ok(link);
        }
        Err(KernelError::Foreign {
            name: name.to_owned(),
            alias: link.alias.clone(),
        })
    }

    fn create(&mut self, name: &str) -> Result<&mut Link, KernelError> {
        let exists = || KernelError::Failed(format!("cannot create {name}: it exists"));
        if self.link(name).is_some() {
            return Err(exists());
        }
        self.add_link(name);
        self.link(name).ok_or_else(exists)
    }
}
