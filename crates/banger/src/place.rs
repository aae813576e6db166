//! Where the daemon's socket is, and which program is the daemon.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Path of the daemon's socket, in place of the standalone one. No daemon is started for it then,
/// and its build is not compared.
pub const SOCKET_VARIABLE: &str = "BANGER_SOCKET";
/// The daemon's program, in place of the one beside `banger`.
pub const DAEMON_VARIABLE: &str = "BANGER_DAEMON";

/// What the environment says about places; taken once at start.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `BANGER_SOCKET`.
    pub socket: Option<OsString>,
    /// `BANGER_DAEMON`.
    pub daemon: Option<OsString>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: Option<OsString>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// Path of the running program.
    pub executable: Option<PathBuf>,
    /// Effective user id.
    pub uid: u32,
}

impl Surroundings {
    /// Those of this process. A variable that is empty counts as absent (XDG base directories).
    #[must_use]
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            socket: variable(SOCKET_VARIABLE),
            daemon: variable(DAEMON_VARIABLE),
            runtime: variable("XDG_RUNTIME_DIR"),
            path: variable("PATH"),
            executable: std::env::current_exe().ok(),
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    /// The standalone runtime directory: `$XDG_RUNTIME_DIR/banger` where that is an absolute path,
    /// else `/tmp/banger-runtime-<uid>`.
    #[must_use]
    pub fn runtime_directory(&self) -> PathBuf {
        match self.runtime.as_deref().map(Path::new) {
            Some(xdg) if xdg.is_absolute() => xdg.join("banger"),
            _ => PathBuf::from(format!("/tmp/banger-runtime-{}", self.uid)),
        }
    }

    /// Where the socket is.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.socket {
            Some(path) => Place::Given(path.into()),
            None => Place::Standalone(self.runtime_directory()),
        }
    }

    /// The daemon's program: what the environment says, else the file beside our own, else the
    /// first of that name in `PATH`.
    #[must_use]
    pub fn daemon_program(&self) -> Option<PathBuf> {
        if let Some(given) = &self.daemon {
            return Some(given.into());
        }
        let beside = self
            .executable
            .as_deref()
            .and_then(Path::parent)
            .map(|directory| directory.join("bangerd"));
        let in_path = self.path.iter().flat_map(std::env::split_paths);
        beside
            .into_iter()
            .chain(in_path.map(|directory| directory.join("bangerd")))
            .find(|file| file.is_file())
    }
}

/// Where a socket is, and how far it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The user named the socket.
    Given(PathBuf),
    /// In the standalone runtime directory, which is verified before it is trusted.
    Standalone(PathBuf),
}

impl Place {
    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        match self {
            Self::Given(socket) => socket.clone(),
            Self::Standalone(directory) => directory.join("bangerd.sock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(runtime: Option<&str>) -> Surroundings {
        Surroundings {
            runtime: runtime.map(Into::into),
            uid: 1000,
            ..Surroundings::default()
        }
    }

    #[test]
    fn the_runtime_directory_is_xdgs_or_one_of_the_users_own_in_tmp() {
        let of = |runtime| surroundings(runtime).place().socket();
        assert_eq!(
            of(Some("/run/user/1000")),
            Path::new("/run/user/1000/banger/bangerd.sock")
        );
        for unusable in [None, Some("relative/path")] {
            assert_eq!(
                of(unusable),
                Path::new("/tmp/banger-runtime-1000/bangerd.sock")
            );
        }
    }

    #[test]
    fn a_given_socket_wins() {
        let given = Surroundings {
            socket: Some("/x/y.sock".into()),
            ..surroundings(Some("/run"))
        };
        assert_eq!(given.place(), Place::Given("/x/y.sock".into()));
    }

    #[test]
    fn the_daemon_is_looked_for_beside_the_program_before_the_path() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(&path, "").expect("file");
            path
        };
        let in_path = file("path/bangerd");
        let mut all = Surroundings {
            executable: Some(directory.path().join("bin/banger")),
            path: in_path.parent().map(Into::into),
            ..Surroundings::default()
        };
        assert_eq!(all.daemon_program(), Some(in_path));
        let beside = file("bin/bangerd");
        assert_eq!(all.daemon_program(), Some(beside));
        all.daemon = Some("/elsewhere".into());
        assert_eq!(all.daemon_program(), Some("/elsewhere".into()));
        assert_eq!(Surroundings::default().daemon_program(), None);
    }
}
