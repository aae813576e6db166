//! Renaming takes a machine from one place to another: places between which one was asked for are
//! judged together.
//!
//! ```text
//! a renaming alone that succeeded      the machine with all that it has is there, and here is none
//! one that was refused                 it is where it was
//! anything else                        any machine of the places may be at any of them; none is lost
//!                                      that nobody asked to delete
//! ```

use super::verbs::creates;
use super::{Asked, Befell, Fact, Place};
use crate::soak::judge::name_of;
use crate::soak::step::Verb;
use std::collections::BTreeSet;

/// Notes what was asked of all places, each with its number, and what befell each; gives back what
/// clients ended with though they could not.
#[must_use]
pub fn step(
    places: &mut [Place],
    asked: &[(usize, Asked)],
    befell: impl Fn(usize) -> Befell,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for group in groups(places.len(), asked) {
        let here = asked.iter().filter(|(place, _)| group.contains(place));
        let here: Vec<(usize, Asked)> = here.copied().collect();
        let judged = match here.as_slice() {
            [(from, one)] if group.len() > 1 => renamed(places, *from, *one, &befell),
            _ if group.len() > 1 => {
                let all: Vec<Asked> = here.iter().map(|(_, one)| *one).collect();
                mix(places, &group, &all);
                strike(places, &group, &all, &befell);
                Ok(())
            }
            _ => alone(places, &group, &here, &befell),
        };
        wrong.extend(judged.err());
    }
    wrong
}

/// Places that renamings have joined; each place is in one group.
fn groups(count: usize, asked: &[(usize, Asked)]) -> Vec<BTreeSet<usize>> {
    let mut groups: Vec<BTreeSet<usize>> = (0..count).map(|place| [place].into()).collect();
    for (from, one) in asked {
        let Verb::Rename(to) = one.verb else { continue };
        let has = |group: &BTreeSet<usize>| group.contains(from) || group.contains(&to);
        let (joined, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(has);
        groups = apart;
        groups.push(joined.into_iter().flatten().collect());
    }
    groups
}

fn alone(
    places: &mut [Place],
    group: &BTreeSet<usize>,
    here: &[(usize, Asked)],
    befell: &impl Fn(usize) -> Befell,
) -> Result<(), String> {
    let asked: Vec<Asked> = here.iter().map(|(_, one)| *one).collect();
    let number = group.first().copied().unwrap_or_default();
    let place = places.get_mut(number);
    let judged = place.map_or(Ok(()), |place| place.step(&asked, befell(number)));
    judged.map_err(|why| format!("{}: {why}", name_of(number)))
}

/// One renaming, and nothing else at either place.
fn renamed(
    places: &mut [Place],
    from: usize,
    one: Asked,
    befell: &impl Fn(usize) -> Befell,
) -> Result<(), String> {
    let Verb::Rename(to) = one.verb else {
        return Ok(());
    };
    let both = BTreeSet::from([from, to]);
    // It starts no guest: one that was killed is so wherever its machine is now.
    for number in &both {
        let Befell {
            vmm_killed,
            power_cut,
            ..
        } = befell(*number);
        if let Some(place) = places.get_mut(*number).filter(|_| vmm_killed || power_cut) {
            place.lose_vmm(true);
        }
    }
    let (Some(here), Some(there)) = (places.get(from).cloned(), places.get(to).cloned()) else {
        return Ok(());
    };
    let (is_free, is_taken) = (
        |fact: &Fact| *fact == Fact::Absent,
        |fact: &Fact| *fact != Fact::Absent,
    );
    let may_succeed = here.facts.iter().any(is_taken) && there.facts.iter().any(is_free);
    let may_fail = here.facts.iter().any(is_free) || there.facts.iter().any(is_taken);
    let uncertain = here.goes_by_itself || there.goes_by_itself;
    let cut_off = both.iter().any(|number| befell(*number).disturbed);
    match one.succeeded {
        Some(true) if may_succeed || uncertain => go(places, from, to),
        None | Some(false) if !may_succeed && !uncertain => {}
        None => mix(places, &both, &[one]),
        Some(false) if cut_off || uncertain => mix(places, &both, &[one]),
        Some(false) if may_fail => {}
        Some(succeeded) => {
            let ended = if succeeded { "succeeded" } else { "failed" };
            let (name, verb) = (name_of(from), one.verb);
            return Err(format!("{name}: {verb:?} {ended} from {here} to {there}"));
        }
    }
    Ok(())
}

/// The machine is at the other place, with all that it has.
fn go(places: &mut [Place], from: usize, to: usize) {
    let Some(here) = places.get_mut(from) else {
        return;
    };
    let mut gone = std::mem::take(here);
    here.goes_by_itself = gone.goes_by_itself;
    gone.facts.remove(&Fact::Absent);
    if gone.goes_by_itself {
        gone.facts.insert(Fact::Absent);
    }
    if let Some(there) = places.get_mut(to) {
        *there = gone;
    }
}

/// Any machine of the places may have come to be at any of them.
fn mix(places: &mut [Place], group: &BTreeSet<usize>, asked: &[Asked]) {
    let mut all: Option<Place> = None;
    for place in group.iter().filter_map(|number| places.get(*number)) {
        match &mut all {
            Some(all) => all.or(place),
            None => all = Some(place.clone()),
        }
    }
    let Some(mut all) = all else { return };
    all.facts.insert(Fact::Absent);
    all.anything(asked);
    all.renewed |= asked.iter().any(|one| creates(one.verb));
    let deletes = asked.iter().any(|one| one.verb == Verb::Delete);
    for number in group {
        if let Some(place) = places.get_mut(*number) {
            let may_go = deletes || place.goes_by_itself;
            let kept = std::mem::take(&mut place.ids);
            let kept = if may_go { BTreeSet::new() } else { kept };
            *place = Place {
                kept,
                ..all.clone()
            };
        }
    }
}

/// What was killed, of places that are mixed.
fn strike(
    places: &mut [Place],
    group: &BTreeSet<usize>,
    asked: &[Asked],
    befell: &impl Fn(usize) -> Befell,
) {
    let vmm_killed = group.iter().any(|number| befell(*number).vmm_killed);
    for number in group {
        let Some(place) = places.get_mut(*number) else {
            continue;
        };
        if vmm_killed {
            place.lose_vmm(false);
        }
        if befell(*number).power_cut {
            place.lose_vmm(true);
            place.go_on(asked);
        }
    }
}
