//! The rules: loaded, read back, removed as a whole.

use super::forwarding::{restore, switch_on, to_switch};
use super::{Host, change, conflict};
use crate::kernel::KernelError;
use crate::listing::Loaded;
use banger_model::host_names::TABLE;
use banger_model::policy::{Listed, Policy, Ruleset, Switched, removal};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Change, Did, Object};

/// Loads the policy's rules and checks that the kernel has them.
///
/// What is switched on is written into the rules before it is switched on, and stays there until it
/// is off again: whatever is killed in between, the next one knows.
pub(super) fn set(host: Host<'_>, policy: &Policy) -> Result<Vec<Change>, Fault> {
    let loaded = Loaded::read(host.kernel)?;
    check_owner(host, &loaded)?;
    let before = Switched::of(&loaded.skeleton);
    let wanted = to_switch(host, policy, &before)?;
    let turned_off = restore(host, &before, &wanted)?;
    let did = load(host, &loaded, &Ruleset::new(policy, &wanted))?;
    let turned_on = switch_on(host, policy, &wanted)?;
    let mut changes = vec![change(Object::Policy, did)];
    if turned_off || turned_on {
        changes.push(change(Object::Forwarding, Did::Adjusted));
    }
    Ok(changes)
}

/// One transaction, of elements alone where those are all that differs. What is not as it was loaded
/// is replaced as a whole.
fn load(host: Host<'_>, loaded: &Loaded, rules: &Ruleset) -> Result<Did, Fault> {
    let same_frame = loaded.is_whole() && loaded.mark() == Some(rules.mark());
    let elements = same_frame.then(|| rules.elements(&loaded.skeleton));
    let elements = elements.flatten();
    if elements.as_ref().is_some_and(String::is_empty) {
        return Ok(Did::WasSo);
    }
    // Refused, elements are not what they were a moment ago.
    let adjusted = elements.is_some_and(|elements| host.kernel.apply(&elements).is_ok());
    if !adjusted {
        host.kernel.apply(&rules.transaction())?;
    }
    let found = Loaded::read(host.kernel)?;
    verify(&found, rules)?;
    if !adjusted {
        host.kernel.apply(&Listed::transaction(&found.listed))?;
    } else if let Some(what) = changed(&found) {
        return Err(meddled(&what));
    }
    Ok(if loaded.families.is_empty() {
        Did::Made
    } else {
        Did::Adjusted
    })
}

/// Removes the rules, after what was switched on for them.
pub(super) fn clear(host: Host<'_>) -> Result<Vec<Change>, Fault> {
    let loaded = Loaded::read(host.kernel)?;
    if loaded.families.is_empty() {
        return Ok(vec![change(Object::Policy, Did::WasSo)]);
    }
    check_owner(host, &loaded)?;
    let turned_off = restore(host, &Switched::of(&loaded.skeleton), &Switched::default())?;
    host.kernel.apply(&removal())?;
    let mut changes = vec![change(Object::Policy, Did::Removed)];
    if turned_off {
        changes.push(change(Object::Forwarding, Did::Removed));
    }
    Ok(changes)
}

/// Tables with our name are ours if each carries our mark. One without a mark is somebody else's: a
/// transaction of ours loads both with it, or none.
fn check_owner(host: Host<'_>, loaded: &Loaded) -> Result<(), Fault> {
    let ours = host.place.installation;
    let other = loaded.marks.iter().find(|mark| mark.installation != ours);
    let whose = match other {
        Some(mark) => format!("belong to installation {}", mark.installation),
        None if loaded.marks.len() < loaded.families.len() => {
            "do not carry banger's mark".to_owned()
        }
        None => return Ok(()),
    };
    let remedy = format!(
        "if nothing needs them, remove them: nft delete table inet {TABLE}; nft delete table bridge {TABLE}"
    );
    Err(conflict(format!("the nftables tables named {TABLE} {whose}")).with_remedy(remedy))
}

fn verify(found: &Loaded, rules: &Ruleset) -> Result<(), Fault> {
    let difference = found.skeleton.difference(&rules.skeleton());
    let mark = || (found.mark() != Some(rules.mark())).then(|| "the mark".to_owned());
    let what = difference.or_else(mark);
    what.map_or(Ok(()), |what| Err(meddled(&what)))
}

fn meddled(what: &str) -> Fault {
    let message = format!("{what} is not what was loaded a moment ago");
    Fault::new(FaultCode::Failed, message).with_remedy("see which program changes it: nft monitor")
}

/// What was changed in tables that are ours since they were loaded; elements of sets aside.
pub(super) fn changed(loaded: &Loaded) -> Option<String> {
    if loaded.mark().is_none() {
        return Some("the marks of the two tables differ".to_owned());
    }
    let mut listed = loaded.listed.iter();
    let (family, _) = listed.find(|listed| !loaded.noted.contains(listed))?;
    let family = family.name();
    Some(format!("a chain, rule or set of table {family} {TABLE}"))
}

pub(super) fn read(host: Host<'_>) -> Result<Loaded, KernelError> {
    Loaded::read(host.kernel)
}
