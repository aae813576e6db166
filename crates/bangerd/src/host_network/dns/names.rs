//! The life cycle of the name server, and the records of living guests.

use super::{
    Addresses, BadAddresses, BindError, CloseError, DnsServer, Records, ResolverRouting, ZONE,
};
use banger_model::SandboxName;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the host's resolver may take to be told. It is best effort: no start waits longer.
const ROUTING_LIMIT: Duration = Duration::from_secs(5);

/// The name under which a machine is served, as it is shown and recorded: `web.vm`.
#[must_use]
pub fn record_name(name: &SandboxName) -> String {
    format!("{name}.{ZONE}")
}

/// The daemon's name server, which may or may not run: where its port is taken, machines run without
/// names. Everything can be called at any time, from any task.
#[derive(Debug)]
pub struct NameService<R> {
    server: Mutex<Option<Arc<DnsServer>>>,
    routing: R,
    /// Who tells the resolver, and who waits to do it for all that came meanwhile.
    telling: Semaphore,
    turn: tokio::sync::Mutex<()>,
}

impl<R: ResolverRouting> NameService<R> {
    /// One that does not run.
    pub const fn new(routing: R) -> Self {
        Self {
            server: Mutex::new(None),
            routing,
            telling: Semaphore::const_new(2),
            turn: tokio::sync::Mutex::const_new(()),
        }
    }

    /// Begins to serve an empty zone, and tells at which address, with its real port.
    ///
    /// # Errors
    /// When the address cannot be bound, or a server runs already. No server is kept then but the
    /// one that ran.
    pub fn start(&self, address: SocketAddr) -> Result<SocketAddr, BindError> {
        let mut current = self.lock();
        if let Some(running) = current.as_ref() {
            return Err(BindError::Already(running.address()));
        }
        let server = DnsServer::bind(address)?;
        let address = server.address();
        *current = Some(Arc::new(server));
        tracing::info!(%address, "vm dns serving");
        Ok(address)
    }

    /// Stops. Without a server there is nothing to do; afterwards there is none, whatever comes of it.
    ///
    /// # Errors
    /// When the server had failed or does not end in time.
    pub async fn stop(&self) -> Result<(), CloseError> {
        let server = self.lock().take();
        match server {
            Some(server) => server.close().await,
            None => Ok(()),
        }
    }

    /// The running server, for its further addresses, subnets and visibility.
    #[must_use]
    pub fn server(&self) -> Option<Arc<DnsServer>> {
        self.lock().clone()
    }

    /// Where names are served, with the real port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.lock().as_ref().map(|server| server.address())
    }

    /// Serves a machine's name, and makes sure that the host's resolver asks us. Without a server
    /// nothing is done.
    ///
    /// # Errors
    /// When these are no addresses of a guest; nothing is changed then, and no resolver told.
    pub async fn set(
        &self,
        name: &SandboxName,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), BadAddresses> {
        let Some(server) = self.server() else {
            return Ok(());
        };
        let addresses = Addresses::new(addresses)?;
        server.authority().set(name.clone(), addresses);
        self.ensure_routing().await;
        Ok(())
    }

    /// Serves a name no longer; the name is that of [`record_name`], in any case, with or without the
    /// last dot. One that is not served, an empty one for a machine that never had one, and a
    /// server that does not run are all fine.
    pub fn remove(&self, dns_name: &str) {
        let lower = dns_name.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let machine = name
            .strip_suffix(ZONE)
            .and_then(|rest| rest.strip_suffix('.'));
        if let (Some(server), Some(machine)) = (self.server(), machine) {
            server.authority().remove(machine);
        }
    }

    /// Serves these names and no others, from one moment to the next. They are those of machines that
    /// the caller has found alive.
    pub fn replace(&self, records: Records) {
        if let Some(server) = self.server() {
            server.authority().replace(records);
        }
    }

    /// Makes the host's resolver ask us, as far as it can be told. For each start of a guest, and after the
    /// bridge was made anew; [`NameService::set`] does it too. Where one waits to do it already, that one
    /// does it for whoever comes.
    pub async fn ensure_routing(&self) {
        let Ok(_place) = self.telling.try_acquire() else {
            return;
        };
        let _turn = self.turn.lock().await;
        if let Some(address) = self.address() {
            best_effort("tell the resolver of", self.routing.ensure(address)).await;
        }
    }

    /// Takes that back, when the daemon leaves.
    pub async fn revert_routing(&self) {
        let _turn = self.turn.lock().await;
        best_effort("take back from the resolver", self.routing.revert()).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<DnsServer>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn best_effort(
    doing: &str,
    told: impl Future<Output = Result<(), banger_proto::fault::Fault>>,
) {
    match tokio::time::timeout(ROUTING_LIMIT, told).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!("cannot {doing} the zone {ZONE}: {fault}"),
        Err(_late) => {
            let limit = ROUTING_LIMIT.as_secs();
            tracing::warn!("cannot {doing} the zone {ZONE}: no answer within {limit} s");
        }
    }
}
