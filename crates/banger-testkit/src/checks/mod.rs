//! What must hold whatever the guest is: each is one function that T1 calls with a simulated guest and
//! T3 with a real one.

pub mod carried;
pub mod command;
pub mod copying;
pub mod crash;
pub mod disks;
pub mod lifecycle;
pub mod publish;
pub mod refusal;
pub mod restarts;
pub mod terminal;

/// Arguments of a `vm run` with the least guest, then those given.
#[must_use]
pub fn run<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["vm", "run", "--init", "none"];
    all.extend_from_slice(arguments);
    all
}

/// A machine that runs in the background.
///
/// # Panics
/// When it cannot be started.
pub fn start(world: &crate::World, name: &str) {
    let _ = world.run(run(&["-d", "--name", name])).good();
}
