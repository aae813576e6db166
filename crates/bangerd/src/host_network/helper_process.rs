//! Who does what needs root: in standalone mode a helper that the daemon starts itself, if it is root.

use super::host::{Host, HostError};
use super::root_client::RootClient;
use crate::layout::Layout;
use crate::wait::{Every, Look, Until, wait};
use banger_model::host_names::{BridgeName, Installation};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Answer, OpId, Verb};
use futures_util::future::{BoxFuture, FutureExt};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// Where the helper looks for programs (`banger_linux::programs`).
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// The device that TAPs are made with.
const TUN: &str = "/dev/net/tun";
/// The helper's program.
const PROGRAM: &str = "banger-root";
/// How long it may take to answer for the first time.
const LIMIT: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const EVERY: Every = Every {
    interval: Duration::from_millis(5),
    limit: LIMIT,
};

/// What the helper needs of the host, and what to do where it is missing.
fn missing(exists: impl Fn(&Path) -> bool) -> Option<(&'static str, &'static str)> {
    let is_there = |name: &str| {
        let mut places = DIRECTORIES.iter().map(Path::new);
        places.any(|directory| exists(&directory.join(name)))
    };
    if !is_there("nft") {
        return Some((
            "bridged networking needs the program nft",
            "install the package nftables",
        ));
    }
    if !exists(Path::new(TUN)) {
        return Some((
            "bridged networking needs the device /dev/net/tun",
            "load the module tun, or give this container the device",
        ));
    }
    None
}

/// Who does what needs root.
#[derive(Debug)]
pub enum Helper {
    /// Somebody who is there already.
    There(Arc<dyn Host>),
    /// A process of our own, started when it is needed first.
    Own(Arc<OwnHelper>),
    /// Nobody, and why.
    Nobody(Fault),
}

/// A helper that this daemon starts.
#[derive(Debug)]
pub struct OwnHelper {
    program: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    running: tokio::sync::Mutex<Option<Running>>,
}

/// The helper's process.
#[derive(Debug)]
struct Running {
    child: Child,
    /// The helper ends when its standard input does, so with the daemon, however that ends. Kept apart
    /// from the child: waiting for that closes it.
    _input: Option<ChildStdin>,
}

impl Helper {
    /// The helper of standalone mode.
    #[must_use]
    pub fn standalone(layout: &Layout, configured: Option<&Path>, executable: &Path) -> Self {
        let nobody = |message: String, remedy: &str| {
            Self::Nobody(Fault::new(FaultCode::Unavailable, message).with_remedy(remedy))
        };
        // What a program that was chosen needs is its own affair: it may have file capabilities.
        if configured.is_none() && !rustix::process::geteuid().is_root() {
            let message = "bridged networking needs root, and the daemon runs without it";
            return nobody(message.into(), "leave out --network, or run banger as root");
        }
        let beside = executable.with_file_name(PROGRAM);
        let program = configured.map_or(beside, Path::to_owned);
        if !program.exists() {
            let message = format!("there is no root helper at {}", program.display());
            return nobody(
                message,
                "build it with `cargo xtask build`, or set root_helper",
            );
        }
        if configured.is_none()
            && let Some((missing, remedy)) = missing(Path::exists)
        {
            return nobody(format!("{missing}, which is not there"), remedy);
        }
        Self::Own(Arc::new(OwnHelper {
            program,
            socket: layout.root_socket(),
            log: layout.root_log(),
            running: tokio::sync::Mutex::default(),
        }))
    }

    /// Its program, where it is a process of ours.
    pub(super) fn program(&self) -> Option<&Path> {
        match self {
            Self::Own(own) => Some(&own.program),
            Self::There(_) | Self::Nobody(_) => None,
        }
    }

    /// Whether there is one.
    pub(super) fn availability(&self) -> Result<(), Fault> {
        match self {
            Self::There(_) | Self::Own(_) => Ok(()),
            Self::Nobody(fault) => Err(fault.clone()),
        }
    }

    /// Gives it, started first if it is to be.
    pub(super) async fn host(
        &self,
        bridge: &BridgeName,
        installation: Installation,
        op: OpId,
    ) -> Result<Arc<dyn Host>, Fault> {
        match self {
            Self::There(host) => Ok(Arc::clone(host)),
            Self::Own(own) => {
                own.start(bridge, installation, op).await?;
                Ok(Arc::new(StartedAgain {
                    client: RootClient::new(&own.socket),
                    own: Arc::clone(own),
                    bridge: bridge.clone(),
                    installation,
                }))
            }
            Self::Nobody(fault) => Err(fault.clone()),
        }
    }
}

/// The helper of this daemon, which is started again when it is found to have ended.
#[derive(Debug)]
struct StartedAgain {
    own: Arc<OwnHelper>,
    client: RootClient,
    bridge: BridgeName,
    installation: Installation,
}

impl Host for StartedAgain {
    fn ask(&self, op: OpId, verb: Verb) -> BoxFuture<'_, Result<Answer, HostError>> {
        async move {
            match self.client.ask(op, verb.clone()).await {
                Err(HostError::Unreachable(error)) => {
                    tracing::warn!("the root helper is started again, for it is gone: {error}");
                    let started = self.own.start(&self.bridge, self.installation, op).await;
                    started.map_err(HostError::Failed)?;
                    // How far the other came is not known, and does not matter: verbs are idempotent.
                    self.client.ask(op, verb).await
                }
                answered => answered,
            }
        }
        .boxed()
    }
}

impl OwnHelper {
    /// Starts it, if it does not run; returns when it answers.
    async fn start(
        &self,
        bridge: &BridgeName,
        installation: Installation,
        op: OpId,
    ) -> Result<(), Fault> {
        let cannot = |error: &dyn std::fmt::Display| {
            let program = self.program.display();
            Fault::new(
                FaultCode::Unavailable,
                format!("cannot start {program}: {error}"),
            )
            .with_remedy(format!("see {}", self.log.display()))
        };
        let mut running = self.running.lock().await;
        if let Some(there) = running.as_mut() {
            let answered = self.until_it_answers(there, op).await;
            // One that is about to end when it is looked at has ended as well.
            if answered.is_ok() || matches!(there.child.try_wait(), Ok(None)) {
                return answered.map_err(|why| cannot(&why));
            }
        }
        // Held by nobody: its helper has ended, here or with the daemon that started it.
        let _not_there = std::fs::remove_file(&self.socket);
        let started = self.spawn(bridge, installation).map_err(|e| cannot(&e))?;
        let answered = self.until_it_answers(running.insert(started), op).await;
        answered.map_err(|why| cannot(&why))
    }

    fn spawn(&self, bridge: &BridgeName, installation: Installation) -> std::io::Result<Running> {
        let mut options = OpenOptions::new();
        let log = options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)?;
        let mut child = Command::new(&self.program)
            .env_clear()
            .current_dir("/")
            .args(["--owner", &rustix::process::getuid().as_raw().to_string()])
            .args(["--bridge", bridge.as_str()])
            .args(["--installation", &installation.to_string()])
            .arg("--until-stdin-ends")
            .arg("--socket")
            .arg(&self.socket)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Running {
            _input: child.stdin.take(),
            child,
        })
    }

    async fn until_it_answers(&self, running: &mut Running, op: OpId) -> Result<(), String> {
        let client = RootClient::new(&self.socket);
        let answers = wait("asking it", EVERY, Until::after(LIMIT), || async {
            match client.ask(op, Verb::Ping {}).await {
                Ok(Answer::Pong {}) => Look::There(()),
                Err(error @ HostError::Unreachable(_)) => Look::NotYet(error.to_string()),
                Ok(other) => Look::Never(format!("it answered {other:?}")),
                Err(error) => Look::Never(error.to_string()),
            }
        });
        tokio::select! {
            answered = answers => answered.map_err(|error| error.to_string()),
            ended = running.child.wait() => Err(match ended {
                Ok(status) => format!("it ended: {status}"),
                Err(error) => format!("it ended: {error}"),
            }),
        }
    }
}

#[cfg(test)]
mod t1;
