//! Verbs over several sandboxes: all at once, told in the order given, each once; the good ones
//! proceed when others fail.

use crate::client::{Client, path};
use crate::commands::options::Targets;
use crate::exit::{Exit, Failure};
use crate::show::Show;
use banger_model::reference::{Unresolved, resolve};
use banger_model::{SandboxId, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::Sandbox;
use futures_util::future::join_all;
use serde::Serialize;
use std::collections::HashSet;

/// A reference and what it led to.
pub type Told<T> = (String, Result<T, Fault>);

/// Does something with each. Several references are looked up in one list first, so that a name
/// and an id of the same sandbox count once; the daemon looks a single one up itself.
///
/// # Errors
/// A fault when the list cannot be had.
pub async fn each<T, F: Future<Output = Result<T, Fault>>>(
    client: &Client,
    references: &[String],
    act: impl Fn(String) -> F,
) -> Result<Vec<Told<T>>, Fault> {
    Ok(run(named(client, references).await?, act).await)
}

async fn named(client: &Client, references: &[String]) -> Result<Vec<Told<String>>, Fault> {
    Ok(match references {
        [one] => vec![(one.clone(), Ok(one.clone()))],
        several => {
            let all: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
            targets(several, &all)
        }
    })
}

/// Those that a verb is about.
pub struct Chosen {
    targets: Vec<Told<String>>,
    /// Whether there may be one or none though it is about several.
    filtered: bool,
}

impl Chosen {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.targets.len()
    }
}

/// Those that are named, or that match when filters are given instead; which these are is said.
///
/// # Errors
/// A fault when the list cannot be had.
pub async fn choose(client: &Client, show: Show, targets: &Targets) -> Result<Chosen, Fault> {
    if targets.filters.filter.is_empty() {
        return Ok(Chosen {
            targets: named(client, &targets.references).await?,
            filtered: false,
        });
    }
    let mut all: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
    all.retain(|sandbox| targets.filters.fit(sandbox));
    let text = targets.filters.text();
    let names: Vec<_> = all.iter().map(|sandbox| sandbox.name.as_str()).collect();
    match names.as_slice() {
        [] => show.note(&format!("no machine matches {text}")),
        names => show.note(&format!("{text} matches {}", names.join(", "))),
    }
    let target = |sandbox: Sandbox| (sandbox.name, Ok(sandbox.id));
    Ok(Chosen {
        targets: all.into_iter().map(target).collect(),
        filtered: true,
    })
}

/// Does something with each of those that were chosen, and prints what came of it as [`conclude`] does;
/// what filters chose is always a list.
///
/// # Errors
/// The failure of a single reference, or one of printing.
pub async fn each_chosen<T: Serialize, F: Future<Output = Result<T, Fault>>>(
    show: Show,
    chosen: Chosen,
    act: impl Fn(String) -> F,
    print: impl FnOnce(&[(String, T)]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let single = !chosen.filtered && chosen.count() == 1;
    let told = run(chosen.targets, act).await;
    conclude_as(show, single, told, print)
}

async fn run<T, F: Future<Output = Result<T, Fault>>>(
    targets: Vec<Told<String>>,
    act: impl Fn(String) -> F,
) -> Vec<Told<T>> {
    let tasks = targets.into_iter().map(|(label, target)| {
        let task = target.map(&act);
        async move {
            let result = match task {
                Ok(task) => task.await,
                Err(fault) => Err(fault),
            };
            (label, result)
        }
    });
    join_all(tasks).await
}

/// Labels and ids in the order given, each sandbox once.
fn targets(references: &[String], all: &[Sandbox]) -> Vec<Told<String>> {
    let known: Vec<(SandboxId, SandboxName)> = all
        .iter()
        .filter_map(|sandbox| Some((sandbox.id.parse().ok()?, sandbox.name.parse().ok()?)))
        .collect();
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for reference in references {
        match resolve(reference, known.iter().map(|(id, name)| (*id, name))) {
            Ok(id) if seen.insert(id.to_string()) => {
                let name = known.iter().find(|(known, _)| *known == id);
                let label = name.map_or_else(|| reference.clone(), |(_, name)| name.to_string());
                out.push((label, Ok(id.to_string())));
            }
            Ok(_) => {}
            Err(error) if seen.insert(reference.clone()) => {
                out.push((reference.clone(), Err(unresolved(&error))));
            }
            Err(_) => {}
        }
    }
    out
}

fn unresolved(error: &Unresolved) -> Fault {
    let fault = Fault::new(FaultCode::NotFound, error);
    match error {
        Unresolved::Unknown { .. } => fault.with_remedy("see `banger vm list` for those there are"),
        Unresolved::Ambiguous { .. } => fault.with_remedy("give a name, or more of the id"),
    }
}

/// Prints what came of it: JSON (the one result, or a list of several), or what `print` makes of
/// the results; then the failures.
///
/// # Errors
/// The failure of a single reference, or one of printing.
pub fn conclude<T: Serialize>(
    show: Show,
    told: Vec<Told<T>>,
    print: impl FnOnce(&[(String, T)]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let single = told.len() == 1;
    conclude_as(show, single, told, print)
}

fn conclude_as<T: Serialize>(
    show: Show,
    single: bool,
    told: Vec<Told<T>>,
    print: impl FnOnce(&[(String, T)]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (label, result) in told {
        match result {
            Ok(result) => good.push((label, result)),
            Err(fault) => bad.push(fault),
        }
    }
    match (show.json, single, good.as_slice()) {
        (true, true, [(_, one)]) => show.json(one)?,
        (true, true, _) => {}
        (true, false, all) => show.json(&all.iter().map(|(_, one)| one).collect::<Vec<_>>())?,
        (false, ..) => print(&good)?,
    }
    if single && let Some(fault) = bad.pop() {
        return Err(fault.into());
    }
    let exit = if bad.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    };
    for fault in bad {
        show.failure(&fault.into());
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(digit: char, name: &str) -> Sandbox {
        let value = |text: &str| serde_json::json!({"value": text, "source": "builtin"});
        let number = serde_json::json!({"value": 1, "source": "builtin"});
        serde_json::from_value(serde_json::json!({
            "id": digit.to_string().repeat(32), "name": name, "state": "running",
            "image": value("debian"), "kernel": value("default"), "vcpu": number,
            "memory_mib": number, "disk_mib": number, "system_disk_mib": number, "nat": false,
            "init": "auto", "ephemeral": false, "created_at": 0, "disk_used": 0, "directory": "/"
        }))
        .expect("a sandbox")
    }

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn references_are_told_in_order_and_each_sandbox_once() {
        let all = [sandbox('a', "one"), sandbox('b', "two")];
        let found = targets(&strings(&["two", "aaaa", "one", "bb", "x", "x"]), &all);
        let labels: Vec<_> = found.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, ["two", "one", "x"]);
        let failed = found.last().and_then(|(_, target)| target.as_ref().err());
        assert_eq!(failed.map(|fault| fault.code), Some(FaultCode::NotFound));
    }

    #[test]
    fn one_bad_reference_does_not_keep_the_others_from_exit_status_one() {
        let fault = || Err(Fault::new(FaultCode::NotFound, "x"));
        let told = |results: Vec<Result<u8, Fault>>| {
            results
                .into_iter()
                .map(|result| ("r".into(), result))
                .collect()
        };
        let end = |results| conclude(Show::default(), told(results), |_| Ok(()));
        assert_eq!(end(vec![Ok(1), Ok(2)]).expect("told"), Exit::Success);
        assert_eq!(end(vec![Ok(1), fault()]).expect("told"), Exit::Failed);
        assert!(end(vec![fault()]).is_err());
    }
}
