//! What the daemon of a world keeps in files.

use super::World;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

impl World {
    /// Every file and directory that the daemon keeps, with its length and the time of its last
    /// change; left out are its logs and its database, where it writes what it is asked. What was made and
    /// removed again shows in the directory's time.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut kept = BTreeMap::new();
        let mut next = vec![self.state()];
        while let Some(path) = next.pop() {
            let found = path.symlink_metadata().expect("there");
            if found.is_dir() {
                let entries = std::fs::read_dir(&path).expect("a directory").flatten();
                next.extend(entries.map(|entry| entry.path()));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_log = ["bangerd.log", "audit.jsonl", "events.jsonl"].contains(&&*name);
            if !is_log && !name.starts_with("state.") {
                let changed = found.modified().expect("a time");
                kept.insert(path, (found.len(), changed));
            }
        }
        kept
    }

    /// Has the doctor record what is on the host, so that a proof is of what came after.
    ///
    /// # Panics
    /// When it cannot.
    pub fn record_baseline(&self) {
        let _ = self.run(["doctor", "--prove", "--baseline"]).good();
    }

    /// Has the doctor prove that nothing is left behind, of whatever kind.
    ///
    /// # Panics
    /// With what is left.
    pub fn prove_nothing_left(&self) {
        let ran = self.run(["doctor", "--prove"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.text(), ran.stderr);
    }

    /// The lines of a file in the state directory, as JSON; what is torn is left out.
    #[must_use]
    pub fn lines(&self, file: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.state().join(file)).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}
