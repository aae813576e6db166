use super::*;
use banger_model::spec::{Init, NetworkMode, Source, Sourced};
use std::collections::BTreeSet;

fn sourced<T>(value: T) -> Sourced<T> {
    Sourced::new(value, Source::Builtin)
}

fn seen(state: SandboxState) -> Seen {
    let spec = Spec {
        image: sourced("debian".parse().expect("a name")),
        kernel: sourced("default".parse().expect("a name")),
        vcpu: sourced(1.try_into().expect("in range")),
        memory: sourced(512.try_into().expect("in range")),
        work_disk: sourced(1024.try_into().expect("in range")),
        system_disk: sourced(1024.try_into().expect("in range")),
        network: sourced(NetworkMode::User),
        nat: false,
        networks: BTreeSet::new(),
        links: BTreeSet::new(),
        init: Init::Auto,
        ephemeral: false,
        pooled: None,
        checkpoint: false,
        publish: vec![],
        labels: Default::default(),
    };
    let record = Record {
        id: banger_model::SandboxId::from_random([7; 16]),
        name: "web".parse().expect("a name"),
        state,
        reason: None,
        created_at: 0,
        spec,
        run: None,
        network: None,
        unfinished: None,
    };
    Seen {
        record,
        linked: false,
        stalled: None,
        gone: false,
    }
}

fn of(before: &Seen, after: &Seen) -> Vec<What> {
    changes(before, after, false, &mut false)
}

fn published(text: &str, chosen: Option<u16>) -> Published {
    Published {
        asked: text.parse().expect("a publication"),
        chosen: chosen.map(|port| port.try_into().expect("not 0")),
    }
}

#[test]
fn nothing_happens_where_nothing_changes() {
    for state in SandboxState::ALL {
        assert_eq!(of(&seen(state), &seen(state)), []);
    }
}

/// Each change of state gives one event at most; those that are only on the way give none.
#[test]
fn each_state_that_an_owner_waits_for_is_told() {
    use SandboxState::{
        Created, Deleting, NeedsRepair, Running, Starting, Stopped, Stopping, Suspended, Unreadable,
    };
    let word = |from, to| {
        let told = of(&seen(from), &seen(to));
        assert!(told.len() <= 1, "{told:?}");
        told.first().map(What::word)
    };
    for from in SandboxState::ALL {
        for to in SandboxState::ALL {
            let expected = match (from, to) {
                (from, to) if from == to => None,
                (_, Stopping | Deleting | Unreadable) => None,
                (_, NeedsRepair) => Some("needs repair"),
                (NeedsRepair, _) => Some("repaired"),
                (_, Starting) => Some("starting"),
                (_, Running) => Some("started"),
                (Starting, Created | Stopped | Suspended) => Some("start failed"),
                (Created, Suspended) => None,
                (_, Suspended) => Some("suspended"),
                (_, Created | Stopped) => Some("stopped"),
            };
            assert_eq!(word(from, to), expected, "{from} to {to}");
        }
    }
}

#[test]
fn reasons_are_told() {
    let mut after = seen(SandboxState::Stopped);
    after.record.reason = Some("it was killed".into());
    let told = of(&seen(SandboxState::Running), &after);
    assert_eq!(told[0].detail(), "it was killed");
    after.record.state = SandboxState::NeedsRepair;
    let told = of(&seen(SandboxState::Running), &after);
    assert_eq!(told[0].detail(), "it was killed");
}

#[test]
fn what_is_set_is_named_as_it_is_shown() {
    let (before, mut after) = (seen(SandboxState::Stopped), seen(SandboxState::Stopped));
    after.record.spec.nat = true;
    after.record.spec.vcpu = sourced(2.try_into().expect("in range"));
    let fields = vec!["vcpu".to_owned(), "nat".to_owned()];
    assert_eq!(of(&before, &after), [What::Set { fields }]);
    // Where a value comes from is no change of it.
    let mut after = before.clone();
    after.record.spec.vcpu.source = Source::Request;
    assert_eq!(of(&before, &after), []);
}

#[test]
fn ports_are_told_and_a_port_that_was_found_is_not() {
    let (mut before, mut after) = (seen(SandboxState::Running), seen(SandboxState::Running));
    before.record.spec.publish = vec![published("0:80", None), published("8080:81", None)];
    after.record.spec.publish = vec![published("0:80", Some(4711)), published("9090:82", None)];
    let told = of(&before, &after);
    assert_eq!(
        told.iter().map(What::word).collect::<Vec<_>>(),
        ["published", "unpublished"]
    );
    assert!(
        told[0].detail().contains("9090") && told[1].detail().contains("8080"),
        "{told:?}"
    );
}

#[test]
fn a_link_that_is_lost_and_made_again_is_told_and_the_first_one_is_not() {
    let mut lost = false;
    let (without, mut with) = (seen(SandboxState::Running), seen(SandboxState::Running));
    with.linked = true;
    let mut tell =
        |before: &Seen, after: &Seen, working| changes(before, after, working, &mut lost);
    assert_eq!(tell(&without, &with, false), []);
    assert_eq!(tell(&with, &without, false), [What::LinkLost]);
    assert_eq!(tell(&without, &with, false), [What::LinkMade]);
    // A stop lets the link go first: that is no loss.
    assert_eq!(tell(&with, &without, true), []);
    assert_eq!(tell(&without, &with, false), []);
    // After a loss the guest ended; the next start's link is its first.
    assert_eq!(tell(&with, &without, false), [What::LinkLost]);
    tell(&without, &seen(SandboxState::Stopped), false);
    assert_eq!(tell(&without, &with, false), []);
}

#[test]
fn a_pause_and_its_end_are_told() {
    let (going, mut paused) = (seen(SandboxState::Running), seen(SandboxState::Running));
    paused.stalled = Some("no room".into());
    let reason = "no room".to_owned();
    assert_eq!(of(&going, &paused), [What::Paused { reason }]);
    assert_eq!(of(&paused, &going), [What::Resumed]);
    let stopped = of(&paused, &seen(SandboxState::Stopped));
    assert_eq!(stopped, [What::Stopped { reason: None }]);
}

#[test]
fn a_name_and_the_end_are_told() {
    let (before, mut after) = (seen(SandboxState::Stopped), seen(SandboxState::Stopped));
    after.record.name = "api".parse().expect("a name");
    after.gone = true;
    let from = "web".to_owned();
    assert_eq!(of(&before, &after), [What::Renamed { from }, What::Deleted]);
}
