//! The rules: replaced as a whole, read back, removed as a whole.

use super::forwarding::{restore, switch_on, to_switch};
use super::{Host, change, conflict};
use crate::kernel::KernelError;
use crate::listing::Loaded;
use banger_model::host_names::TABLE;
use banger_model::policy::{Policy, Ruleset, Switched, removal};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Change, Did, Object};

/// Loads the policy's rules in one transaction and checks that the kernel has them.
///
/// What is switched on is written into the rules before it is switched on, and stays there until it
/// is off again: whatever is killed in between, the next one knows.
pub(super) fn set(host: Host<'_>, policy: &Policy) -> Result<Vec<Change>, Fault> {
    let loaded = Loaded::read(host.kernel)?;
    check_owner(host, &loaded)?;
    let before = Switched::of(&loaded.skeleton);
    let wanted = to_switch(host, policy, &before)?;
    let turned_off = restore(host, &before, &wanted)?;
    let rules = Ruleset::new(policy, &wanted);
    let was_so = is_loaded(&loaded, &rules, policy);
    if !was_so {
        host.kernel.apply(&rules.transaction(policy))?;
    }
    let turned_on = switch_on(host, policy, &wanted)?;
    if !was_so {
        verify(host, &rules, policy)?;
    }
    let did = match (was_so, loaded.families.is_empty()) {
        (true, _) => Did::WasSo,
        (false, true) => Did::Made,
        (false, false) => Did::Adjusted,
    };
    let mut changes = vec![change(Object::Policy, did)];
    if turned_off || turned_on {
        changes.push(change(Object::Forwarding, Did::Adjusted));
    }
    Ok(changes)
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

fn is_loaded(loaded: &Loaded, rules: &Ruleset, policy: &Policy) -> bool {
    loaded.mark() == Some(rules.mark(policy)) && loaded.skeleton == rules.skeleton()
}

fn verify(host: Host<'_>, rules: &Ruleset, policy: &Policy) -> Result<(), Fault> {
    let loaded = Loaded::read(host.kernel)?;
    if is_loaded(&loaded, rules, policy) {
        return Ok(());
    }
    let what = loaded.skeleton.difference(&rules.skeleton());
    let what = what.unwrap_or_else(|| "the mark".to_owned());
    Err(Fault::new(
        FaultCode::Failed,
        format!("{what} is not what was loaded a moment ago"),
    )
    .with_remedy("see which program changes it: nft monitor"))
}

/// What was changed in tables that are ours since they were loaded.
pub(super) fn changed(loaded: &Loaded) -> Option<String> {
    match loaded.mark() {
        None => Some("the marks of the two tables differ".to_owned()),
        Some(mark) if mark.skeleton != loaded.skeleton.digest() => {
            Some("chains, rules or sets are not those that were loaded".to_owned())
        }
        Some(_) => None,
    }
}

pub(super) fn read(host: Host<'_>) -> Result<Loaded, KernelError> {
    Loaded::read(host.kernel)
}
