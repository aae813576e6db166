//! Reading all rows, the damaged ones too.

use super::stored::{Row, StoredPlace, StoredRun, parsed, parsed_if_any};
use super::{StoreError, Unreadable};
use crate::record::{OnBridge, Record, Run};
use banger_model::spec::{Init, NetworkMode, Source, Sourced, Spec};
use banger_model::{DiskSize, SandboxState};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A column's text. What is none is read as something that no record holds: a damaged row must not
/// hide the others.
fn text(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(_) | ValueRef::Real(_) => Some(String::new()),
    })
}

/// The least size of memory and disks (`banger_model::size`), in MiB.
const LEAST_MIB: u64 = 64;

/// All rows; what cannot be read is told apart, so that one bad row hides no other sandbox.
pub(super) fn read_all(
    connection: &Connection,
) -> Result<(Vec<Record>, Vec<Unreadable>), StoreError> {
    let mut statement = connection.prepare(
        "SELECT id, name, state, reason, created_at, spec, publish, run, network, leftovers,
            labels
         FROM sandboxes ORDER BY created_at, name",
    )?;
    let rows = statement.query_map([], |row| {
        let text = |index| text(row, index);
        let certain = |index| text(index).map(Option::unwrap_or_default);
        Ok(Row {
            id: certain(0)?,
            name: certain(1)?,
            state: certain(2)?,
            reason: text(3)?,
            created_at: row.get(4).unwrap_or_default(),
            spec: certain(5)?,
            publish: certain(6)?,
            run: text(7)?,
            network: text(8)?,
            leftovers: text(9)?,
            labels: certain(10)?,
        })
    })?;
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for row in rows {
        let row = row?;
        match row.read() {
            Ok(record) => good.push(record),
            Err(error) => bad.push(Unreadable {
                record: row.salvage(&error),
                error,
            }),
        }
    }
    Ok((good, bad))
}

impl Row {
    /// What is known all the same of one that cannot be read: its name and id, so that it keeps them,
    /// and as far as they can be read its process and its place, so that nothing of it is taken for
    /// nobody's. `None` when not even that is known.
    fn salvage(&self, why: &StoreError) -> Option<Record> {
        let run = parsed_if_any::<StoredRun>(self.run.as_deref());
        let place = parsed_if_any::<StoredPlace>(self.network.as_deref());
        Some(Record {
            id: self.id.parse().ok()?,
            name: self.name.parse().ok()?,
            state: SandboxState::Unreadable,
            reason: Some(why.to_string()),
            created_at: u64::try_from(self.created_at).unwrap_or(0),
            spec: salvaged_spec(&self.spec)?,
            run: run.ok().flatten().map(Run::from),
            network: place.ok().flatten().map(OnBridge::from),
            unfinished: None,
        })
    }
}

/// A spec with the image and the kernel of one that cannot be read, where it names them, so that they
/// count as used; the rest is the least that there can be.
fn salvaged_spec(text: &str) -> Option<Spec> {
    let found: serde_json::Value = parsed(text).unwrap_or_default();
    let named = |key: &str| {
        let name = found.get(key).and_then(|valued| valued.get("value"));
        let name = name.and_then(serde_json::Value::as_str);
        name.unwrap_or("unknown").parse().ok()
    };
    fn builtin<T>(value: T) -> Sourced<T> {
        Sourced::new(value, Source::Builtin)
    }
    let disk: DiskSize = LEAST_MIB.try_into().ok()?;
    Some(Spec {
        image: builtin(named("image")?),
        kernel: builtin(named("kernel")?),
        vcpu: builtin(1.try_into().ok()?),
        memory: builtin(LEAST_MIB.try_into().ok()?),
        work_disk: builtin(disk),
        system_disk: builtin(disk),
        network: builtin(NetworkMode::None),
        nat: false,
        networks: Default::default(),
        links: Default::default(),
        init: Init::default(),
        ephemeral: false,
        pooled: None,
        checkpoint: false,
        publish: vec![],
        labels: Default::default(),
    })
}
