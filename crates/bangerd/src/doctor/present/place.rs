//! Which place of ours a path is.

use crate::layout::Layout;
use std::path::Path;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Place {
    /// The state directory of a machine, by its id as it is written there.
    Sandbox(String),
    /// The runtime directory of a machine, by the first digits of its id.
    Runtime(String),
    /// Something that is being built.
    Staging(String),
    /// The daemon's socket.
    DaemonSocket,
    /// The helper's socket.
    RootSocket,
    /// What stays while there is an installation.
    Kept,
    /// What nothing of banger's makes.
    Stray,
}

/// What is kept directly in the state directory: files, those that SQLite puts beside the database, and
/// the predecessors of logs.
const STATE: [&str; 18] = [
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "state.db-journal",
    "state.reserve",
    "export.key",
    "export.unfinished",
    "images",
    "kernels",
    "sandboxes",
    "staging",
    "bangerd.log",
    "bangerd.log.1",
    "banger-root.log",
    "audit.jsonl",
    "audit.jsonl.1",
    "events.jsonl",
    "events.jsonl.1",
];

impl Place {
    /// The place of a path; none for what is not ours.
    pub(in super::super) fn of(layout: &Layout, path: &Path) -> Option<Self> {
        let below = |directory: &Path| {
            let rest = path.strip_prefix(directory).ok()?;
            let mut parts = rest.components();
            let mut next = || Some(parts.next()?.as_os_str().to_string_lossy().into_owned());
            Some((next(), next()))
        };
        let place = if let Some((first, second)) = below(&layout.runtime) {
            Self::in_runtime(first.as_deref(), second)
        } else if let Some((first, second)) = below(&layout.state) {
            Self::in_state(layout, first.as_deref(), second)
        } else if let Some((first, _)) = below(&layout.cache) {
            match first.as_deref() {
                None | Some("initramfs" | "probe.json" | "templates") => Self::Kept,
                Some(_) => Self::Stray,
            }
        } else {
            // What is in the directory of the configuration is its owner's.
            below(&layout.config).map(|_| Self::Kept)?
        };
        Some(place)
    }

    fn in_runtime(first: Option<&str>, second: Option<String>) -> Self {
        match (first, second) {
            (Some("vm"), Some(short)) => Self::Runtime(short),
            (None, _) | (Some("vm" | "bangerd.lock"), None) => Self::Kept,
            (Some("bangerd.sock"), None) => Self::DaemonSocket,
            (Some("banger-root.sock"), None) => Self::RootSocket,
            _ => Self::Stray,
        }
    }

    fn in_state(layout: &Layout, first: Option<&str>, second: Option<String>) -> Self {
        let baseline = layout.baseline();
        match (first, second) {
            (Some("sandboxes"), Some(id)) => Self::Sandbox(id),
            (Some("staging"), Some(what)) => Self::Staging(what),
            (None, _) => Self::Kept,
            (Some(name), _) if STATE.contains(&name) => Self::Kept,
            (Some(name), _) if baseline.ends_with(name) => Self::Kept,
            _ => Self::Stray,
        }
    }
}

/// Places that a text names: an argument of a command may have a path anywhere in it.
pub(super) fn named(layout: &Layout, text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for directory in [&layout.state, &layout.runtime, &layout.cache] {
        let Some(directory) = directory.to_str() else {
            continue;
        };
        for (at, _) in text.match_indices(directory) {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find([',', '"', '\'', '\0', ' ', '\n']);
            let path = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            places.extend(Place::of(layout, Path::new(path)));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::SandboxPaths;
    use banger_model::SandboxId;

    fn layout() -> Layout {
        Layout {
            config: "/c".into(),
            state: "/s/banger".into(),
            cache: "/k".into(),
            runtime: "/r".into(),
        }
    }

    #[test]
    fn everything_that_the_layout_makes_has_its_place() {
        let layout = layout();
        let id = SandboxId::from_random([7; 16]);
        let paths = SandboxPaths::of(&layout, id);
        let tag = "before".parse().expect("a tag");
        let of = |path: &Path| Place::of(&layout, path).expect("ours");
        let (sandbox, runtime) = (Place::Sandbox(id.to_string()), Place::Runtime(id.short()));
        for path in [
            paths.system_disk(),
            paths.work_disk(),
            paths.console_log(),
            paths.console_cut(),
            paths.vmm_log(),
            paths.snapshots(),
            paths.snapshot(&tag),
            paths.checkpoints(),
            paths.resume(),
            paths.origin(),
            paths.restored(),
        ] {
            assert_eq!(of(&path), sandbox);
        }
        for path in [
            paths.vmm_socket(),
            paths.agent_socket(),
            paths.carrier_socket(),
            paths.runtime.clone(),
        ] {
            assert_eq!(of(&path), runtime);
        }
        for path in [
            layout.config_file(),
            layout.database(),
            layout.images(),
            layout.kernels(),
            layout.sandboxes(),
            layout.sandbox_runtimes(),
            layout.initramfs_cache(),
            layout.probe_cache(),
            layout.templates(),
            layout.template("key"),
            layout.staging(),
            layout.root_log(),
            layout.lock_file(),
            layout.daemon_log(),
            layout.audit_log(),
            layout.event_log(),
            layout.baseline(),
            layout.image(&"debian".parse().expect("a name")),
            layout.kernel(&"default".parse().expect("a name")),
        ] {
            assert_eq!(of(&path), Place::Kept, "{}", path.display());
        }
        assert_eq!(of(&layout.socket()), Place::DaemonSocket);
        assert_eq!(of(&layout.root_socket()), Place::RootSocket);
        assert_eq!(
            of(&layout.staging().join("probe-1")),
            Place::Staging("probe-1".into())
        );
        for path in ["/s/banger/x", "/r/x", "/k/x", "/r/bangerd.sock/x"] {
            assert_eq!(of(Path::new(path)), Place::Stray, "{path}");
        }
        for path in ["/", "/s", "/s/bangers/x", "/elsewhere"] {
            assert_eq!(Place::of(&layout, Path::new(path)), None, "{path}");
        }
    }

    /// A path that is added to the layout has to be thought of here: its function is not in the test above.
    #[test]
    fn no_path_of_the_layout_is_forgotten() {
        let functions = include_str!("../../layout.rs")
            .matches("-> PathBuf")
            .count();
        assert_eq!(
            functions, 38,
            "add the new path to `Place` and to the test above"
        );
    }

    #[test]
    fn a_path_is_found_anywhere_in_an_argument() {
        let found = named(&layout(), "id=x,path=/r/vm/01234567/qmp.sock,server=on");
        assert_eq!(found, [Place::Runtime("01234567".into())]);
        let found = named(&layout(), "file=/s/banger/sandboxes/ab/work.ext4");
        assert_eq!(found, [Place::Sandbox("ab".into())]);
        assert!(named(&layout(), "--nothing /srv/rr").is_empty());
    }
}
