use super::*;

fn machine(place: usize, state: &str) -> Machine {
    Machine {
        name: name_of(place),
        id: format!("{place:032}"),
        state: state.into(),
        pid: (state == "running").then_some(100 + u32::try_from(place).expect("small")),
        mark: Some(Ok(0)),
        ..Machine::default()
    }
}

fn seen(machines: Vec<Machine>) -> Seen {
    let running = || machines.iter().filter(|m| m.state == "running");
    let disks = FILES.map(str::to_owned);
    Seen {
        vmms: running()
            .filter_map(|m| Some((m.pid?, short(&m.id))))
            .collect(),
        runtime: running().map(|m| short(&m.id)).collect(),
        kept: machines
            .iter()
            .map(|m| (m.id.clone(), disks.clone().into()))
            .collect(),
        machines,
        ..Seen::default()
    }
}

fn at(fact: Fact) -> Place {
    Place {
        facts: [fact].into(),
        ..Place::default()
    }
}

fn going(kind: &str, place: usize) -> Going {
    Going {
        kind: kind.into(),
        name: name_of(place),
        machine: format!("{place:032}"),
        ..Going::default()
    }
}

fn one(places: &[Place], seen: &Seen) -> String {
    let wrong = complaints(places, seen);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    wrong[0].clone()
}

#[test]
fn a_world_that_is_as_it_must_be_has_no_complaints() {
    let places = [at(Fact::Running), at(Fact::Absent), at(Fact::Stopped)];
    let seen = seen(vec![machine(0, "running"), machine(2, "stopped")]);
    assert_eq!(complaints(&places, &seen), Vec::<String>::new());
}

#[test]
fn a_machine_that_is_lost_invented_doubled_or_in_a_wrong_state_is_told() {
    let running = [at(Fact::Running)];
    assert!(one(&running, &seen(vec![])).contains("lost"));
    let stopped = seen(vec![machine(0, "stopped")]);
    assert!(one(&running, &stopped).contains("is stopped"));
    let between = seen(vec![machine(0, "deleting")]);
    assert!(one(&[at(Fact::Absent)], &between).contains("is deleting"));
    let repair = seen(vec![machine(0, "needs-repair")]);
    assert!(one(&[at(Fact::Stopped)], &repair).contains("needs-repair"));
    let invented = seen(vec![machine(3, "stopped")]);
    assert!(one(&[at(Fact::Absent)], &invented).contains("never asked"));
    let mut twice = machine(0, "stopped");
    twice.id = "f".repeat(32);
    let doubled = seen(vec![machine(0, "stopped"), twice]);
    assert!(one(&[at(Fact::Stopped)], &doubled).contains("several"));
}

#[test]
fn a_machine_that_was_replaced_without_being_asked_is_told() {
    let mut place = at(Fact::Stopped);
    place.ids = ["e".repeat(32)].into();
    let seen = seen(vec![machine(0, "stopped")]);
    assert!(one(&[place.clone()], &seen).contains("another machine"));
    place.renewed = true;
    assert!(complaints(&[place], &seen).is_empty());
}

#[test]
fn processes_sockets_and_files_that_are_nobody_s_or_missing_are_told() {
    let (running, stopped) = ([at(Fact::Running)], [at(Fact::Stopped)]);
    let is_told = |places: &[Place], state: &str, change: &dyn Fn(&mut Seen), says: &str| {
        let mut changed = seen(vec![machine(0, state)]);
        change(&mut changed);
        let wrong = complaints(places, &changed).join("; ");
        assert!(wrong.contains(says), "{says}: {wrong}");
    };
    is_told(&running, "running", &|s| s.vmms.clear(), "VMMs are {}");
    is_told(&running, "running", &|s| s.runtime.clear(), "sockets of {}");
    is_told(
        &running,
        "running",
        &|s| s.kept.clear(),
        "runs without disks",
    );
    let orphan = |s: &mut Seen| drop(s.vmms.insert(7, "0".repeat(8)));
    is_told(&stopped, "stopped", &orphan, "VMMs are {7");
    let left = |s: &mut Seen| drop(s.kept.insert("dead".into(), BTreeSet::new()));
    is_told(&stopped, "stopped", &left, "directory dead is nobody's");
    let half = |s: &mut Seen| {
        let files = s.kept.values_mut().next().expect("one");
        files.insert("work.ext4.unfinished".into());
    };
    is_told(&stopped, "stopped", &half, "work.ext4.unfinished");
    let endless = |s: &mut Seen| s.operations.push(going("stop", 0));
    is_told(&stopped, "stopped", &endless, "the stop of s0 does not end");
    is_told(
        &stopped,
        "stopped",
        &|s| s.strangers = vec!["sleep".into()],
        "left behind: sleep",
    );
    is_told(
        &stopped,
        "stopped",
        &|s| s.carriers = vec!["0".repeat(8)],
        "left behind: the carrier of 0",
    );
    let lost = |s: &mut Seen| s.machines[0].ports = vec![80];
    is_told(&running, "running", &lost, "no carrier of 0");
    let unserved = |s: &mut Seen| s.machines[0].unreached = Some("it timed out".into());
    is_told(
        &running,
        "running",
        &unserved,
        "s0 is not reached: it timed out",
    );
    is_told(
        &stopped,
        "stopped",
        &|s| s.staging = vec!["x".into()],
        "staged: x",
    );
    let sockets = |s: &mut Seen| s.runtime.extend(["0".repeat(8)]);
    is_told(&stopped, "stopped", &sockets, "sockets of");
}

#[test]
fn a_creation_may_wait_for_a_client_that_was_killed_and_for_no_other() {
    let mut created = seen(vec![machine(0, "created")]);
    created.operations = vec![going("create", 0)];
    let half = "work.ext4.unfinished".to_owned();
    created
        .kept
        .values_mut()
        .for_each(|files| files.extend([half.clone()]));
    let mut places = [at(Fact::Created)];
    assert!(one(&places, &created).contains("the create of s0"));
    places[0].goes_by_itself = true;
    assert!(complaints(&places, &created).is_empty());
    narrow(&mut places, &created);
    assert!(places[0].goes_by_itself && places[0].facts.contains(&Fact::Absent));
    created.operations.clear();
    assert!(one(&places, &created).contains(&half));
}

#[test]
fn a_creation_that_waits_is_its_machine_s_whatever_that_is_called_now() {
    let mut renamed = seen(vec![machine(1, "created")]);
    renamed.operations = vec![Going {
        machine: renamed.machines[0].id.clone(),
        ..going("create", 0)
    }];
    let mut places = [at(Fact::Absent), at(Fact::Created)];
    assert!(one(&places, &renamed).contains("the create of s0"));
    places[1].goes_by_itself = true;
    assert!(complaints(&places, &renamed).is_empty());
    narrow(&mut places, &renamed);
    assert!(places[1].goes_by_itself && !places[0].goes_by_itself);
}

#[test]
fn a_machine_that_was_renamed_is_at_one_of_the_places_and_nobody_else_s() {
    let ids = |place: usize| BTreeSet::from([format!("{place:032}")]);
    let mut places = [at(Fact::Absent), at(Fact::Absent)];
    for place in &mut places {
        place.facts.insert(Fact::Stopped);
        place.ids = ids(0);
    }
    places[0].kept = ids(0);
    let mut there = machine(1, "stopped");
    there.id = format!("{:032}", 0);
    assert!(complaints(&places, &seen(vec![there.clone()])).is_empty());
    assert!(one(&places, &seen(vec![])).contains("is nowhere"));
    let mut other = vec![at(Fact::Stopped)];
    other[0].ids = ids(7);
    other[0].renewed = true;
    assert!(complaints(&other, &seen(vec![machine(0, "stopped")])).is_empty());
    other.extend(places);
    let mut taken = machine(0, "stopped");
    taken.id = format!("{:032}", 0);
    let wrong = complaints(&other, &seen(vec![taken])).join("; ");
    assert!(wrong.contains("s0 is another machine"), "{wrong}");
}

#[test]
fn a_label_that_is_not_as_it_was_written_is_told() {
    let mut place = at(Fact::Stopped);
    place.labels = [5].into();
    let mut other = machine(0, "stopped");
    assert!(one(&[place.clone()], &seen(vec![other.clone()])).contains("label 0"));
    other.label = Ok(5);
    assert!(complaints(&[place.clone()], &seen(vec![other.clone()])).is_empty());
    other.label = Err("two".into());
    assert!(one(&[place], &seen(vec![other])).contains("two"));
}

#[test]
fn data_that_was_synced_and_is_gone_is_told() {
    let mut place = at(Fact::Stopped);
    place.marks = [5].into();
    let mut other = machine(0, "stopped");
    assert!(one(&[place.clone()], &seen(vec![other.clone()])).contains("mark 0"));
    other.mark = Some(Ok(5));
    assert!(complaints(&[place.clone()], &seen(vec![other.clone()])).is_empty());
    other.mark = Some(Err("garbage".into()));
    assert!(one(&[place], &seen(vec![other])).contains("garbage"));
}

#[test]
fn addresses_and_ports_are_given_once() {
    let places = [at(Fact::Running), at(Fact::Running)];
    let mut both = [machine(0, "running"), machine(1, "running")];
    for one in &mut both {
        one.addresses = vec!["172.16.0.2".into()];
    }
    assert!(one(&places, &seen(both.to_vec())).contains("address 172.16.0.2"));
}

#[test]
fn what_was_seen_is_what_may_be_from_then_on() {
    let mut places = [at(Fact::Stopped), at(Fact::Running)];
    places[0].facts.insert(Fact::Running);
    places[0].renewed = true;
    let mut shown = machine(0, "stopped");
    shown.mark = Some(Ok(3));
    narrow(&mut places, &seen(vec![shown]));
    assert_eq!(places[0].facts, [Fact::Stopped].into());
    assert_eq!(
        (places[0].renewed, places[0].marks.clone()),
        (false, [3].into())
    );
    assert_eq!(places[1], Place::default(), "it is gone");
}

#[test]
fn a_creation_that_waits_for_its_client_is_not_that_of_the_machine_that_came_after_it() {
    let mut place = at(Fact::Running);
    place.goes_by_itself = true;
    let mut seen = seen(vec![machine(0, "running")]);
    seen.operations = vec![going("create", 0)];
    let mut places = [place.clone()];
    narrow(&mut places, &seen);
    assert!(places[0].goes_by_itself, "its own may be taken back");
    seen.operations[0].machine = "f".repeat(32);
    let mut places = [place];
    narrow(&mut places, &seen);
    assert!(!places[0].goes_by_itself, "another's says nothing of it");
}
