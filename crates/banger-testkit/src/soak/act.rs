//! Doing a step: every verb by a client of its own, all at once, and something is killed meanwhile.

use super::cancel::{Canceller, Power};
use super::judge::{Machine, name_of};
use super::look::{MARK, MARK_LENGTH, mark_text};
use super::model::Asked;
use super::step::{Blow, Step, Verb};
use crate::World;
use crate::run::{self, Ran};
use crate::world::{kill, signal};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long a client may take: the longest that the product itself may take, an emulated boot beside
/// others, twice.
pub(super) const CLIENT_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take until everything that was killed is gone.
const CUT_LIMIT: Duration = Duration::from_secs(30);
/// The port of the guest that is published. Nobody needs to listen.
const GUEST_PORT: u16 = 7;
/// Small disks are made faster.
const SIZES: [&str; 6] = [
    "--disk-size",
    "64MiB",
    "--system-disk-size",
    "64MiB",
    "--memory",
    "128MiB",
];

/// What came of a step.
#[derive(Debug)]
pub(super) struct Done {
    /// What was asked of each place, in the step's order.
    pub asked: Vec<(usize, Asked)>,
    /// Whether the blow found what it was to strike.
    pub struck: bool,
    /// What is wrong with what clients printed, or that one did not end.
    pub wrong: Vec<String>,
    /// For the trace: each client's end.
    pub told: Vec<String>,
}

/// Does a step.
#[must_use]
pub(super) fn act(world: &World, step: &Step, machines: &[Machine]) -> Done {
    let known = |place: usize| machines.iter().find(|m| m.name == name_of(place));
    // Whoever repairs all may repair the machine of another place: not to be cancelled from there.
    let spared = step.verbs.iter().any(|(_, verb)| *verb == Verb::RepairAll);
    let clients = step.verbs.iter().enumerate().map(|(index, (place, verb))| {
        let verb = possible(*verb, known(*place));
        let mark = mark_number(step.number, index);
        let words = words(world, *place, verb, mark, known(*place));
        (*place, verb, mark, words)
    });
    let clients: Vec<_> = clients.collect();
    let power = Power::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter()
            .map(|(place, verb, _, words)| {
                if let Verb::Cancel(after) = verb {
                    let canceller = Canceller {
                        world,
                        name: name_of(*place),
                        machines,
                        spared: spared.then_some("repair"),
                        power: &power,
                    };
                    let after = Duration::from_millis((*after).into());
                    return scope.spawn(move || canceller.cancel(after));
                }
                let child = run::start(&mut world.banger(words));
                scope.spawn(move || run::finish(child, Vec::new(), CLIENT_LIMIT))
            })
            .collect();
        let struck = step.blow.is_some_and(|(after, blow)| {
            wait(after);
            if matches!(blow, Blow::PowerCut(_)) {
                power.cut();
            }
            strike(world, blow, machines)
        });
        let mut done = Done {
            asked: vec![],
            struck,
            wrong: vec![],
            told: vec![],
        };
        for ((place, verb, mark, _), client) in clients.iter().zip(running) {
            let name = name_of(*place);
            let Ok(ran) = client.join() else {
                done.wrong.push(format!("{name}: {verb:?} does not end"));
                continue;
            };
            done.wrong.extend(printed(*verb, &name, &ran));
            done.told.push(told(*verb, &name, &ran));
            let asked = Asked {
                verb: *verb,
                mark: *mark,
                succeeded: ran.code.map(|code| code == 0),
            };
            done.asked.push((*place, asked));
        }
        done
    })
}

/// A number for each mark of a run: never 0.
fn mark_number(step: usize, index: usize) -> u64 {
    u64::try_from(step * 100 + index + 1).unwrap_or(u64::MAX)
}

/// A port that was never chosen cannot be named, so that it cannot be taken back: looked at instead.
fn possible(verb: Verb, machine: Option<&Machine>) -> Verb {
    let unnamed = machine.is_some_and(|machine| machine.ports.contains(&0));
    if verb == Verb::Unpublish && unnamed {
        Verb::Look
    } else {
        verb
    }
}

/// The command line of a verb.
fn words(
    world: &World,
    place: usize,
    verb: Verb,
    mark: u64,
    machine: Option<&Machine>,
) -> Vec<String> {
    let name = name_of(place);
    let made = |head: &[&str], tail: &[&str]| -> Vec<String> {
        let named = ["--init", "none", "--name", &name];
        let all = [head, &named, &SIZES, tail].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let plain = |verb: &str| vec!["vm".to_owned(), verb.to_owned(), name.clone()];
    let with = |verb: &str, rest: &[&str]| {
        let rest = rest.iter().map(|word| (*word).to_owned());
        plain(verb).into_iter().chain(rest).collect()
    };
    match verb {
        Verb::Create => made(&["vm", "create", "--no-start"], &[]),
        Verb::RunDetached => made(&["vm", "run", "-d"], &[]),
        Verb::RunRm => made(&["vm", "run", "--rm"], &["--", "true"]),
        Verb::Start => plain("start"),
        Verb::Stop => plain("stop"),
        Verb::Restart => plain("restart"),
        Verb::Kill => plain("kill"),
        Verb::Delete => plain("rm"),
        Verb::Look => vec!["vm".into(), "list".into(), "-q".into()],
        Verb::Exec => with("exec", &["--", "echo", &name]),
        Verb::Mark => {
            // The machine that is meant, whatever it is called by then.
            let who = machine.map_or(name, |machine| machine.id.clone());
            let script = script(world, mark, machine);
            let words = ["vm", "exec", &who, "--", "sh", "-c", &script];
            words.map(str::to_owned).into()
        }
        Verb::Copy => {
            let there = format!("{name}:{}", world.guest_path(&format!("copy-{name}")));
            let here = world.path("vmlinux").display().to_string();
            vec!["vm".into(), "cp".into(), here, there]
        }
        Verb::Rename(to) => with("rename", &[&name_of(to)]),
        Verb::Label => with("label", &[&format!("{MARK}={mark}")]),
        Verb::Unlabel => with("label", &[&format!("{MARK}-")]),
        Verb::Repair => vec!["repair".into(), name],
        Verb::RepairAll => vec!["repair".into()],
        // Its words are those of the operation that it finds.
        Verb::Cancel(_) => vec![],
        Verb::Nat(true) => with("set", &["--nat"]),
        Verb::Nat(false) => with("set", &["--no-nat"]),
        Verb::Publish => with("publish", &[&format!("0:{GUEST_PORT}")]),
        Verb::Unpublish => {
            let port = machine.and_then(|machine| machine.ports.first().copied());
            with("unpublish", &[&port.unwrap_or(GUEST_PORT).to_string()])
        }
    }
}

/// Writes a mark to the work disk, and has it reach the disk before it ends. A simulated guest is the
/// host: it writes to the disk's file as the real one's does through its device. Without a machine to
/// mean there is nothing to mark.
fn script(world: &World, mark: u64, machine: Option<&Machine>) -> String {
    let Some(machine) = machine else {
        return "false".into();
    };
    let text = mark_text(&machine.id, mark);
    let text = text.trim_end_matches('\n');
    if !world.is_simulated() {
        let file = world.guest_path("mark");
        return format!("echo '{text}' > {file} && sync");
    }
    let disk = world.state().join("sandboxes").join(&machine.id);
    let disk = disk.join("work.ext4");
    let disk = disk.display();
    format!(
        "test -e {disk} && echo '{text}' | \
         dd of={disk} bs={MARK_LENGTH} count=1 iflag=fullblock conv=notrunc,nocreat,fsync status=none"
    )
}

/// What is wrong with what a client printed.
fn printed(verb: Verb, name: &str, ran: &Ran) -> Option<String> {
    let good = ran.code == Some(0);
    if verb == Verb::Exec && good && ran.text().trim_end() != name {
        return Some(format!("{name}: exec printed {:?}", ran.text()));
    }
    let panicked =
        ran.stderr.contains("panicked") || ran.stderr.contains("an error in banger itself");
    panicked.then(|| format!("{name}: {verb:?}: {}", ran.stderr))
}

fn told(verb: Verb, name: &str, ran: &Ran) -> String {
    let code = ran
        .code
        .map_or("killed".to_owned(), |code| code.to_string());
    let said = ran.stderr.lines().next().unwrap_or_default();
    format!("    {name} {verb:?}: {code} {said}")
}

pub(super) fn wait(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a blow falls at a moment, not on a condition"
    )]
    std::thread::sleep(time);
}

/// Strikes; whether there was something to strike.
fn strike(world: &World, blow: Blow, machines: &[Machine]) -> bool {
    let daemon = world.daemon();
    match blow {
        Blow::KillDaemon => daemon.inspect(|pid| kill(*pid)).is_some(),
        Blow::TerminateDaemon => daemon.inspect(|pid| signal(*pid, Signal::TERM)).is_some(),
        Blow::KillHelper => kill_all(&world.helpers()),
        Blow::KillCarriers => kill_all(&world.carriers()),
        Blow::KillVmm(place) => {
            let machine = machines.iter().find(|m| m.name == name_of(place));
            let pid = machine.and_then(|machine| machine.pid);
            let pid = pid.filter(|pid| world.vmms().contains(pid));
            pid.inspect(|pid| kill(*pid)).is_some()
        }
        Blow::PowerCut(reboot) => {
            cut(world);
            if reboot {
                forget_runtime(world);
            }
            true
        }
    }
}

fn kill_all(pids: &[u32]) -> bool {
    pids.iter().copied().for_each(kill);
    !pids.is_empty()
}

/// Kills everything of a world until nothing is left: what dies may have begun something meanwhile.
fn cut(world: &World) {
    let until = Instant::now() + CUT_LIMIT;
    loop {
        let left = world.processes();
        if left.is_empty() || Instant::now() >= until {
            return;
        }
        left.into_iter().for_each(kill);
        wait(Duration::from_millis(2));
    }
}

/// A runtime directory does not outlive a boot of the host.
#[expect(clippy::disallowed_methods, reason = "the world's own directory")]
fn forget_runtime(world: &World) {
    let _not_there = std::fs::remove_dir_all(world.path("run").join("banger"));
}
