//! The agent: what outlives connections, and the loop that serves them.

use crate::link::Link;
use crate::session::Sessions;
use crate::world::World;
use rustix::rand::{GetRandomFlags, getrandom};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, LocalSet};

/// How long a thread for what may wait stays without work. A guest that goes on from saved memory has one at
/// once then: making one costs an emulated guest 10 ms.
const IDLE_THREAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Environment variables: name and value.
pub(crate) type Environment = Vec<(Vec<u8>, Vec<u8>)>;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) world: World,
    /// Random; another with each boot, and with each resume.
    pub(crate) boot: Cell<[u8; 16]>,
    pub(crate) configured: Cell<bool>,
    /// One configuration or shutdown at a time.
    pub(crate) configuring: tokio::sync::Mutex<()>,
    /// What follows behind the answer to the last resume, until it has begun.
    pub(crate) settling: RefCell<Option<AbortHandle>>,
    /// Of every command, from the last configuration.
    pub(crate) environment: RefCell<Environment>,
    pub(crate) sessions: Sessions,
    /// Connections to ports that are open.
    pub(crate) dialed: crate::dial::Count,
    /// Those of them that outlive the link.
    pub(crate) dials: crate::dial::Dials,
    /// There is something for the link to send.
    pub(crate) wake: Rc<Notify>,
}

impl Shared {
    /// The guest is a copy from now on: what the agent says of itself is its own.
    pub(crate) fn begin_anew(&self) {
        self.boot.set(random_boot());
    }
}

fn random_boot() -> [u8; 16] {
    let mut boot = [0; 16];
    // Early in a boot the kernel's generator may not be seeded; this only has to differ.
    let _ = getrandom(&mut boot, GetRandomFlags::INSECURE);
    boot
}

/// What the end of the file that connects agent and host means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// A port: no host is connected now; another may come.
    Wait,
    /// A socket: the connection is over.
    Return,
}

/// The guest's agent. Clones are the same agent.
#[derive(Clone)]
pub struct Agent(Rc<Shared>);

impl std::fmt::Debug for Agent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Agent")
            .field("boot", &self.0.boot.get())
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent without sessions.
    #[must_use]
    pub fn new(world: World) -> Self {
        let boot = random_boot();
        let configured = false;
        Self::beginning(world, Beginning { boot, configured })
    }

    fn beginning(world: World, beginning: Beginning) -> Self {
        let wake = Rc::new(Notify::new());
        Self(Rc::new(Shared {
            world,
            boot: Cell::new(beginning.boot),
            configured: Cell::new(beginning.configured),
            configuring: tokio::sync::Mutex::new(()),
            settling: RefCell::default(),
            environment: RefCell::default(),
            sessions: Sessions::new(Rc::clone(&wake)),
            dialed: Rc::default(),
            dials: crate::dial::Dials::default(),
            wake,
        }))
    }

    /// Serves connections over one duplex file. Runs in a [`LocalSet`]. Dropping the future ends
    /// the connection, not the sessions.
    ///
    /// # Errors
    /// When the file cannot be waited for, read or written.
    pub async fn serve(&self, link: OwnedFd, at_end: AtEnd) -> io::Result<()> {
        let link = Link::new(Rc::clone(&self.0), link)?;
        link.serve(at_end == AtEnd::Return).await
    }
}

/// Serves one agent to whoever connects to a socket, one connection at a time: a new one ends the
/// one before. For a simulated guest; does not return but on an error of the listener.
///
/// # Errors
/// When the listener cannot be waited for.
pub fn serve_on(listener: UnixListener, world: World) -> io::Result<()> {
    block_on(async move { serve_all(listener, Agent::new(world)).await })
}

/// What an agent knows when it begins to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The boot that it tells its hosts.
    pub boot: [u8; 16],
    /// Whether it was configured already: in a guest that was saved then.
    pub configured: bool,
}

/// As [`serve_on`], with another future beside it on the same thread: while that blocks the thread, the guest
/// stands still.
///
/// # Errors
/// When the listener cannot be waited for.
pub fn serve_beside(
    listener: UnixListener,
    world: World,
    beginning: Beginning,
    beside: impl Future<Output = Infallible>,
) -> io::Result<()> {
    block_on(async move {
        tokio::select! {
            served = serve_all(listener, Agent::beginning(world, beginning)) => served,
            never = beside => match never {},
        }
    })
}

async fn serve_all(listener: UnixListener, agent: Agent) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let mut serving: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        let (stream, _) = listener.accept().await?;
        let stream = stream.into_std()?;
        if let Some(before) = serving.take() {
            before.abort();
            let _ = before.await;
        }
        let agent = agent.clone();
        serving = Some(tokio::task::spawn_local(async move {
            // The connection's own failure: the next one may do better.
            let _ = agent.serve(stream.into(), AtEnd::Return).await;
        }));
    }
}

/// Runs a future on this thread, with room for local tasks.
pub(crate) fn block_on<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREAD)
        .build()?;
    LocalSet::new().block_on(&runtime, future)
}
