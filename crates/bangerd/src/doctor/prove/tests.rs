use super::*;
use banger_model::SandboxState;
use banger_proto::owner::time::UtcTime;
use proptest::prelude::*;

const ID: &str = "0123456789abcdef0123456789abcdef";
const SHORT: &str = "01234567";
const DAEMON: u32 = 100;
const VMM: u32 = 200;
const CARRIER: u32 = 300;
const OURS: &str = "00000000000000aa";

fn machine(state: SandboxState, vmm: Option<u32>) -> Machine {
    Machine {
        id: ID.into(),
        name: "web".into(),
        state,
        vmm,
        in_between: matches!(
            state,
            SandboxState::Starting | SandboxState::Stopping | SandboxState::Deleting
        ),
        tap: Some("tap-fc-1".into()),
        publish: vec![banger_model::publish::Published {
            asked: "8080:80".parse().expect("a publication"),
            chosen: None,
        }],
    }
}

/// A daemon with one machine that runs.
fn living() -> Living {
    Living {
        uid: 7,
        daemon: Some(DAEMON),
        installation: Some(OURS.into()),
        machines: vec![machine(SandboxState::Running, Some(VMM))],
        ..Living::default()
    }
}

fn seen(kind: Kind, name: &str, clue: Clue) -> Seen {
    Seen {
        thing: Thing {
            kind,
            name: name.into(),
            id: "1".into(),
        },
        uid: Some(7),
        pid: None,
        clue,
    }
}

fn process_of(pid: u32, parent: u32, program: Option<Program>, touches: &[Place]) -> Seen {
    Seen {
        pid: Some(pid),
        ..seen(
            Kind::Process,
            &pid.to_string(),
            Clue::Process {
                parent,
                program,
                touches: touches.iter().cloned().collect(),
            },
        )
    }
}

fn port(holder: u32, udp: bool, address: &str) -> Seen {
    let address = address.parse().expect("an address");
    Seen {
        pid: Some(holder),
        ..seen(Kind::Port, "port", Clue::Port { udp, address })
    }
}

fn proof_of(seen: Vec<Seen>, living: &Living) -> Proof {
    let present = Present {
        seen,
        not_seen: vec![],
    };
    prove(&present, None, living, false)
}

/// Whom the only thing that is left belongs to; none where nothing is left.
fn left_of(seen: Vec<Seen>, living: &Living) -> Option<String> {
    let proof = proof_of(seen, living);
    assert!(proof.left.len() <= 1, "{:?}", proof.left);
    proof.left.into_iter().next().map(|left| left.belongs_to)
}

fn runtime() -> Place {
    Place::Runtime(SHORT.into())
}

fn sandbox() -> Place {
    Place::Sandbox(ID.into())
}

fn file(place: Place) -> Seen {
    seen(Kind::File, "file", Clue::At(place))
}

/// What a machine that runs has, and its daemon.
fn household() -> Vec<Seen> {
    vec![
        process_of(DAEMON, 1, Some(Program::Daemon), &[Place::Kept]),
        process_of(101, DAEMON, Some(Program::Helper), &[Place::RootSocket]),
        process_of(
            102,
            DAEMON,
            Some(Program::Tool),
            &[Place::Staging("image".into())],
        ),
        process_of(VMM, 1, Some(Program::Vmm), &[runtime(), sandbox()]),
        process_of(CARRIER, 1, Some(Program::Carrier), &[runtime()]),
        file(sandbox()),
        file(runtime()),
        file(Place::Kept),
        file(Place::DaemonSocket),
        file(Place::RootSocket),
        file(Place::Staging("image".into())),
        port(DAEMON, false, "127.0.0.1:8080"),
        port(CARRIER, false, "127.0.0.1:8080"),
        port(VMM, true, "0.0.0.0:40000"),
        seen(Kind::Link, "tap-fc-1", Clue::Mark(OURS.into())),
        Seen {
            pid: Some(VMM),
            ..seen(Kind::Socket, "qmp.sock", Clue::At(runtime()))
        },
    ]
}

#[test]
fn what_a_machine_that_runs_has_is_not_left_behind() {
    let proof = proof_of(household(), &living());
    assert_eq!(proof.left, []);
    assert_eq!(proof.owned, household().len());
}

#[test]
fn each_thing_is_left_when_its_owner_is_gone_and_is_still_his() {
    let gone = Living {
        uid: 7,
        installation: Some(OURS.into()),
        names: [(ID.to_owned(), "web".to_owned())].into(),
        ..Living::default()
    };
    let whose = |seen: Seen| left_of(vec![seen], &gone);
    let (by_id, by_short) = (
        format!("machine web ({ID})"),
        format!("machine web ({SHORT})"),
    );
    assert_eq!(whose(file(sandbox())), Some(by_id));
    assert_eq!(whose(file(runtime())), Some(by_short.clone()));
    for program in [Program::Vmm, Program::Carrier] {
        let process = process_of(VMM, 1, Some(program), &[runtime()]);
        assert_eq!(whose(process), Some(by_short.clone()));
    }
    for place in [Place::DaemonSocket, Place::Staging("x".into())] {
        assert_eq!(whose(file(place)).as_deref(), Some("daemon"));
    }
    assert_eq!(whose(file(Place::RootSocket)).as_deref(), Some("helper"));
    let helper = process_of(9, 1, Some(Program::Helper), &[Place::RootSocket]);
    assert_eq!(whose(helper).as_deref(), Some("helper"));
    let tool = process_of(9, 1, Some(Program::Tool), &[Place::Staging("x".into())]);
    assert_eq!(whose(tool).as_deref(), Some("daemon"));
    for (kind, name) in [(Kind::Link, "tap-fc-1"), (Kind::Rules, "inet banger")] {
        let marked = seen(kind, name, Clue::Mark(OURS.into()));
        assert_eq!(whose(marked).as_deref(), Some("daemon"));
    }
    // A record of what stays is no leftover.
    assert_eq!(whose(file(Place::Kept)), None);
}

#[test]
fn what_nobody_of_banger_makes_is_unknown_with_who_has_it() {
    let whose = |seen: Seen| left_of(vec![seen], &living()).unwrap_or_default();
    assert_eq!(whose(file(Place::Stray)), "unknown (user 7)");
    let mount = seen(Kind::Mount, "/s/x", Clue::At(sandbox()));
    assert!(whose(mount).starts_with("unknown, over machine web"));
    assert!(whose(seen(Kind::Loop, "/dev/loop0", Clue::At(Place::Kept))).starts_with("unknown"));
    for kind in [Kind::Link, Kind::Mapper, Kind::File, Kind::Cgroup] {
        assert_eq!(whose(seen(kind, "banger-x", Clue::Named)), "unknown");
    }
}

#[test]
fn a_stopped_machine_needs_nothing_that_runs() {
    let mut living = living();
    living.machines = vec![machine(SandboxState::Stopped, None)];
    let whose = |seen: Seen| left_of(vec![seen], &living);
    let web = Some(format!("machine web ({SHORT}), stopped"));
    assert_eq!(whose(file(sandbox())), None);
    assert_eq!(whose(file(runtime())), web);
    assert_eq!(
        whose(process_of(VMM, 1, Some(Program::Vmm), &[sandbox()])),
        web
    );
    assert_eq!(
        whose(seen(Kind::Link, "tap-fc-1", Clue::Mark(OURS.into()))),
        web
    );
    let port = whose(port(DAEMON, false, "127.0.0.1:8080"));
    assert_eq!(port, Some(format!("daemon (pid {DAEMON})")));
    // On its way, it may have any of it.
    living.machines = vec![machine(SandboxState::Starting, None)];
    for seen in household() {
        assert_eq!(
            left_of(vec![seen.clone()], &Living { ..living.clone() }).filter(|_| {
                // Alone, the helper's socket has no helper.
                seen.clue != Clue::At(Place::RootSocket)
            }),
            None,
            "{seen:?}"
        );
    }
}

#[test]
fn a_carrier_lives_with_its_machine_and_has_no_ports_but_the_published() {
    let carrier = || process_of(CARRIER, DAEMON, Some(Program::Carrier), &[runtime()]);
    let port = port(CARRIER, false, "127.0.0.1:8081");
    assert_eq!(
        left_of(vec![port, carrier()], &living()),
        Some(format!("carrier (pid {CARRIER})"))
    );
    let stopped = Living {
        machines: vec![machine(SandboxState::Stopped, None)],
        ..living()
    };
    assert_eq!(
        left_of(vec![carrier()], &stopped),
        Some(format!("machine web ({SHORT}), stopped"))
    );
}

#[test]
fn a_second_vmm_of_a_machine_is_not_its_own() {
    let second = process_of(VMM + 1, DAEMON, Some(Program::Vmm), &[runtime()]);
    assert_eq!(
        left_of(vec![second], &living()),
        Some(format!("machine web ({SHORT}), running"))
    );
}

#[test]
fn a_probe_is_the_daemons_and_without_it_nobodys() {
    let probe = || {
        vec![
            file(Place::Staging("probe-99999999".into())),
            file(Place::Runtime("99999999".into())),
            process_of(
                300,
                1,
                Some(Program::Vmm),
                &[Place::Runtime("99999999".into())],
            ),
        ]
    };
    assert_eq!(proof_of(probe(), &living()).left, []);
    let alone = Living {
        daemon: None,
        ..living()
    };
    assert_eq!(proof_of(probe(), &alone).left.len(), 3);
}

#[test]
fn what_is_anothers_is_no_business_of_ours() {
    let others = [
        process_of(9, 1, None, &[sandbox(), Place::Kept]),
        process_of(9, 1, Some(Program::Vmm), &[]),
        process_of(9, 1, Some(Program::Daemon), &[]),
        port(9, false, "0.0.0.0:22"),
        seen(
            Kind::Link,
            "tap-fc-1",
            Clue::Mark("00000000000000bb".into()),
        ),
        seen(Kind::Link, "eth0", Clue::None),
        Seen {
            uid: Some(8),
            ..seen(Kind::File, "/tmp/banger-runtime-8", Clue::Named)
        },
        Seen {
            pid: Some(9),
            ..seen(Kind::Cgroup, "/sys/fs/cgroup/banger.slice", Clue::Named)
        },
    ];
    let present = Present {
        seen: others.to_vec(),
        not_seen: vec!["x".into()],
    };
    let proof = prove(&present, None, &living(), false);
    assert_eq!(
        (proof.left.len(), proof.others.len(), proof.owned),
        (0, 0, 0)
    );
    assert_eq!(proof.not_seen, ["x"]);
    let proof = prove(&present, None, &living(), true);
    assert_eq!((proof.left.len(), proof.others.len()), (0, others.len()));
}

#[test]
fn a_record_that_cannot_be_read_keeps_what_is_its() {
    let mut living = living();
    living.machines.clear();
    living.unreadable = vec![ID.into()];
    assert_eq!(left_of(vec![file(sandbox())], &living), None);
    assert_eq!(left_of(vec![file(runtime())], &living), None);
    assert!(left_of(vec![file(Place::Sandbox("ff".repeat(16)))], &living).is_some());
}

fn record(present: &Present, living: &Living) -> Baseline {
    Baseline {
        made: UtcTime::from_ms(1),
        boot: "b".into(),
        things: not_living(present, living),
    }
}

#[test]
fn a_baseline_hides_what_was_there_but_not_what_lived_then() {
    let present = Present {
        seen: [household(), vec![seen(Kind::Link, "br-fc", Clue::Named)]].concat(),
        not_seen: vec![],
    };
    let before = record(&present, &living());
    assert!(before.things.iter().any(|thing| thing.name == "br-fc"));
    let gone = Living {
        uid: 7,
        installation: Some(OURS.into()),
        ..Living::default()
    };
    let proof = prove(&present, Some(&before), &gone, false);
    assert!(!proof.left.iter().any(|left| left.thing.name == "br-fc"));
    // Machine and daemon are gone, and everything of theirs is found.
    assert!(proof.left.len() >= 9, "{:?}", proof.left);
    // Another thing in the same place is new.
    let mut again = present.clone();
    again
        .seen
        .iter_mut()
        .for_each(|seen| seen.thing.id = "2".into());
    let proof = prove(&again, Some(&before), &gone, false);
    assert!(proof.left.iter().any(|left| left.thing.name == "br-fc"));
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(sandbox()),
        Just(runtime()),
        Just(Place::Sandbox("ff".repeat(16))),
        Just(Place::Runtime("ffffffff".into())),
        Just(Place::Staging("x".into())),
        Just(Place::DaemonSocket),
        Just(Place::RootSocket),
        Just(Place::Kept),
        Just(Place::Stray),
    ]
}

fn any_program() -> impl Strategy<Value = Option<Program>> {
    prop_oneof![
        Just(None),
        Just(Some(Program::Daemon)),
        Just(Some(Program::Helper)),
        Just(Some(Program::Vmm)),
        Just(Some(Program::Carrier)),
        Just(Some(Program::Tool)),
    ]
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let pids = prop_oneof![Just(DAEMON), Just(VMM), 300_u32..310];
    let process = (
        pids.clone(),
        0_u32..3,
        any_program(),
        prop::collection::vec(any_place(), 0..3),
    );
    let process = process
        .prop_map(|(pid, parent, program, touches)| process_of(pid, parent, program, &touches));
    let thing = (0_u8..6, any_place(), prop::option::of(pids)).prop_map(|(which, place, pid)| {
        let (kind, clue) = match which {
            0 => (Kind::File, Clue::At(place)),
            1 => (Kind::Mount, Clue::At(place)),
            2 => (Kind::Socket, Clue::At(place)),
            3 => (Kind::Link, Clue::Mark(OURS.into())),
            4 => (Kind::Link, Clue::Named),
            _ => (Kind::Cgroup, Clue::None),
        };
        Seen {
            pid,
            ..seen(kind, "thing", clue)
        }
    });
    prop_oneof![process, thing]
}

fn any_present() -> impl Strategy<Value = Present> {
    prop::collection::vec(any_seen(), 0..12).prop_map(|seen| Present {
        seen: seen
            .into_iter()
            .enumerate()
            .map(|(number, mut seen)| {
                seen.thing.id = number.to_string();
                seen
            })
            .collect(),
        not_seen: vec![],
    })
}

proptest! {
    /// Each thing is counted once: owned, left, another's.
    #[test]
    fn nothing_is_lost_in_a_proof(present in any_present()) {
        let proof = prove(&present, None, &living(), true);
        prop_assert_eq!(proof.owned + proof.left.len() + proof.others.len(), present.seen.len());
    }

    /// Right after a baseline nothing is left, and everything that came since and is ours is.
    #[test]
    fn a_baseline_hides_exactly_what_it_saw(before in any_present(), after in any_present()) {
        let baseline = record(&before, &living());
        let proof = prove(&before, Some(&baseline), &living(), true);
        prop_assert!(proof.left.is_empty() && proof.others.is_empty());
        let mut later = after;
        for seen in &mut later.seen {
            seen.thing.id = format!("later {}", seen.thing.id);
        }
        let with = prove(&later, Some(&baseline), &living(), false);
        let without = prove(&later, None, &living(), false);
        prop_assert_eq!(with.left, without.left);
    }

    /// Who lives less owns less: what is left with a machine and a daemon is left without them, too.
    #[test]
    fn more_is_left_when_fewer_live(present in any_present()) {
        let gone = Living { uid: 7, installation: Some(OURS.into()), ..Living::default() };
        let left = |living: &Living| -> BTreeSet<Thing> {
            prove(&present, None, living, false).left.into_iter().map(|left| left.thing).collect()
        };
        let (with, without) = (left(&living()), left(&gone));
        // A port that the daemon has open goes with it.
        prop_assert!(with.is_subset(&without), "{:?} {:?}", with, without);
    }
}
