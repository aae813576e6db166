//! Serving: one daemon per layout, its socket, and how it leaves.

mod turn;

pub use turn::claim_in_turn;

use crate::api::{self, Api};
use crate::audit::{Asker, Audit, Entry, Peer, Strangers};
use crate::config::Config;
use crate::disks::DiskError;
use crate::events::Feed;
use crate::layout::{Layout, fits_socket_address};
use crate::operation::Operations;
use crate::sandbox::Clock;
use crate::services::Services;
use crate::store::Store;
use crate::supervise::Supervisor;
use crate::{host, runtime_dir};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::{Version, build_of};
use rustix::fs::{FlockOperation, Mode, flock};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long open connections may take to end when the daemon leaves.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks whether there is nothing left to do.
const IDLE_LOOK: Duration = Duration::from_secs(1);

/// What a daemon holds as long as it serves its layout.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

/// Makes the directories and takes the lock; `None` when another daemon has it.
///
/// # Errors
/// When a directory or the lock cannot be made or is not safe.
pub fn claim(layout: &Layout) -> Result<Option<Claim>, Fault> {
    runtime_dir::prepare(&layout.runtime, rustix::process::getuid().as_raw())?;
    if !fits_socket_address(&layout.socket()) {
        let path = layout.socket();
        return Err(Fault::new(
            FaultCode::BadRequest,
            format!("{} is too long for a socket", path.display()),
        )
        .with_remedy("choose a shorter XDG_RUNTIME_DIR"));
    }
    for directory in [
        &layout.state,
        &layout.cache,
        &layout.sandboxes(),
        &layout.images(),
        &layout.kernels(),
    ] {
        make(directory)?;
    }
    let path = layout.lock_file();
    let cannot = |error: std::io::Error| cannot_use(&path, error);
    let mut options = OpenOptions::new();
    let mut lock = options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(cannot)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(cannot(error.into())),
    }
    lock.set_len(0).map_err(cannot)?;
    writeln!(lock, "{}", std::process::id()).map_err(cannot)?;
    Ok(Some(Claim { _lock: lock }))
}

/// Makes a directory of banger's own, for its owner alone, where there is none.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make(directory: &Path) -> Result<(), Fault> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| cannot_use(directory, error))
}

fn cannot_use(path: &Path, error: std::io::Error) -> Fault {
    DiskError::io("use", path)(error).fault()
}

/// Binds the socket: born 0600, because the umask forbids the rest (lesson L-35: a mode set afterwards
/// comes too late). The claim is held, so a socket that is there is nobody's.
///
/// # Errors
/// When it cannot be bound.
pub fn bind(layout: &Layout, _claim: &Claim) -> Result<UnixListener, Fault> {
    let path = layout.socket();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(cannot_use(&path, error));
        }
        _ => {}
    }
    // A socket is born 0777 less the umask (unix(7)); files made later are the owner's alone, too.
    rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    rustix::process::umask(Mode::from_raw_mode(0o077));
    bound.map_err(|error| cannot_use(&path, error))
}

/// Connections of the daemon's own user and of nobody else.
pub(crate) struct OwnersOnly {
    listener: UnixListener,
    audit: Audit,
    strangers: Strangers,
}

impl OwnersOnly {
    fn refuse(&mut self, peer: Option<Asker>) {
        let user = peer.map_or_else(|| "unknown".into(), |peer| peer.uid.to_string());
        if let Some(times) = self.strangers.refused(Instant::now()) {
            tracing::warn!(
                times,
                "refused connections of others, the last of user {user}"
            );
            self.audit.put(Entry {
                asker: peer,
                verb: Some("connect".into()),
                fault: Some(FaultCode::Refused),
                times: Some(times),
                ..Entry::at(host::utc_now())
            });
        }
    }
}

impl axum::serve::Listener for OwnersOnly {
    type Io = UnixStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (UnixStream, Peer) {
        let own = rustix::process::getuid().as_raw();
        loop {
            match self.listener.accept().await {
                Ok((connection, _)) => match connection.peer_cred() {
                    Ok(peer) if peer.uid() == own => {
                        return (connection, Peer(Strangers::asker(&peer)));
                    }
                    Ok(peer) => self.refuse(Some(Strangers::asker(&peer))),
                    Err(_) => self.refuse(None),
                },
                Err(error) => {
                    // Out of descriptors, for one: give others time to close theirs.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        let uid = rustix::process::getuid().as_raw();
        let pid = std::process::id().try_into().ok();
        Ok(Peer(Asker { uid, pid }))
    }
}

/// Serves until it is told to leave, a signal comes, or there has been nothing to do for long.
///
/// # Errors
/// When the store cannot be opened or read.
pub async fn serve(
    layout: Layout,
    config: Config,
    executable: PathBuf,
    listener: UnixListener,
) -> Result<(), Fault> {
    let idle_exit = config.idle_exit;
    let api = prepare(layout, config, executable).await?;
    let leaving = api.leaving.clone();
    tokio::spawn(leave_on_signal(leaving.clone()));
    tokio::spawn(leave_when_idle(api.clone(), idle_exit));
    let rounds = tokio::spawn(api.supervisor.clone().rounds());
    let supervisor = api.supervisor.clone();
    let until_told = leaving.clone();
    let audit = api.audit.clone();
    let listener = OwnersOnly {
        listener,
        audit: audit.clone(),
        strangers: Strangers::default(),
    };
    let router = api::router(api).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(async move { until_told.cancelled().await });
    let outcome = tokio::select! {
        outcome = serving => outcome.map_err(|error| Fault::from_error(FaultCode::Failed, &error)),
        () = async { leaving.cancelled().await; tokio::time::sleep(LEAVE_LIMIT).await } => Ok(()),
    };
    rounds.abort();
    // Nobody's machines: they would wait for a daemon that may never come.
    if tokio::time::timeout(LEAVE_LIMIT, supervisor.empty_pool())
        .await
        .is_err()
    {
        tracing::warn!("the next daemon removes what is left of the pool");
    }
    let services = supervisor.services;
    services.host_network.leave().await;
    services.feed.drained().await;
    audit.drained().await;
    tracing::info!("leaving");
    outcome
}

async fn prepare(layout: Layout, config: Config, executable: PathBuf) -> Result<Api, Fault> {
    // Before its directories go: a killed daemon may have left the guest of a probe.
    if let Err(error) = crate::vmm::probe::sweep(&layout) {
        tracing::warn!("cannot look for the guest of a broken-off probe: {error}");
    }
    clear_staging(&layout);
    let store = Store::open(&layout.database())?;
    let build = std::fs::metadata(&executable)
        .map(|found| build_of(&found))
        .unwrap_or_default();
    let feed = open_feed(&layout, &store).await?;
    let audit = Audit::of(&layout);
    let leaving = CancellationToken::new();
    let operations = Operations::journalled(store.clone(), leaving.clone());
    let heard = audit.clone();
    operations.on_end(Box::new(move |ended| heard.ended(ended)));
    let supervisor = Supervisor {
        services: Arc::new(Services::new(layout, config, store, feed, executable)),
        operations,
        clock: Clock::start(),
    };
    supervisor
        .services
        .host_network
        .found_installation()
        .await?;
    supervisor.adopt_all().await?;
    let version = Version {
        version: env!("CARGO_PKG_VERSION").into(),
        build,
        api: "v1".into(),
    };
    tracing::info!(
        version = version.version,
        pid = std::process::id(),
        "serving"
    );
    let api = Api {
        supervisor,
        audit,
        version: Arc::new(version),
        leaving,
        started_at: host::now().seconds,
        last_request: Arc::new(AtomicU64::new(0)),
    };
    api::go_on(&api).await?;
    Ok(api)
}

/// Up to which number events may have been given that were never written.
const EVENT_FLOOR: &str = "event_floor";

async fn open_feed(layout: &Layout, store: &Store) -> Result<Feed, Fault> {
    let floor = store.setting(EVENT_FLOOR).await?;
    let floor = floor.and_then(|floor| floor.parse().ok()).unwrap_or(0);
    let (store, runtime) = (store.clone(), tokio::runtime::Handle::current());
    Ok(Feed::open(&layout.event_log(), floor, move |floor: u64| {
        let store = store.clone();
        runtime.spawn(async move {
            if let Err(error) = store.put_setting(EVENT_FLOOR, floor.to_string()).await {
                tracing::error!("numbers of events may be given twice: {error}");
            }
        });
    }))
}

/// Whatever lies among the stagings was left by a daemon that was killed.
fn clear_staging(layout: &Layout) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the lock is held, so nobody builds anything there"
    )]
    match std::fs::remove_dir_all(layout.staging()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!("cannot clear {}: {error}", layout.staging().display());
        }
        _ => {}
    }
}

async fn leave_on_signal(leaving: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("cannot listen for signals");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    leaving.cancel();
}

async fn leave_when_idle(api: Api, idle_exit: Duration) {
    let mut every = tokio::time::interval(IDLE_LOOK);
    loop {
        every.tick().await;
        if api.supervisor.is_idle().is_err() {
            api.touch();
        } else if api.quiet_for() >= idle_exit {
            tracing::info!("nothing to do for {} s", idle_exit.as_secs());
            api.leaving.cancel();
            return;
        }
    }
}

#[cfg(test)]
mod t1;
