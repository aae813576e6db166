use super::*;
use Fact::{Absent, Created, Running, Stopped};

const CALM: Befell = Befell {
    disturbed: false,
    vmm_killed: false,
    power_cut: false,
};
const DAEMON_KILLED: Befell = Befell {
    disturbed: true,
    ..CALM
};

fn at(fact: Fact) -> Place {
    Place {
        facts: [fact].into(),
        ..Place::default()
    }
}

fn asked(verb: Verb, succeeded: bool) -> Asked {
    Asked {
        verb,
        mark: 9,
        succeeded: Some(succeeded),
    }
}

fn facts(place: &Place) -> Vec<Fact> {
    place.facts.iter().copied().collect()
}

#[test]
fn what_succeeded_is_so_even_when_the_daemon_was_killed() {
    for (verb, before, after) in [
        (Verb::Create, Absent, Created),
        (Verb::RunDetached, Absent, Running),
        (Verb::RunRm, Absent, Absent),
        (Verb::Start, Created, Running),
        (Verb::Stop, Running, Stopped),
        (Verb::Stop, Created, Created),
        (Verb::Delete, Running, Absent),
    ] {
        let mut place = at(before);
        place
            .step(&[asked(verb, true)], DAEMON_KILLED)
            .expect("possible");
        assert_eq!(facts(&place), [after], "{verb:?}");
    }
}

#[test]
fn what_must_succeed_and_fails_is_told_unless_something_was_killed() {
    assert!(
        at(Stopped)
            .step(&[asked(Verb::Start, false)], CALM)
            .is_err()
    );
    let mut place = at(Stopped);
    place
        .step(&[asked(Verb::Start, false)], DAEMON_KILLED)
        .expect("cut off");
    assert_eq!(facts(&place), [Stopped, Running]);
}

#[test]
fn what_must_be_refused_and_succeeds_is_told_whatever_was_killed() {
    for (verb, fact) in [
        (Verb::Create, Stopped),
        (Verb::Exec, Stopped),
        (Verb::Delete, Absent),
        (Verb::Unpublish, Running),
    ] {
        let judged = at(fact).step(&[asked(verb, true)], DAEMON_KILLED);
        assert!(judged.is_err(), "{verb:?}");
        let judged = at(fact).step(&[asked(verb, false)], CALM);
        assert!(judged.is_ok(), "{verb:?}");
    }
}

#[test]
fn verbs_at_once_may_come_in_any_order() {
    let mut place = at(Stopped);
    let both = [asked(Verb::Delete, true), asked(Verb::RunDetached, true)];
    place.step(&both, CALM).expect("anything");
    assert_eq!(facts(&place), [Absent, Created, Stopped, Running]);
    assert!(place.renewed);
    let mut place = at(Running);
    let both = [asked(Verb::Stop, true), asked(Verb::Exec, false)];
    place.step(&both, CALM).expect("anything");
    assert_eq!(facts(&place), [Stopped, Running]);
}

#[test]
fn nothing_changes_where_nothing_was_asked_but_a_power_cut_stops_guests() {
    let mut place = at(Running);
    place.step(&[], DAEMON_KILLED).expect("nothing");
    assert_eq!(facts(&place), [Running]);
    let cut = Befell::of(Some(Blow::PowerCut(true)), true, 0);
    place.step(&[], cut).expect("nothing");
    assert_eq!(facts(&place), [Stopped]);
}

#[test]
fn a_start_that_a_power_cut_cut_off_may_be_gone_on_with_and_one_that_was_done_is_not() {
    let cut = Befell::of(Some(Blow::PowerCut(false)), true, 0);
    let mut place = at(Stopped);
    let killed = Asked {
        succeeded: None,
        ..asked(Verb::Start, false)
    };
    place.step(&[killed], cut).expect("cut off");
    assert_eq!(facts(&place), [Stopped, Running]);
    let mut place = at(Stopped);
    place.step(&[asked(Verb::Start, true)], cut).expect("done");
    assert_eq!(facts(&place), [Stopped]);
}

#[test]
fn a_killed_vmm_is_one_machine_s_alone() {
    let blow = Some(Blow::KillVmm(1));
    assert_eq!(Befell::of(blow, true, 0), CALM);
    assert_eq!(Befell::of(blow, false, 1), CALM);
    let mut place = at(Running);
    place.step(&[], Befell::of(blow, true, 1)).expect("nothing");
    assert_eq!(facts(&place), [Stopped]);
    let mut place = at(Running);
    let restarted = [asked(Verb::Restart, true)];
    place
        .step(&restarted, Befell::of(blow, true, 1))
        .expect("either");
    assert_eq!(facts(&place), [Stopped, Running]);
}

#[test]
fn a_mark_that_was_synced_is_there_and_one_that_was_cut_off_may_be() {
    let mut place = at(Running);
    place
        .step(&[asked(Verb::Mark, true)], DAEMON_KILLED)
        .expect("fine");
    assert_eq!(place.marks, [9].into());
    let cut_off = Asked {
        mark: 10,
        ..asked(Verb::Mark, false)
    };
    place.step(&[cut_off], DAEMON_KILLED).expect("cut off");
    assert_eq!(place.marks, [9, 10].into());
}

#[test]
fn a_run_rm_that_was_cut_off_leaves_what_goes_by_itself() {
    let mut place = at(Absent);
    let killed = Asked {
        succeeded: None,
        ..asked(Verb::RunRm, false)
    };
    place.step(&[killed], DAEMON_KILLED).expect("cut off");
    assert!(place.goes_by_itself);
    place.facts = [Running].into();
    place.step(&[], CALM).expect("nothing");
    assert_eq!(facts(&place), [Absent, Running]);
}

const REBOOT: Befell = Befell {
    disturbed: true,
    vmm_killed: false,
    power_cut: true,
};

/// Two places: a machine with all that one can have, and another place.
fn two(here: Fact, there: Fact) -> [Place; 2] {
    let machine = Place {
        ids: ["a".to_owned()].into(),
        nat: [true].into(),
        published: [true].into(),
        marks: [4].into(),
        labels: [3].into(),
        ..at(here)
    };
    let other = Place {
        ids: (there != Absent)
            .then(|| "b".to_owned())
            .into_iter()
            .collect(),
        ..at(there)
    };
    [machine, other]
}

fn rename(succeeded: Option<bool>) -> Asked {
    Asked {
        verb: Verb::Rename(1),
        mark: 9,
        succeeded,
    }
}

fn step_two(places: &mut [Place], asked: &[(usize, Asked)], befell: Befell) -> Vec<String> {
    step(places, asked, |_| befell)
}

#[test]
fn a_renamed_machine_takes_all_that_it_has_with_it() {
    let mut places = two(Running, Absent);
    let before = places[0].clone();
    let wrong = step_two(&mut places, &[(0, rename(Some(true)))], DAEMON_KILLED);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(places, [Place::default(), before]);
    let mut places = two(Running, Absent);
    let wrong = step_two(&mut places, &[(0, rename(Some(true)))], REBOOT);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(facts(&places[1]), [Stopped]);
}

#[test]
fn a_name_that_is_taken_is_not_had_and_one_that_is_free_is() {
    for (here, there, succeeded) in [
        (Stopped, Created, true),
        (Absent, Absent, true),
        (Stopped, Absent, false),
    ] {
        let mut places = two(here, there);
        let wrong = step_two(&mut places, &[(0, rename(Some(succeeded)))], CALM);
        assert!(wrong.len() == 1 && wrong[0].contains("s0"), "{wrong:?}");
    }
    let mut places = two(Stopped, Running);
    let wrong = step_two(&mut places, &[(0, rename(Some(false)))], DAEMON_KILLED);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(places, two(Stopped, Running));
}

#[test]
fn a_rename_that_was_cut_off_may_have_happened_and_loses_no_machine() {
    for succeeded in [Some(false), None] {
        let mut places = two(Stopped, Absent);
        let wrong = step_two(&mut places, &[(0, rename(succeeded))], DAEMON_KILLED);
        assert!(wrong.is_empty(), "{wrong:?}");
        for place in &places {
            assert_eq!(facts(place), [Absent, Stopped]);
            assert_eq!((place.ids.len(), place.renewed), (1, false));
            assert_eq!(place.labels, [3, 0].into());
        }
        assert_eq!((places[0].kept.len(), places[1].kept.len()), (1, 0));
    }
}

#[test]
fn places_that_a_rename_joins_have_what_any_order_leads_to() {
    let mut places = two(Running, Absent);
    let all = [
        (0, rename(Some(true))),
        (0, asked(Verb::Stop, true)),
        (1, asked(Verb::Create, false)),
    ];
    let wrong = step_two(&mut places, &all, CALM);
    assert!(wrong.is_empty(), "{wrong:?}");
    for place in &places {
        assert_eq!(facts(place), [Absent, Created, Stopped, Running]);
        assert!(place.renewed);
    }
    assert!(places[0].kept.contains("a"), "nobody asked to delete it");
    let mut places = two(Running, Absent);
    let all = [(0, rename(Some(true))), (1, asked(Verb::Delete, true))];
    let wrong = step_two(&mut places, &all, REBOOT);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(places.iter().all(|place| place.kept.is_empty()));
    assert_eq!(facts(&places[1]), [Absent, Stopped], "nothing starts one");
}

#[test]
fn places_that_nothing_joins_are_judged_apart() {
    let mut places = two(Running, Stopped);
    let to_itself = Asked {
        verb: Verb::Rename(0),
        ..rename(Some(true))
    };
    let all = [(0, to_itself), (1, asked(Verb::Start, false))];
    let wrong = step_two(&mut places, &all, CALM);
    assert!(
        wrong.len() == 1 && wrong[0].contains("s1: Start failed"),
        "{wrong:?}"
    );
    assert_eq!(places, two(Running, Stopped));
}

#[test]
fn what_was_cancelled_has_not_succeeded_and_is_undone() {
    let cancelled = asked(Verb::Cancel(5), true);
    for (verb, before, after) in [
        (Verb::Create, Absent, &[Absent][..]),
        (Verb::RunDetached, Absent, &[Absent]),
        (Verb::Start, Created, &[Created, Stopped]),
        (Verb::Restart, Running, &[Stopped, Running]),
        (Verb::Delete, Running, &[Running]),
        (Verb::Label, Stopped, &[Stopped]),
    ] {
        let mut place = at(before);
        let both = [asked(verb, false), cancelled];
        place.step(&both, DAEMON_KILLED).expect("undone");
        assert_eq!(facts(&place), after, "{verb:?}");
        assert_eq!(place.labels, [0].into());
        let both = [cancelled, asked(verb, true)];
        assert!(at(before).step(&both, CALM).is_err(), "{verb:?}");
    }
    let both = [asked(Verb::Exec, false), cancelled];
    assert!(at(Stopped).step(&both, CALM).is_err(), "no operation");
    assert!(at(Stopped).step(&[cancelled], CALM).is_err(), "nothing");
}

#[test]
fn what_could_not_be_cancelled_is_as_if_nobody_had_tried() {
    let refused = asked(Verb::Cancel(5), false);
    let mut place = at(Running);
    let both = [asked(Verb::Stop, true), refused];
    place.step(&both, CALM).expect("stopped");
    assert_eq!(facts(&place), [Stopped]);
    let both = [asked(Verb::Start, false), refused];
    assert!(at(Stopped).step(&both, CALM).is_err());
    let mut place = at(Stopped);
    place.step(&both, DAEMON_KILLED).expect("cut off");
    assert_eq!(facts(&place), [Stopped, Running]);
}

#[test]
fn a_cancelled_start_is_not_gone_on_with_after_a_power_cut() {
    let mut place = at(Stopped);
    let both = [asked(Verb::Start, false), asked(Verb::Cancel(5), true)];
    place.step(&both, REBOOT).expect("undone");
    assert_eq!(facts(&place), [Stopped]);
}

#[test]
fn a_creation_that_waits_for_its_client_may_be_cancelled_by_anybody() {
    let mut place = at(Absent);
    place.may_come_and_go();
    place
        .step(&[asked(Verb::Cancel(5), true)], CALM)
        .expect("gone");
    assert!(facts(&place).contains(&Absent) && place.goes_by_itself);
}

#[test]
fn a_label_is_the_last_that_was_written_or_one_that_was_cut_off() {
    let mut place = at(Created);
    place
        .step(&[asked(Verb::Label, true)], DAEMON_KILLED)
        .expect("written");
    assert_eq!(place.labels, [9].into());
    place
        .step(&[asked(Verb::Unlabel, false)], DAEMON_KILLED)
        .expect("cut off");
    assert_eq!(place.labels, [0, 9].into());
}

#[test]
fn a_repair_changes_nothing_that_is_as_it_should_be() {
    for fact in [Created, Stopped, Running] {
        let mut place = at(fact);
        place
            .step(&[asked(Verb::Repair, true)], CALM)
            .expect("fine");
        assert_eq!(facts(&place), [fact]);
        assert!(at(fact).step(&[asked(Verb::Repair, false)], CALM).is_err());
    }
    assert!(at(Absent).step(&[asked(Verb::Repair, true)], CALM).is_err());
    assert!(
        at(Absent)
            .step(&[asked(Verb::RepairAll, false)], CALM)
            .is_err()
    );
}
