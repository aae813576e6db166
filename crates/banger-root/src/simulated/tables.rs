//! nftables in memory: objects are kept as they were added, and listed again.

use crate::kernel::KernelError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tables by family and name, each with the objects that were added to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tables(BTreeMap<(String, String), Vec<Value>>);

impl Tables {
    /// Applies a transaction whole, or not at all.
    pub(super) fn apply(&mut self, transaction: &str) -> Result<(), KernelError> {
        let refused = |why: String| KernelError::Failed(format!("nft refused: {why}"));
        let tree: Value =
            serde_json::from_str(transaction).map_err(|error| refused(error.to_string()))?;
        let mut changed = self.clone();
        for command in tree
            .get("nftables")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            changed
                .command(command)
                .ok_or_else(|| refused(command.to_string()))?;
        }
        *self = changed;
        Ok(())
    }

    /// What nft would list; none where there is no such table.
    pub(super) fn list(&self, family: &str, name: &str) -> Option<Value> {
        let objects = self.0.get(&(family.to_owned(), name.to_owned()))?;
        let table = json!({"table": {"family": family, "name": name}});
        let all: Vec<_> = [table].into_iter().chain(objects.iter().cloned()).collect();
        Some(json!({ "nftables": all }))
    }

    fn command(&mut self, command: &Value) -> Option<()> {
        let (verb, object) = command.as_object()?.iter().next()?;
        let (kind, body) = object.as_object()?.iter().next()?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let family = text("family")?;
        match (verb.as_str(), kind.as_str()) {
            ("add", "table") => {
                self.0.entry((family, text("name")?)).or_default();
            }
            ("delete", "table") => {
                self.0.remove(&(family, text("name")?))?;
            }
            ("add", "chain" | "set" | "rule") => {
                self.0
                    .get_mut(&(family, text("table")?))?
                    .push(object.clone());
            }
            _ => return None,
        }
        Some(())
    }
}
