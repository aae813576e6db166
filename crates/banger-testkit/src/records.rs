//! A world's records, changed while no daemon serves it: what a test cannot bring about otherwise.

use crate::World;
use bangerd::record::Record;
use bangerd::store::Store;

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

impl World {
    /// Changes the record of a sandbox.
    ///
    /// # Panics
    /// When a daemon serves this world, or there is no such sandbox.
    pub fn change_record(&self, name: &str, change: impl FnOnce(&mut Record)) {
        assert_eq!(self.daemon(), None, "a daemon would not see it");
        let store = Store::open(&self.state().join("state.db")).expect("a database");
        wait(async {
            let (records, _) = store.all().await.expect("readable");
            let found = records
                .into_iter()
                .find(|record| record.name.as_str() == name);
            let mut record = found.expect("a record");
            change(&mut record);
            store.put(&record).await.expect("written");
        });
    }

    /// Runs a statement on the database as no banger would.
    ///
    /// # Panics
    /// When a daemon serves this world, or the statement fails.
    pub fn damage(&self, statement: &str) {
        assert_eq!(self.daemon(), None, "a daemon would not see it");
        let database = rusqlite::Connection::open(self.state().join("state.db"));
        let done = database.expect("a database").execute_batch(statement);
        done.expect("a statement");
    }

    /// The directory of a sandbox.
    #[must_use]
    pub fn directory(&self, name: &str) -> std::path::PathBuf {
        let shown = self.show(name);
        shown["directory"].as_str().expect("a directory").into()
    }
}
