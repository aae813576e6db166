//! What is remembered, and whether anything lies about that nobody remembers.

use super::proof::{Looker, at_once};
use super::{check, from_fault};
use crate::services::Services;
use banger_model::SandboxState;
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::owner::doctor::{Kind, Leftover};

/// The most leftovers that are told one by one.
const MOST: usize = 20;

/// The database, and machines that need somebody.
pub(super) async fn checks(services: &Services) -> Vec<Check> {
    let (records, unreadable) = match services.store.all().await {
        Ok(found) => found,
        Err(error) => return vec![from_fault("state", Verdict::Fail, error.into())],
    };
    let mut checks = vec![if unreadable.is_empty() {
        check(
            "state",
            Verdict::Pass,
            format!("{} sandbox(es) recorded", records.len()),
        )
    } else {
        let words: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
        Check {
            remedy: Some(
                "use the banger that wrote them, or delete them with `banger vm rm`".into(),
            ),
            ..check("state", Verdict::Fail, words.join("; "))
        }
    }];
    // A daemon's own view has what could not be recorded on a full disk.
    let shown = services
        .registry
        .all()
        .into_iter()
        .map(|sandbox| sandbox.record());
    let mut all = records;
    for record in shown {
        all.retain(|other| other.id != record.id);
        all.push(record);
    }
    let broken = all
        .iter()
        .filter(|record| record.state == SandboxState::NeedsRepair);
    let broken: Vec<_> = broken.map(|record| record.name.to_string()).collect();
    checks.push(if broken.is_empty() {
        check("machines", Verdict::Pass, "none needs repair")
    } else {
        Check {
            remedy: Some(format!(
                "`banger repair {}`, or `banger doctor --fix`",
                broken.join(" ")
            )),
            ..check(
                "machines",
                Verdict::Fail,
                format!("need repair: {}", broken.join(", ")),
            )
        }
    });
    checks
}

/// What is left behind, each with what helps.
pub(super) async fn leftovers(services: &Services, looker: &Looker) -> Vec<Check> {
    const NAME: &str = "leftovers";
    let proof = match at_once(services, looker).await {
        Ok(proof) => proof,
        Err(fault) => return vec![from_fault(NAME, Verdict::Fail, fault)],
    };
    let mut checks: Vec<Check> = proof.left.iter().take(MOST).map(judge).collect();
    if proof.left.len() > MOST {
        let more = format!(
            "{} more: see `banger doctor --prove`",
            proof.left.len() - MOST
        );
        checks.push(check(NAME, Verdict::Warn, more));
    }
    if checks.is_empty() {
        let mut found = "nothing is left behind".to_owned();
        if !proof.not_seen.is_empty() {
            found += &format!("; not seen: {}", proof.not_seen.join("; "));
        }
        checks.push(check(NAME, Verdict::Pass, found));
    }
    checks
}

/// Whether `--fix` may remove it: what holds nobody's data and can be made again.
pub(super) fn is_removable(left: &Leftover) -> bool {
    let of_banger =
        left.belongs_to.starts_with("machine") || ["daemon", "helper"].contains(&&*left.belongs_to);
    left.thing.kind == Kind::File && of_banger && !left.thing.name.contains("/sandboxes/")
}

fn judge(left: &Leftover) -> Check {
    let Leftover {
        thing,
        belongs_to,
        why,
        ..
    } = left;
    let found = format!(
        "{} {}: {why} (belongs to: {belongs_to})",
        thing.kind.word(),
        thing.name
    );
    let remedy = match (thing.kind, left.pid) {
        _ if is_removable(left) => "`banger doctor --fix` removes it".to_owned(),
        (Kind::File, _) if thing.name.contains("/sandboxes/") => format!(
            "`banger repair` removes it if it has no work disk; else keep what you need of it, then `rm -r {}`",
            thing.name
        ),
        (Kind::File, _) => "if you did not put it there: remove it".to_owned(),
        (Kind::Link | Kind::Rules, _) if belongs_to == "daemon" => {
            "`banger doctor --fix` sweeps it".to_owned()
        }
        (Kind::Process, Some(pid)) => format!("look what it is doing, then `kill {pid}`"),
        (Kind::Mount, _) => format!("`umount {}`", thing.name),
        (Kind::Loop, _) => format!("`losetup -d {}`", thing.name),
        (Kind::Link, _) => format!("`ip link delete {}`, if it is nobody's", thing.name),
        _ => "`banger doctor --prove` says more; what was there before banger is left out after `--baseline`".to_owned(),
    };
    Check {
        remedy: Some(remedy),
        ..check("leftovers", Verdict::Warn, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::owner::doctor::Thing;

    fn left(kind: Kind, name: &str, belongs_to: &str) -> Leftover {
        Leftover {
            thing: Thing {
                kind,
                name: name.into(),
                id: String::new(),
            },
            belongs_to: belongs_to.into(),
            sandbox: None,
            pid: (kind == Kind::Process).then_some(7),
            uid: None,
            why: "is left".into(),
        }
    }

    #[test]
    fn only_what_holds_nobodys_data_is_removed_by_fix() {
        let machine = "machine web (01234567), stopped";
        assert!(is_removable(&left(Kind::File, "/r/vm/01234567", machine)));
        assert!(is_removable(&left(Kind::File, "/r/bangerd.sock", "daemon")));
        for (kind, name, whose) in [
            (Kind::File, "/s/banger/sandboxes/0123", machine),
            (Kind::File, "/s/banger/notes.txt", "unknown (user 0)"),
            (Kind::Process, "7 qemu-system-x86_64", machine),
            (Kind::Mount, "/r/vm/01234567", "unknown"),
        ] {
            assert!(!is_removable(&left(kind, name, whose)), "{name}");
        }
    }

    #[test]
    fn each_leftover_has_its_remedy() {
        for (kind, name, part) in [
            (Kind::File, "/s/banger/sandboxes/0123", "banger repair"),
            (Kind::Process, "7 qemu-system-x86_64", "kill 7"),
            (Kind::Mount, "/s/banger/x", "umount /s/banger/x"),
            (Kind::Loop, "/dev/loop0", "losetup -d /dev/loop0"),
        ] {
            let check = judge(&left(kind, name, "unknown"));
            assert_eq!(check.verdict, Verdict::Warn);
            assert!(
                check
                    .remedy
                    .as_ref()
                    .is_some_and(|remedy| remedy.contains(part)),
                "{check:?}"
            );
        }
    }
}
