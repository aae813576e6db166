//! Who lives: the daemon, the helper, and the machines that records know. What they have is theirs.

use crate::layout::Layout;
use crate::record::Record;
use crate::sandbox::vmm_of;
use crate::services::Services;
use crate::store::{StoreError, Unreadable};
use banger_model::SandboxState;
use banger_model::publish::{Protocol, Published};
use banger_proto::fault::Fault;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Living {
    /// Whose daemon it is.
    pub(super) uid: u32,
    /// The daemon that serves.
    pub(super) daemon: Option<u32>,
    /// The mark on what this installation has made.
    pub(super) installation: Option<String>,
    /// Whether the daemon has made the bridge, with TAPs that wait and rules.
    pub(super) network: bool,
    /// The port at which the daemon serves names.
    pub(super) served_at: Option<u16>,
    /// The machines.
    pub(super) machines: Vec<Machine>,
    /// Ids of records that cannot be read: what they have is kept for them.
    pub(super) unreadable: Vec<String>,
    /// What machines were called that there are no more, by id.
    pub(super) names: BTreeMap<String, String>,
}

/// A machine that a record knows.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: SandboxState,
    /// The process of its VMM, if that lives.
    pub(super) vmm: Option<u32>,
    /// It is on its way from one state to another.
    pub(super) in_between: bool,
    /// Its TAP.
    pub(super) tap: Option<String>,
    /// What it publishes.
    pub(super) publish: Vec<Published>,
}

impl Machine {
    pub(super) fn of(layout: &Layout, record: &Record) -> Self {
        use SandboxState::{Deleting, Starting, Stopping};
        let slot = record.network.and_then(|place| place.slot);
        Self {
            id: record.id.to_string(),
            name: record.name.to_string(),
            state: record.state,
            vmm: vmm_of(layout, record),
            in_between: matches!(record.state, Starting | Stopping | Deleting),
            tap: slot.map(|slot| slot.interface()),
            publish: record.spec.publish.clone(),
        }
    }

    /// Whether what exists only while a guest runs may be there.
    pub(super) fn may_run(&self) -> bool {
        self.vmm.is_some() || self.in_between || self.state == SandboxState::Unreadable
    }

    /// How it is named in a proof.
    pub(super) fn title(&self) -> String {
        let short = self.id.get(..8).unwrap_or(&self.id);
        format!("machine {} ({short}), {}", self.name, self.state)
    }
}

impl Living {
    /// As a daemon knows them, or whoever looks apart from it, for whom `daemon` is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn of(services: &Services, daemon: Option<u32>) -> Result<Self, Fault> {
        let layout = &services.layout;
        let events = services.feed.after(0).await.unwrap_or_default();
        let standing = services.host_network.standing();
        let mut living = Self {
            uid: rustix::process::getuid().as_raw(),
            daemon,
            installation: services.host_network.installation().await?,
            network: standing.is_some(),
            served_at: standing
                .and_then(|standing| standing.names)
                .map(|at| at.port()),
            names: events
                .into_iter()
                .map(|event| (event.sandbox, event.name))
                .collect(),
            ..Self::default()
        };
        // The daemon's own view is newer than the database, which it writes first and shows then.
        let registered = services.registry.all();
        let (mut records, unreadable) = services.store.all().await?;
        for sandbox in registered {
            records.retain(|record| record.id != sandbox.id);
            records.push(sandbox.record());
        }
        living.machines = records
            .iter()
            .map(|record| Machine::of(layout, record))
            .collect();
        living.unreadable = unreadable.iter().map(id_of).collect();
        Ok(living)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.id == id)
    }

    pub(super) fn by_short(&self, short: &str) -> Option<&Machine> {
        let mut machines = self.machines.iter();
        machines.find(|machine| !short.is_empty() && machine.id.get(..8) == Some(short))
    }

    /// Whether an id, or its beginning, is that of a record that cannot be read.
    pub(super) fn is_unreadable(&self, id: &str) -> bool {
        !id.is_empty() && self.unreadable.iter().any(|known| known.starts_with(id))
    }

    /// What the machine of an id, or of its beginning, was called.
    pub(super) fn once_called(&self, id: &str) -> Option<&str> {
        let mut names = self.names.iter();
        let found = names.find(|(known, _)| !id.is_empty() && known.starts_with(id));
        found.map(|(_, name)| name.as_str())
    }

    /// Whether a machine that runs publishes there.
    pub(super) fn publishes(&self, udp: bool, address: SocketAddr) -> bool {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let is_it =
            |one: &Published| one.asked.protocol == protocol && one.endpoint() == Some(address);
        let mut running = self.machines.iter().filter(|machine| machine.may_run());
        running.any(|machine| machine.publish.iter().any(is_it))
    }
}

fn id_of(one: &Unreadable) -> String {
    match &one.error {
        StoreError::Row { id, .. } => id.clone(),
        _ => String::new(),
    }
}
