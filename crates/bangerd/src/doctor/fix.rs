//! `banger doctor --fix`: what can be repaired without losing anything, each by the code that does it
//! anyway, and told.
//!
//! | what is wrong | what is done |
//! |---|---|
//! | a directory or the socket is open to others | it is closed |
//! | a machine needs repair | as `banger repair` does |
//! | a directory of a machine that no record knows | as `banger repair` does: one with a work disk stays |
//! | sockets and runtime directories that nobody uses | they are removed |
//! | results of probe boots that no longer hold | they are forgotten; the next start probes again |
//! | links and rules of ours that no machine needs | the helper sweeps them |
//!
//! What may hold somebody's data, runs, or was not made by banger is never touched.

use super::proof::{Looker, at_once};
use super::{places, records};
use crate::operation::new_id;
use crate::progress::Progress;
use crate::sandbox::Command;
use crate::supervise::Supervisor;
use banger_model::SandboxState;
use banger_proto::fault::Fault;
use banger_proto::owner::doctor::{Fixed, Kind, Leftover, Repair};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Repairs, then checks again.
///
/// # Errors
/// When the database cannot be read.
pub async fn fix(supervisor: &Supervisor) -> Result<Fixed, Fault> {
    let mut repairs = Vec::new();
    close(supervisor, &mut repairs);
    machines(supervisor, &mut repairs).await;
    strays(supervisor, &mut repairs).await;
    probes(supervisor, &mut repairs);
    let looker = Looker::daemon();
    let proof = at_once(&supervisor.services, &looker).await?;
    remove(&proof.left, &mut repairs);
    sweep(supervisor, &proof.left, &mut repairs).await;
    Ok(Fixed {
        repairs,
        checks: super::examine(&supervisor.services, &looker).await,
    })
}

fn told(repairs: &mut Vec<Repair>, did: impl Into<String>, failed: Option<impl ToString>) {
    let (did, failed) = (did.into(), failed.map(|why| why.to_string()));
    match &failed {
        None => tracing::info!("doctor: {did}"),
        Some(why) => tracing::warn!("doctor: not {did}: {why}"),
    }
    repairs.push(Repair { did, failed });
}

fn close(supervisor: &Supervisor, repairs: &mut Vec<Repair>) {
    let layout = &supervisor.services.layout;
    let own = rustix::process::getuid().as_raw();
    let directories = places::ours(layout).into_iter().map(|path| (path, 0o700));
    for (path, mode) in directories.chain([(layout.socket(), 0o600)]) {
        let found = std::fs::symlink_metadata(&path);
        let is_open = found.is_ok_and(|found| {
            let kind = found.file_type();
            found.uid() == own && !kind.is_symlink() && places::is_open(found.mode())
        });
        if is_open {
            let closed = std::fs::set_permissions(&path, Permissions::from_mode(mode));
            told(
                repairs,
                format!("closed {} to others", path.display()),
                closed.err(),
            );
        }
    }
}

async fn machines(supervisor: &Supervisor, repairs: &mut Vec<Repair>) {
    for sandbox in supervisor.services.registry.all() {
        let record = sandbox.record();
        if record.state == SandboxState::NeedsRepair {
            let repaired = sandbox
                .request(|reply| Command::Repair(Progress::silent(), reply))
                .await;
            let still = repaired
                .as_ref()
                .is_ok_and(|record| record.state == SandboxState::NeedsRepair);
            let failed = repaired.err().map(|fault| fault.message);
            let failed =
                failed.or(still.then(|| "it still needs repair: see `banger vm show`".into()));
            told(
                repairs,
                format!("repaired the machine {}", record.name),
                failed,
            );
        }
    }
}

async fn strays(supervisor: &Supervisor, repairs: &mut Vec<Repair>) {
    match supervisor.clear_strays().await {
        Err(fault) => told(repairs, "looked for directories of no machine", Some(fault)),
        Ok(strays) => {
            for stray in strays.removed {
                told(
                    repairs,
                    format!("removed {}: {}", stray.path, stray.what),
                    None::<String>,
                );
            }
        }
    }
}

/// Results that do not hold any more are kept until the next boot with the same key; that they are in the
/// way of nobody makes it safe to forget them.
fn probes(supervisor: &Supervisor, repairs: &mut Vec<Repair>) {
    let path = supervisor.services.layout.probe_cache();
    if crate::vmm::probe::is_stale(&path) {
        let removed = std::fs::remove_file(&path);
        told(
            repairs,
            format!("forgot old results of probe boots in {}", path.display()),
            removed.err(),
        );
    }
}

fn remove(left: &[Leftover], repairs: &mut Vec<Repair>) {
    for one in left.iter().filter(|one| records::is_removable(one)) {
        let path = Path::new(&one.thing.name);
        let removed = if path.is_dir() {
            #[expect(
                clippy::disallowed_methods,
                reason = "a runtime directory that nobody uses: a proof said so"
            )]
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        };
        told(
            repairs,
            format!("removed {}: it {}", path.display(), one.why),
            removed.err(),
        );
    }
}

async fn sweep(supervisor: &Supervisor, left: &[Leftover], repairs: &mut Vec<Repair>) {
    let of_host = |one: &&Leftover| {
        matches!(one.thing.kind, Kind::Link | Kind::Rules) && one.belongs_to == "daemon"
    };
    let names: Vec<_> = left
        .iter()
        .filter(of_host)
        .map(|one| one.thing.name.clone())
        .collect();
    if !names.is_empty() {
        let swept = supervisor.services.host_network.sweep(new_id()).await;
        told(
            repairs,
            format!("swept from the host: {}", names.join(", ")),
            swept.err(),
        );
    }
}
