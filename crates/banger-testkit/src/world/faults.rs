//! Asking the daemon of a world for faults; see `bangerd::fault_points`.

use super::World;
use bangerd::fault_points::DIRECTORY;
use std::fs;
use std::path::PathBuf;

impl World {
    /// The same world, whose daemon has its fault points.
    ///
    /// # Panics
    /// When a daemon without them serves it, or the program was not built.
    #[must_use]
    pub fn with_faults(mut self) -> Self {
        assert_eq!(self.daemon(), None, "it has no fault points");
        let program = self.binaries.join("bangerd-with-faults");
        assert!(
            program.exists(),
            "build first: `cargo build --workspace --bins`"
        );
        let directory = self.path("faults");
        fs::create_dir(&directory).expect("made");
        self.environment.push(("BANGER_DAEMON".into(), program));
        self.environment.push((DIRECTORY.into(), directory));
        self
    }

    fn faults(&self, sandbox: &str) -> PathBuf {
        self.path("faults").join(sandbox)
    }

    /// From now on the places are noted that the daemon passes for a sandbox.
    ///
    /// # Panics
    /// When they are already.
    pub fn watch_places(&self, sandbox: &str) {
        fs::create_dir(self.faults(sandbox)).expect("made");
    }

    /// The places that were passed, in their order.
    #[must_use]
    pub fn passed(&self, sandbox: &str) -> Vec<String> {
        let text = fs::read_to_string(self.faults(sandbox).join("passed"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Asks for a fault at a place; places have to be watched.
    ///
    /// # Panics
    /// When they are not.
    pub fn ask_fault(&self, sandbox: &str, place: &str, fault: &str) {
        // Whole or not at all: the daemon may pass at any moment.
        let (path, new) = (
            self.faults(sandbox).join(place),
            self.faults(sandbox).join("new"),
        );
        fs::write(&new, fault).expect("written");
        fs::rename(new, path).expect("renamed");
    }

    /// Whether the daemon is held at a place.
    #[must_use]
    pub fn is_held(&self, sandbox: &str, place: &str) -> bool {
        self.faults(sandbox).join(format!("{place}.held")).exists()
    }

    /// Takes all faults of a sandbox back, and no longer notes places.
    pub fn lift_faults(&self, sandbox: &str) {
        // Nobody has asked for any when it is not there.
        #[expect(
            clippy::disallowed_methods,
            reason = "a directory of the test's own world"
        )]
        let _not_there = fs::remove_dir_all(self.faults(sandbox));
    }
}
