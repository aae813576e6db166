//! What the agent serves: a root directory, and the machine around it.

use crate::fault::fault;
use crate::root::Root;
use banger_proto::fault::FaultCode;
use banger_proto::guest::hello::HostHello;
use banger_proto::guest::message::{
    Configure, Configured, GrowDisk, GuestFault, InitState, Resumed,
};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What needs the rights of a guest's root, and what a test therefore replaces.
pub trait Machine: Send + Sync {
    /// A connection begins, perhaps after a restore: takes over the host's time and entropy.
    fn greet(&self, hello: &HostHello);

    /// Takes over identity and network, and starts the image's init if that is wanted and not
    /// done. May come again. May wait: it is called on a thread of its own.
    ///
    /// # Errors
    /// What stops the guest from being the sandbox that it shall be.
    fn configure(&self, root: &Root, wanted: &Configure) -> Result<Configured, GuestFault>;

    /// The guest goes on from saved memory: as [`Machine::configure`], and nothing that was its parent's
    /// alone is left when this returns. May come again, also while an earlier one is being settled.
    ///
    /// # Errors
    /// As [`Machine::configure`].
    fn resume(&self, root: &Root, wanted: &Resumed) -> Result<Configured, GuestFault>;

    /// What may follow behind the answer to a configuration or a resume. May take long: it is called on a thread of its own.
    fn settle(&self, root: &Root);

    /// The guest will be saved as nobody's: gives up what it has of a network.
    ///
    /// # Errors
    /// What of it stays.
    fn leave_network(&self) -> Result<(), GuestFault>;

    /// How far the image's init is; [`InitState::Starting`] until what follows is settled.
    fn init_state(&self, root: &Root) -> InitState;

    /// Grows the file system of a disk to all that the disk has by now, and says how many bytes that are. May
    /// wait.
    ///
    /// # Errors
    /// There is no such disk, what is in it is no ext4, it is not mounted in its place, or the kernel
    /// refuses it.
    fn grow(&self, root: &Root, disk: GrowDisk) -> Result<u64, GuestFault>;

    /// The guest may be saved soon: does ahead what makes going on from there quick and shows in no other way.
    fn prepare_to_resume(&self, root: &Root);

    /// Writes to disk what is not, before the answer to a shutdown, and on request.
    fn sync(&self);

    /// Ends the guest, after the answer to a shutdown. May wait.
    fn power_off(&self);
}

type Ready = Option<Result<Arc<Root>, GuestFault>>;

/// The root directory, once it is mounted, and the machine.
#[derive(Clone)]
pub struct World {
    root: watch::Receiver<Ready>,
    pub(crate) machine: Arc<dyn Machine>,
}

impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("World")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// The other end of a [`World`] whose root is still being mounted.
#[derive(Debug)]
pub struct Mounting(watch::Sender<Ready>);

impl Mounting {
    /// The root is there, or why it will never be.
    pub fn finish(self, root: Result<Root, GuestFault>) {
        self.0.send_replace(Some(root.map(Arc::new)));
    }
}

impl World {
    /// A world whose root is there.
    #[must_use]
    pub fn new(root: Root, machine: Arc<dyn Machine>) -> Self {
        let (world, mounting) = Self::mounting(machine);
        mounting.finish(Ok(root));
        world
    }

    /// A world whose root is still being mounted: calls that need it wait.
    #[must_use]
    pub fn mounting(machine: Arc<dyn Machine>) -> (Self, Mounting) {
        let (sender, root) = watch::channel(None);
        (Self { root, machine }, Mounting(sender))
    }

    /// The root, or why there is none.
    pub(crate) async fn root(&self) -> Result<Arc<Root>, GuestFault> {
        let mut root = self.root.clone();
        match root.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(ready)) => ready.clone(),
            _ => Err(fault(
                FaultCode::Guest,
                "the file systems were never mounted",
            )),
        }
    }
}
