//! Directories, sockets and files: whose they are, and who may open them.

use super::proof::Looker;
use super::{check, from_fault};
use crate::layout::Layout;
use crate::services::{Services, blocking};
use banger_proto::fault::Fault;
use banger_proto::owner::daemon::{Check, Verdict};
use std::fs::symlink_metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What is so of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    uid: u32,
    mode: u32,
    directory: bool,
    socket: bool,
}

pub(super) async fn checks(services: &Services, looker: &Looker) -> Vec<Check> {
    let (layout, daemon) = (services.layout.clone(), looker.daemon.is_some());
    let found = blocking(move || Ok::<_, Fault>(all(&layout, daemon))).await;
    found.unwrap_or_else(|fault| vec![from_fault("places", Verdict::Fail, fault)])
}

fn all(layout: &Layout, daemon: bool) -> Vec<Check> {
    let own = rustix::process::getuid().as_raw();
    let mut checks = vec![directories(layout, own)];
    checks.extend(daemon.then(|| configuration(&layout.config_file())));
    checks.push(socket(layout, own, daemon));
    checks
}

fn look(path: &Path) -> Option<Found> {
    let found = symlink_metadata(path).ok()?;
    Some(Found {
        uid: found.uid(),
        mode: found.mode() & 0o7777,
        directory: found.file_type().is_dir(),
        socket: found.file_type().is_socket(),
    })
}

/// Those of ours that are open to others or somebody else's: with what is wrong.
fn directories(layout: &Layout, own: u32) -> Check {
    let paths = ours(layout);
    let wrong = paths.iter().filter_map(|path| {
        let why = wrong(look(path)?, own)?;
        Some(format!("{} {why}", path.display()))
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        let found = format!(
            "{} and the others are yours, and closed to others",
            layout.state.display()
        );
        return check("directories", Verdict::Pass, found);
    }
    Check {
        remedy: Some("`banger doctor --fix` closes those that are yours".into()),
        ..check("directories", Verdict::Fail, wrong.join("; "))
    }
}

/// The directories that are to be closed.
pub(super) fn ours(layout: &Layout) -> Vec<PathBuf> {
    vec![
        layout.state.clone(),
        layout.sandboxes(),
        layout.images(),
        layout.kernels(),
        layout.cache.clone(),
        layout.runtime.clone(),
    ]
}

/// What is wrong with a directory of ours.
fn wrong(found: Found, own: u32) -> Option<String> {
    if !found.directory {
        // A link that its owner has put there: what it leads to is the owner's affair.
        return (found.uid != own).then(|| format!("belongs to user {}", found.uid));
    }
    if found.uid != own {
        return Some(format!("belongs to user {}, not to {own}", found.uid));
    }
    is_open(found.mode).then(|| format!("is open to others (mode {:04o})", found.mode))
}

/// Whether anybody but its owner may do anything with it.
pub(super) const fn is_open(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// Whether others can change what the owner has configured.
pub(super) fn configuration(path: &Path) -> Check {
    const NAME: &str = "configuration";
    match look(path) {
        None => check(
            NAME,
            Verdict::Pass,
            format!("none at {}: all defaults", path.display()),
        ),
        Some(found) if found.mode & 0o022 != 0 => Check {
            remedy: Some(format!("`chmod go-w {}`", path.display())),
            ..check(
                NAME,
                Verdict::Warn,
                format!("others can change {}", path.display()),
            )
        },
        Some(_) => check(NAME, Verdict::Pass, path.display().to_string()),
    }
}

/// The daemon's socket, as it should be while a daemon serves and while none does.
fn socket(layout: &Layout, own: u32, daemon: bool) -> Check {
    const NAME: &str = "socket";
    let path = layout.socket();
    let shown = path.display();
    match look(&path) {
        None if !daemon => check(
            NAME,
            Verdict::Pass,
            format!("{shown} is made with the daemon"),
        ),
        None => Check {
            remedy: Some("`banger daemon stop`: the next one makes it anew".into()),
            ..check(
                NAME,
                Verdict::Fail,
                format!("{shown} is gone, though a daemon serves"),
            )
        },
        Some(found) if !found.socket || found.uid != own => Check {
            remedy: Some(format!("remove {shown}")),
            ..check(
                NAME,
                Verdict::Fail,
                format!("{shown} is no socket of yours"),
            )
        },
        Some(found) if is_open(found.mode) => Check {
            remedy: Some("`banger doctor --fix` closes it".into()),
            ..check(
                NAME,
                Verdict::Fail,
                format!("{shown} is open to others (mode {:04o})", found.mode),
            )
        },
        Some(_) if !daemon && UnixStream::connect(&path).is_err() => Check {
            remedy: Some("the next daemon removes it; `banger doctor --fix` does so now".into()),
            ..check(
                NAME,
                Verdict::Warn,
                format!("{shown}: nobody listens there"),
            )
        },
        Some(found) => check(
            NAME,
            Verdict::Pass,
            format!("{shown}, mode {:04o}", found.mode),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(uid: u32, mode: u32, directory: bool) -> Found {
        Found {
            uid,
            mode,
            directory,
            socket: false,
        }
    }

    #[test]
    fn a_directory_that_is_open_or_anothers_is_told() {
        assert_eq!(wrong(found(7, 0o700, true), 7), None);
        assert!(wrong(found(7, 0o750, true), 7).is_some_and(|why| why.contains("0750")));
        assert!(wrong(found(7, 0o701, true), 7).is_some());
        assert!(wrong(found(8, 0o700, true), 7).is_some_and(|why| why.contains("user 8")));
        assert_eq!(wrong(found(7, 0o777, false), 7), None);
    }

    mod t1 {
        use super::*;
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::net::UnixListener;

        fn layout(directory: &Path) -> Layout {
            Layout {
                config: directory.join("c"),
                state: directory.join("s"),
                cache: directory.join("k"),
                runtime: directory.join("r"),
            }
        }

        #[test]
        fn a_socket_is_judged_by_who_listens_and_who_may() {
            let directory = tempfile::tempdir().expect("a directory");
            let layout = layout(directory.path());
            let own = rustix::process::getuid().as_raw();
            let verdict = |daemon| socket(&layout, own, daemon).verdict;
            std::fs::create_dir(&layout.runtime).expect("made");
            assert_eq!(
                (verdict(false), verdict(true)),
                (Verdict::Pass, Verdict::Fail)
            );
            let listener = UnixListener::bind(layout.socket()).expect("bound");
            let mode = |mode| {
                let mode = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(layout.socket(), mode).expect("set");
            };
            mode(0o600);
            assert_eq!(verdict(true), Verdict::Pass);
            mode(0o666);
            assert_eq!(verdict(true), Verdict::Fail);
            mode(0o600);
            drop(listener);
            assert_eq!(verdict(false), Verdict::Warn);
            std::fs::remove_file(layout.socket()).expect("removed");
            std::fs::write(layout.socket(), "").expect("written");
            assert_eq!(verdict(false), Verdict::Fail);
        }
    }
}
