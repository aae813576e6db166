//! The bridge as it is ready for guests.

use super::adopt::Adopted;
use super::choice::{installation, mtu_of, refuse_foreign, subnet};
use super::dns::{NameService, Prefix, ResolverRouting};
use super::examine::Wanted;
use super::helper_process::Helper;
use super::host::{Host, survey};
use super::place::{Attachment, Wish, network_config};
use super::rules::{Frame, Place, Rules};
use super::sleepers::Sleepers;
use super::tap_pool::TapPool;
use super::{ask, cannot, names, resolvers, routes, tap_pool};
use crate::config::BridgeConfig;
use crate::operation::{OpId, new_id};
use crate::store::Store;
use banger_model::host_names::{Mac, TapSlot};
use banger_model::subnet::{Collision, HostPart, Subnet, collision};
use banger_model::{SandboxId, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Did, Mtu, Verb};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long `banger doctor`, and a daemon that leaves, wait for rules that are on their way to the host.
const TAKING: Duration = Duration::from_secs(5);

/// The bridge, its TAPs, rules and names.
#[derive(Debug)]
pub(super) struct Ready {
    host: Arc<dyn Host>,
    frame: Frame,
    mtu: Mtu,
    /// For names outside of `vm`.
    resolvers: Vec<IpAddr>,
    pool: TapPool,
    rules: Rules,
    names: Arc<NameService<Resolved>>,
    /// The bridge is being made again, or that was broken off: guests may not be on it.
    apart: AtomicBool,
    sleepers: Arc<Sleepers>,
}

/// Tells systemd-resolved through the helper.
#[derive(Debug)]
struct Resolved(Arc<dyn Host>);

impl ResolverRouting for Resolved {
    async fn ensure(&self, server: SocketAddr) -> Result<(), Fault> {
        let Some(dns_port) = NonZeroU16::new(server.port()) else {
            return Ok(());
        };
        ask(
            &*self.0,
            new_id(),
            "tell the host's resolver",
            Verb::SetResolver { dns_port },
        )
        .await
        .map(drop)
    }

    async fn revert(&self) -> Result<(), Fault> {
        ask(
            &*self.0,
            new_id(),
            "take back from the host's resolver",
            Verb::ClearResolver {},
        )
        .await
        .map(drop)
    }
}

impl Ready {
    /// Surveys the host, chooses the subnet if none is remembered, makes the bridge, and removes what
    /// of ours no living guest owns.
    pub(super) async fn make(
        config: &BridgeConfig,
        store: &Store,
        helper: &Helper,
        adopted: BTreeMap<SandboxId, Adopted>,
        sleepers: Arc<Sleepers>,
        op: OpId,
    ) -> Result<Self, Fault> {
        let installation = installation(store).await?;
        let host = helper.host(&config.name, installation, op).await?;
        let found = survey(&*host, op).await?;
        refuse_foreign(&found, &config.name)?;
        let subnet = subnet(config, store, &found, installation).await?;
        let mtu = mtu_of(&found);
        ask(
            &*host,
            op,
            "make the bridge",
            Verb::EnsureBridge { subnet, mtu },
        )
        .await?;
        let slots: BTreeSet<_> = adopted.values().map(|adopted| adopted.slot).collect();
        let sweep = Verb::Sweep {
            live: slots
                .clone()
                .try_into()
                .map_err(|error| cannot("sweep the host's network", error))?,
            bridge: true,
            policy: !adopted.is_empty(),
        };
        ask(&*host, op, "sweep the host's network", sweep).await?;
        let frame = Frame {
            installation,
            bridge: config.name.clone(),
            subnet,
        };
        let ready = Self {
            pool: TapPool::new(
                Arc::clone(&host),
                config.tap_pool_size,
                &slots,
                tap_pool::foreign(&found),
            ),
            rules: Rules::new(Arc::clone(&host), frame.clone()),
            names: Arc::new(NameService::new(Resolved(Arc::clone(&host)))),
            resolvers: config
                .default_dns
                .clone()
                .unwrap_or_else(resolvers::of_host),
            host,
            frame,
            mtu,
            apart: AtomicBool::new(false),
            sleepers,
        };
        let is_port = |slot: &_| {
            let mut taps = found.taps.iter();
            taps.any(|tap| tap.slot == *slot && tap.on_bridge)
        };
        if !slots.iter().all(is_port) {
            ready.join_again(op).await;
        }
        ready.serve_names(config.dns_address, op).await;
        for (id, adopted) in adopted {
            ready.rules.set(id, adopted.place(), op);
        }
        ready.tell_names();
        Ok(ready)
    }

    /// Serves names where it can; guests run without, too.
    async fn serve_names(&self, address: SocketAddr, op: OpId) {
        let served = match self.names.start(address) {
            Ok(served) => served,
            Err(error) => {
                tracing::warn!("names of guests are not served: {error}");
                return;
            }
        };
        let Some(server) = self.names.server() else {
            return;
        };
        let subnet = self.frame.subnet;
        let prefixes = [subnet.v4(), subnet.v6()].map(|c| Prefix::of(c.address(), c.prefix()).ok());
        if let Some(waker) = self.sleepers.waker() {
            server.authority().wake_with(waker);
        }
        server
            .authority()
            .set_subnets(prefixes.into_iter().flatten().collect());
        for gateway in [IpAddr::V4(subnet.gateway_v4()), subnet.gateway_v6().into()] {
            let address = SocketAddr::new(gateway, served.port());
            if let Err(error) = server.listen(address) {
                tracing::warn!("guests cannot ask for names at {address}: {error}");
            }
        }
        self.rules
            .serve_names_at(NonZeroU16::new(served.port()), op);
        self.tell_resolver();
    }

    /// Has the host's resolver ask for names here, behind whoever goes on meanwhile. It may have forgotten,
    /// whenever the link was changed.
    fn tell_resolver(&self) {
        let names = Arc::clone(&self.names);
        tokio::spawn(async move { names.ensure_routing().await });
    }

    /// Has the name server know all guests.
    pub(super) fn tell_names(&self) {
        let places = self.rules.places();
        self.names
            .replace(names::records(&self.frame.subnet, &places));
        if let Some(server) = self.names.server() {
            let asleep = self.sleepers.wishes();
            let visibility = names::visibility(&self.frame.subnet, &places, &asleep);
            server.authority().set_visibility(visibility);
            server.authority().set_sleeping(names::sleeping(&asleep));
        }
    }

    pub(super) const fn subnet(&self) -> Subnet {
        self.frame.subnet
    }

    /// What is wanted of the host, for `banger doctor`.
    pub(super) async fn wanted(&self) -> Wanted {
        // What is on its way is waited for: it would pass for rules that somebody has changed.
        let taken = self.rules.until_taken(self.rules.newest());
        let trouble = match tokio::time::timeout(TAKING, taken).await {
            Ok(taken) => taken.err(),
            Err(_late) => Some(format!("no answer within {} s", TAKING.as_secs())),
        };
        Wanted {
            rules: self.rules.digest(),
            trouble,
            wide: self.rules.places().values().any(|place| place.nat),
            names: self.names.address(),
        }
    }

    /// Where names are served, if they are.
    pub(super) fn names_at(&self) -> Option<SocketAddr> {
        self.names.address()
    }

    /// Whether the bridge's interface exists, with guests on it; asked of the kernel without the helper.
    pub(super) fn bridge_is_there(&self) -> bool {
        if self.apart.load(Ordering::Relaxed) {
            return false;
        }
        // Not by /sys: what that shows is the network of whoever mounted it.
        let asked = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None);
        asked.is_ok_and(|socket| name_to_index(socket, self.frame.bridge.as_str()).is_ok())
    }

    /// What the host's routes say has come onto the bridge's subnet.
    pub(super) fn collision(&self) -> Option<Collision> {
        // Where the bridge is not seen, it is another host's routes that are.
        let seen = self.bridge_is_there().then(routes::of_host)?;
        collision(&self.frame.subnet, &seen, &self.frame.bridge)
    }

    /// The bridge is not seen: it is made again where it has vanished under us, and what hung on it.
    pub(super) async fn make_again(&self, op: OpId) -> Result<(), Fault> {
        let verb = Verb::EnsureBridge {
            subnet: self.frame.subnet,
            mtu: self.mtu,
        };
        // Whoever waits for this may go away in the middle.
        let was_apart = self.apart.swap(true, Ordering::Relaxed);
        let changes = ask(&*self.host, op, "make the bridge again", verb).await?;
        // A helper may see what we do not: its host may be another one.
        let was_there = changes.iter().all(|change| change.did == Did::WasSo);
        if was_apart || !was_there {
            self.join_again(op).await;
            self.rules.again(op);
            self.tell_resolver();
        }
        self.apart.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Has guests on a bridge that was made anew. Those that cannot be keep nobody else from it; `banger
    /// doctor` names them.
    async fn join_again(&self, op: OpId) {
        if let Err(error) = self.pool.join_again(op).await {
            tracing::error!(%op, "guests are cut off from the bridge, which was made anew: {error}");
        }
    }

    pub(super) async fn attach(
        &self,
        id: SandboxId,
        wish: Wish,
        op: OpId,
    ) -> Result<Attachment, Fault> {
        let part = wish.host_part;
        if !self.frame.subnet.has_room_for(part) {
            let message = format!(
                "the bridge's subnet {} has no address {part}",
                self.frame.subnet
            );
            return Err(Fault::new(FaultCode::Refused, message));
        }
        let slot = self
            .pool
            .take(op)
            .await
            .map_err(|error| cannot("make a TAP", error))?;
        self.rules.set(id, wish.place(slot), op);
        self.tell_names();
        self.tell_resolver();
        Ok(self.describe(id, slot, part))
    }

    fn describe(&self, id: SandboxId, slot: TapSlot, part: HostPart) -> Attachment {
        let (subnet, mtu) = (&self.frame.subnet, self.mtu.get());
        Attachment {
            slot,
            mac: Mac::of(&id),
            config: network_config(subnet, part, mtu, self.resolvers_of_guests()),
        }
    }

    /// The daemon first, which refuses everything but `vm`; then the host's own.
    fn resolvers_of_guests(&self) -> Vec<IpAddr> {
        let own = self
            .names
            .address()
            .map(|_| self.frame.subnet.gateway_v4().into());
        own.into_iter()
            .chain(self.resolvers.iter().copied())
            .collect()
    }

    pub(super) async fn settled(&self, id: SandboxId) -> Result<(), Fault> {
        if self.rules.place(id).is_none() {
            return Ok(());
        }
        let newest = self.rules.newest();
        let taken = self.rules.until_taken(newest).await;
        taken.map_err(|error| cannot("bring the rules of the network to the host", error))
    }

    pub(super) async fn change(&self, id: SandboxId, wish: Wish, op: OpId) -> Result<(), Fault> {
        let Some(place) = self.rules.place(id) else {
            return Ok(());
        };
        let change = self.rules.set(id, wish.place(place.slot), op);
        self.tell_names();
        let taken = self.rules.until_taken(change).await;
        taken.map_err(|error| cannot("bring the rules of the network to the host", error))
    }

    pub(super) fn rename(&self, id: SandboxId, name: &SandboxName, op: OpId) {
        let Some(place) = self.rules.place(id) else {
            return;
        };
        let name = name.clone();
        self.rules.set(id, Place { name, ..place }, op);
        self.tell_names();
    }

    pub(super) fn detach(&self, id: SandboxId, op: OpId) {
        let Some(place) = self.rules.place(id) else {
            return;
        };
        self.rules.remove(id, op);
        self.tell_names();
        self.pool.give_back(place.slot, op);
    }

    pub(super) fn attachment(&self, id: SandboxId) -> Option<Attachment> {
        let place = self.rules.place(id)?;
        Some(self.describe(id, place.slot, place.host_part))
    }

    /// Serves names no longer, and says so to the host's resolver; removes everything else from the host,
    /// unless a guest is there.
    pub(super) async fn leave(&self, op: OpId) {
        if let Err(error) = self.names.stop().await {
            tracing::warn!("{error}");
        }
        self.names.revert_routing().await;
        if !self.rules.places().is_empty() {
            return;
        }
        self.pool.close().await;
        // Rules that are on their way would come after the sweep.
        let taken = self.rules.until_taken(self.rules.newest());
        if !matches!(tokio::time::timeout(TAKING, taken).await, Ok(Ok(()))) {
            tracing::warn!("leaving though the host has not taken the last rules");
        }
        let sweep = Verb::Sweep {
            live: Default::default(),
            bridge: false,
            policy: false,
        };
        if let Err(fault) = ask(&*self.host, op, "remove the bridge", sweep).await {
            tracing::warn!("{fault}");
        }
    }
}
