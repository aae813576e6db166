//! nftables in memory: what was added, by the commands of nft(8) that we give it, and its listing.

use crate::kernel::KernelError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Tables by family and name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tables(BTreeMap<(String, String), Table>);

/// Objects as they were added; elements apart.
#[derive(Debug, Clone, Default, PartialEq)]
struct Table {
    objects: Vec<Value>,
    elements: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl Tables {
    /// Applies a transaction whole, or not at all.
    pub(super) fn apply(&mut self, transaction: &str) -> Result<(), KernelError> {
        let mut changed = self.clone();
        for line in transaction.lines().filter(|line| !line.trim().is_empty()) {
            let refused = || KernelError::Failed(format!("nft refused: {line}"));
            changed.command(line.trim()).ok_or_else(refused)?;
        }
        *self = changed;
        Ok(())
    }

    /// What nft would list; none where there is no such table.
    pub(super) fn list(&self, family: &str, name: &str) -> Option<Value> {
        let table = self.0.get(&(family.to_owned(), name.to_owned()))?;
        let head = json!({"table": {"family": family, "name": name}});
        let mut all: Vec<_> = [head]
            .into_iter()
            .chain(table.objects.iter().cloned())
            .collect();
        for set in all.iter_mut().filter_map(|object| object.get_mut("set")) {
            let elements = set.get("name").and_then(Value::as_str);
            let elements = elements.and_then(|name| table.elements.get(name));
            let listed = elements
                .into_iter()
                .flatten()
                .map(|parts| match parts.as_slice() {
                    [only] => json!(only),
                    several => json!({ "concat": several }),
                });
            let listed: Vec<_> = listed.collect();
            set.as_object_mut()?
                .insert("elem".to_owned(), listed.into());
        }
        Some(json!({ "nftables": all }))
    }

    fn command(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(5, ' ');
        let (verb, kind) = (words.next()?, words.next()?);
        let at = (words.next()?.to_owned(), words.next()?.to_owned());
        let rest = words.next();
        match (verb, kind) {
            ("add", "table") => {
                self.0.entry(at).or_default();
                Some(())
            }
            ("delete", "table") => self.0.remove(&at).map(drop),
            _ => self.0.get_mut(&at)?.command(verb, kind, rest?),
        }
    }
}

impl Table {
    fn command(&mut self, verb: &str, kind: &str, rest: &str) -> Option<()> {
        let (name, body) = rest.split_once(' ').unwrap_or((rest, ""));
        match (verb, kind) {
            ("add", "chain") => {
                self.objects.push(json!({ "chain": chain(name, body) }));
            }
            ("add", "rule") => {
                let of_chain =
                    |object: &'_ Value| object.pointer("/chain/name") == Some(&json!(name));
                self.objects.iter().find(|object| of_chain(object))?;
                let (statements, comment) = body.split_once(" comment ").unwrap_or((body, ""));
                let comment = comment.trim_matches('"');
                self.objects.push(
                    json!({"rule": {"chain": name, "comment": comment, "expr": [statements]}}),
                );
            }
            ("add", "set") => {
                let (key, elements) = body.split_once("elements = ").unwrap_or((body, "{ }"));
                self.objects
                    .push(json!({"set": {"name": name, "type": key}}));
                self.elements.insert(name.to_owned(), parse(elements)?);
            }
            ("add", "element") => self.elements.get_mut(name)?.append(&mut parse(body)?),
            ("delete", "element") => {
                let present = self.elements.get_mut(name)?;
                parse(body)?
                    .iter()
                    .all(|element| present.remove(element))
                    .then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// `{ type filter hook input priority 0 ; policy accept ; }`
fn chain(name: &str, body: &str) -> Value {
    let words: Vec<_> = body.split_whitespace().collect();
    let after = |word: &str| {
        let found = words.iter().position(|found| *found == word)?;
        words.get(found + 1).copied()
    };
    let priority = after("priority").and_then(|number| number.parse::<i32>().ok());
    json!({"name": name, "type": after("type"), "hook": after("hook"), "prio": priority, "policy": after("policy")})
}

/// `{ a . b, c . d }`, and what follows.
fn parse(text: &str) -> Option<BTreeSet<Vec<String>>> {
    let (inner, _) = text.strip_prefix("{ ")?.split_once('}')?;
    let elements = inner
        .split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty());
    let parts = |element: &str| {
        let parts = element
            .split(" . ")
            .map(|part| part.trim_matches('"').to_owned());
        parts.collect()
    };
    Some(elements.map(parts).collect())
}
