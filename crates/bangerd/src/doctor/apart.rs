//! Looking without a daemon: as a program of its own, which ends when it has looked. It starts no
//! daemon, and writes nothing where banger keeps anything but the baseline that it is asked for: the
//! database is looked at in a copy.

use super::{Check, Verdict, check, from_fault, proof};
use crate::config::Config;
use crate::events::Feed;
use crate::layout::Layout;
use crate::runtime_dir;
use crate::services::Services;
use crate::store::Store;
use banger_proto::fault::{Fault, FaultCode};
use proof::Looker;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the program is asked for by its first argument.
pub const VERBS: [&str; 3] = ["doctor", "prove", "baseline"];
/// `prove` with this argument lists what is not banger's, too.
pub const ALL: &str = "--all";
/// What the name of its directory begins with; its pid follows.
pub(super) const SCRATCH: &str = "banger-doctor-";

/// Does what a verb says and gives what it found, as JSON.
///
/// # Errors
/// When the database cannot be read, for a proof; the checks tell that instead.
pub fn run(layout: Layout, executable: PathBuf, verb: &str, all: bool) -> Result<String, Fault> {
    let failed = |error: std::io::Error| Fault::from_error(FaultCode::Failed, &error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(failed)?;
    let scratch = Scratch::make().map_err(failed)?;
    let found = runtime.block_on(look(layout, executable, &scratch, verb, all));
    // What hangs is not waited for: it had its limit.
    runtime.shutdown_background();
    found
}

async fn look(
    layout: Layout,
    executable: PathBuf,
    scratch: &Scratch,
    verb: &str,
    all: bool,
) -> Result<String, Fault> {
    let daemon = who_serves(&layout);
    let (config, configuration) = configuration(&layout)?;
    let opened = match daemon {
        Some(_) => Ok(None),
        None => copy(&layout, scratch),
    };
    // Without the database that there is everything else is looked at with an empty one.
    let (store, state) = match opened {
        Ok(Some(store)) => (store, Ok(())),
        Ok(None) => (Store::open(&scratch.path.join("empty.db"))?, Ok(())),
        Err(fault) => (Store::open(&scratch.path.join("empty.db"))?, Err(fault)),
    };
    let feed = Feed::open(&layout.event_log(), 0, |_| {});
    let services = Services::apart(layout, &scratch.layout(), config, store, feed, executable);
    let services = Arc::new(services);
    let looker = Looker {
        daemon,
        own: vec![scratch.path.clone()],
    };
    let json = |found: Result<serde_json::Value, serde_json::Error>| {
        let text = found.map(|value| value.to_string());
        text.map_err(|error| Fault::from_error(FaultCode::Failed, &error))
    };
    let known = match (&state, daemon) {
        (Err(fault), _) => Err(fault.clone()),
        (Ok(()), Some(pid)) => Err(silent(pid)),
        (Ok(()), None) => Ok(()),
    };
    match verb {
        "prove" => {
            known?;
            json(serde_json::to_value(
                proof::prove(&services, &looker, all).await?,
            ))
        }
        "baseline" => {
            known?;
            json(serde_json::to_value(
                proof::record(&services, &looker).await?,
            ))
        }
        _ => {
            let mut checks = vec![configuration];
            checks.push(match daemon {
                Some(pid) => from_fault("daemon", Verdict::Fail, silent(pid)),
                None => check(
                    "daemon",
                    Verdict::Pass,
                    "none runs: it is started when it is needed",
                ),
            });
            checks.extend(
                state
                    .err()
                    .map(|fault| from_fault("state", Verdict::Fail, fault)),
            );
            let broken = checks.len() > 2;
            let mut others = super::examine(&services, &looker).await;
            // The empty one that stood in for it says nothing.
            others.retain(|check| {
                !broken || !["state", "leftovers", "machines"].contains(&check.name.as_str())
            });
            checks.extend(others);
            json(serde_json::to_value(checks))
        }
    }
}

fn silent(pid: u32) -> Fault {
    let message =
        format!("process {pid} holds the state directory as its daemon, and does not answer");
    Fault::new(FaultCode::Unavailable, message).with_remedy(format!(
        "wait if it is starting; else see bangerd.log, and end it: `kill {pid}`"
    ))
}

fn configuration(layout: &Layout) -> Result<(Config, Check), Fault> {
    let path = layout.config_file();
    Ok(match Config::load(&path) {
        Ok(config) => (config, super::places::configuration(&path)),
        Err(fault) => (
            Config::builtin()?,
            from_fault("configuration", Verdict::Fail, fault),
        ),
    })
}

/// Whether a daemon holds the lock of the layout, and its pid.
fn who_serves(layout: &Layout) -> Option<u32> {
    let path = layout.lock_file();
    let file = File::open(&path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => Some(
            std::fs::read_to_string(path)
                .ok()?
                .trim()
                .parse()
                .unwrap_or(0),
        ),
    }
}

/// The database in a copy, with what was written last; none where there is no database.
fn copy(layout: &Layout, scratch: &Scratch) -> Result<Option<Store>, Fault> {
    let from = layout.database();
    let to = scratch.path.join("state.db");
    let with = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    match std::fs::copy(&from, &to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        copied => copied.map_err(|error| unreadable(&from, &error))?,
    };
    match std::fs::copy(with(&from, "-wal"), with(&to, "-wal")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        copied => drop(copied.map_err(|error| unreadable(&from, &error))?),
    }
    Store::open(&to).map(Some).map_err(|error| {
        let fault = Fault::from(error);
        let named =
            |text: &str| text.replace(&to.display().to_string(), &from.display().to_string());
        Fault {
            message: named(&fault.message),
            remedy: fault.remedy.as_deref().map(named),
            ..fault
        }
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        FaultCode::Failed,
        format!("cannot read the database {}: {error}", path.display()),
    )
    .with_remedy("look whether it belongs to you, and whether the disk is failing")
}

/// A directory of this look's own, gone with it.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn make() -> std::io::Result<Self> {
        let random: [u8; 6] = crate::host::random().map_err(std::io::Error::other)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("{SCRATCH}{}-{name}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let made = Self { path };
        runtime_dir::prepare(&made.path, rustix::process::getuid().as_raw())
            .map_err(std::io::Error::other)?;
        Ok(made)
    }

    /// Where a helper that is started for the look has its socket and its log.
    fn layout(&self) -> Layout {
        Layout {
            config: self.path.clone(),
            state: self.path.clone(),
            cache: self.path.clone(),
            runtime: self.path.clone(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a directory that was made for this look, under a random name"
        )]
        let _gone_already = std::fs::remove_dir_all(&self.path);
    }
}
