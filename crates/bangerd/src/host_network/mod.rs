//! The daemon's side of the host's network.
//!
//! ```text
//! drivers ──attach, settled, detach──▶ HostNetwork ──▶ TapPool   TAPs, ready before they are wanted
//!                                        │        ├──▶ Rules     who may talk to whom, newest state wins
//!                                        │        └──▶ names     who is called what
//!                                        └─ Ready: the bridge, made when the first guest needs it
//!                                              all of it through one trait, Host ──▶ root helper
//! ```
//!
//! Nothing here knows how a sandbox is started, and nothing outside of here knows of bridges.

mod adopt;
mod choice;
pub mod dns;
pub mod examine;
#[cfg(test)]
mod fixtures;
mod helper_process;
pub mod host;
mod look;
mod names;
mod place;
mod ready;
mod resolvers;
pub mod root_client;
mod routes;
mod rules;
mod sleepers;
mod tap_pool;

pub use adopt::Adopted;
pub use helper_process::Helper;
pub use look::{Helped, Standing};
pub use place::{Attachment, Wish};

use crate::config::BridgeConfig;
use crate::operation::{OpId, new_id};
use crate::store::Store;
use banger_model::subnet::{Collision, Subnet};
use banger_model::{SandboxId, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Change, Verb};
use host::Host;
use ready::Ready;
use sleepers::Sleepers;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Everything that the room needs.
#[derive(Debug)]
pub struct Dependencies {
    /// What the owner has configured.
    pub config: BridgeConfig,
    /// Where the installation's id and the subnet are remembered.
    pub store: Store,
    /// Who does what needs root, or why there is nobody.
    pub helper: Helper,
}

/// The host's network. Made without touching anything; the bridge comes with the first guest on it.
#[derive(Debug)]
pub struct HostNetwork {
    config: BridgeConfig,
    store: Store,
    helper: Helper,
    /// One preparation at a time.
    preparing: tokio::sync::Mutex<()>,
    ready: Mutex<Option<Arc<Ready>>>,
    /// Guests of a daemon before, which have their places already.
    adopted: Mutex<BTreeMap<SandboxId, Adopted>>,
    /// Why the bridge could not be made, the last time that it was tried.
    trouble: Mutex<Option<Fault>>,
    /// Whether somebody was told that there is no bridge.
    told: AtomicBool,
    sleepers: Arc<Sleepers>,
}

impl HostNetwork {
    /// The room, from its dependencies.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        let Dependencies {
            config,
            store,
            helper,
        } = dependencies;
        Self {
            config,
            store,
            helper,
            preparing: tokio::sync::Mutex::default(),
            ready: Mutex::default(),
            adopted: Mutex::default(),
            trouble: Mutex::default(),
            told: AtomicBool::new(false),
            sleepers: Arc::default(),
        }
    }

    /// Why guests cannot be on the bridge, for the first one who asks.
    pub fn why_not_once(&self) -> Option<Fault> {
        let trouble = || {
            let trouble = self.trouble.lock();
            trouble.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let fault = self.availability().err().or_else(trouble)?;
        (!self.told.swap(true, Ordering::Relaxed)).then_some(fault)
    }

    /// Whether guests can be on the bridge, as far as that can be told without doing anything.
    ///
    /// # Errors
    /// Why not, with what would help.
    pub fn availability(&self) -> Result<(), Fault> {
        self.helper.availability()
    }

    /// What is so of it, for `banger doctor`; see [`examine`].
    pub async fn examine(&self) -> examine::Examination {
        examine::examine(self, new_id()).await
    }

    /// The bridge's subnet; makes the bridge if it is not there.
    ///
    /// # Errors
    /// When the helper is not there, or the host has no room for the bridge.
    pub async fn subnet(&self, op: OpId) -> Result<Subnet, Fault> {
        Ok(self.prepare(op).await?.subnet())
    }

    fn current(&self) -> Option<Arc<Ready>> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.clone()
    }

    fn put(&self, ready: Option<Arc<Ready>>) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    /// The bridge as it is ready, made first if it is not; one that vanished is made again.
    async fn prepare(&self, op: OpId) -> Result<Arc<Ready>, Fault> {
        let prepared = self.try_prepare(op).await;
        let trouble = prepared.as_ref().err().cloned();
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        prepared
    }

    async fn try_prepare(&self, op: OpId) -> Result<Arc<Ready>, Fault> {
        if let Some(ready) = self.current().filter(|ready| ready.bridge_is_there()) {
            return Ok(ready);
        }
        let _one = self.preparing.lock().await;
        match self.current() {
            Some(ready) if ready.bridge_is_there() => Ok(ready),
            Some(ready) => {
                ready.make_again(op).await?;
                Ok(ready)
            }
            None => {
                let adopted = self
                    .adopted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let sleepers = Arc::clone(&self.sleepers);
                let making = Ready::make(
                    &self.config,
                    &self.store,
                    &self.helper,
                    adopted,
                    sleepers,
                    op,
                );
                let ready = making.await?;
                let ready = Arc::new(ready);
                self.put(Some(Arc::clone(&ready)));
                Ok(ready)
            }
        }
    }

    /// Gives a guest its place: a TAP, and what the rules say of it. The rules come to the host
    /// meanwhile; [`Self::settled`] waits for them.
    ///
    /// # Errors
    /// When there is no place, or nobody who could make one.
    pub async fn attach(&self, id: SandboxId, wish: Wish, op: OpId) -> Result<Attachment, Fault> {
        let ready = self.prepare(op).await?;
        ready.attach(id, wish, op).await
    }

    /// What has come onto the bridge's subnet since that was chosen, if the host's routes say so. Asked of
    /// the kernel, without the helper.
    #[must_use]
    pub fn collision(&self) -> Option<Collision> {
        self.current()?.collision()
    }

    /// Waits until what [`Self::attach`] or [`Self::change`] began holds.
    ///
    /// # Errors
    /// What the host said.
    pub async fn settled(&self, id: SandboxId) -> Result<(), Fault> {
        match self.current() {
            Some(ready) => ready.settled(id).await,
            None => Ok(()),
        }
    }

    /// Changes what a guest that is attached may; nothing for one that is not.
    ///
    /// # Errors
    /// When the host does not take the rules.
    pub async fn change(&self, id: SandboxId, wish: Wish, op: OpId) -> Result<(), Fault> {
        match self.current() {
            Some(ready) => ready.change(id, wish, op).await,
            None => Ok(()),
        }
    }

    /// A guest that is attached has another name, which is served from now on; nothing for one that is
    /// not. The rules know no names.
    pub fn rename(&self, id: SandboxId, name: &SandboxName, op: OpId) {
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(adopted) = adopted.get_mut(&id) {
            adopted.wish.name = name.clone();
        }
        drop(adopted);
        if let Some(ready) = self.current() {
            ready.rename(id, name, op);
        }
    }

    /// Takes a guest's place away; one that has none is fine. Returns at once: the kernel's objects go
    /// in the background.
    pub fn detach(&self, id: SandboxId, op: OpId) {
        self.adopted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        if let Some(ready) = self.current() {
            ready.detach(id, op);
        }
    }

    /// The place of a guest that is attached.
    #[must_use]
    pub fn attachment(&self, id: SandboxId) -> Option<Attachment> {
        self.current()?.attachment(id)
    }

    /// Removes everything from the host, if no guest needs it: the daemon leaves.
    pub async fn leave(&self) {
        if let Some(ready) = self.current() {
            ready.leave(new_id()).await;
            self.put(None);
        }
    }
}

/// A fault of the host's network.
fn cannot(what: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::Failed, format!("cannot {what}: {error}"))
}

/// Asks for one change, as a fault; what was changed.
async fn ask(host: &dyn Host, op: OpId, what: &str, verb: Verb) -> Result<Vec<Change>, Fault> {
    host::change(host, op, verb).await.map_err(|error| {
        let fault = Fault::from(error);
        let remedy = fault.remedy.clone();
        let outer = Fault::new(fault.code, format!("cannot {what}: {fault}"));
        match remedy {
            Some(remedy) => outer.with_remedy(remedy),
            None => outer,
        }
    })
}
