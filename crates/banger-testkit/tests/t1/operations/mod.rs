//! Long operations: cancelled, in line, and gone on with after the daemon that began them was killed.

mod cancel;
mod journal;
mod killed;
mod makings;
mod upgraded;
mod wish;

use banger_testkit::run::{self, Ran};
use banger_testkit::{World, eventually};
use serde_json::Value;
use std::process::Child;
use std::time::Duration;

/// How long anything here may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(100);

/// A command that goes on.
fn begin(world: &World, arguments: &[&str]) -> Child {
    run::start(&mut world.banger(arguments))
}

fn end(child: Child) -> Ran {
    run::finish(child, Vec::new(), LIMIT)
}

fn list(world: &World, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["operations", "--json"];
    all.extend_from_slice(arguments);
    let listed = world.run(all).good().json();
    listed.as_array().expect("a list").clone()
}

/// Waits for an operation of that kind that has come to a stage with these words; its id.
fn reached(world: &World, kind: &str, stage: &str) -> String {
    eventually(&format!("{kind} to reach {stage:?}"), LIMIT, || {
        let all = list(world, &[]);
        let has_reached = |one: &&Value| {
            let at = one["stage"].as_str().unwrap_or_default();
            one["kind"] == kind && at.contains(stage)
        };
        match all.iter().find(has_reached) {
            Some(found) => Ok(found["id"].as_str().expect("an id").to_owned()),
            None => Err(all),
        }
    })
}

/// Lets guests that wait go on.
fn go_on(world: &World) {
    std::fs::write(world.path("go-on"), "").expect("written");
}

/// Outcomes of all operations of a kind that have ended.
fn outcomes(world: &World, kind: &str) -> Vec<String> {
    let all = list(world, &["--all"]);
    let of_it = all.iter().filter(|one| one["kind"] == kind);
    of_it
        .map(|one| one["outcome"].as_str().unwrap_or("goes on").to_owned())
        .collect()
}

/// A machine that was made and not started.
fn created(world: &World, name: &str) {
    let _ = world
        .run(["vm", "create", "--no-start", "--name", name])
        .good();
}

const WAITING: &str = "waiting for the guest's agent";
