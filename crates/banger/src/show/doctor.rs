//! What `doctor` found, did and proved.

use super::table::{Table, Tone};
use super::words::{count, harmless};
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::owner::doctor::{Proof, Repair};

/// The checks, each remedy under its check.
#[must_use]
pub fn checks(checks: &[Check]) -> Table {
    let mut table = Table::new(&[]);
    for check in checks {
        let (word, tone) = match check.verdict {
            Verdict::Pass => ("PASS", Tone::Good),
            Verdict::Warn => ("WARN", Tone::Warning),
            Verdict::Fail => ("FAIL", Tone::Bad),
        };
        let name = check.name.as_str();
        table.row([
            (word, tone),
            (name, Tone::Strong),
            (&check.found, Tone::Plain),
        ]);
        if let Some(remedy) = &check.remedy {
            let remedy = format!("remedy: {remedy}");
            table.row([("", Tone::Plain), ("", Tone::Plain), (&remedy, Tone::Plain)]);
        }
    }
    table
}

/// What was repaired, and what could not be.
#[must_use]
pub fn repairs(repairs: &[Repair]) -> Table {
    let mut table = Table::new(&[]);
    for repair in repairs {
        let (word, tone) = match repair.failed {
            None => ("DONE", Tone::Good),
            Some(_) => ("NOT DONE", Tone::Bad),
        };
        table.row([(word, tone), (&repair.did, Tone::Plain)]);
        if let Some(why) = &repair.failed {
            table.row([("", Tone::Plain), (why, Tone::Plain)]);
        }
    }
    table
}

/// What is left behind and whose it is, what could not be seen, and the sum of it.
#[must_use]
pub fn proof(proof: &Proof, color: bool) -> String {
    let mut text = String::new();
    if !proof.left.is_empty() {
        let mut table = Table::new(&["LEFT", "NAME", "BELONGS TO", "WHY"]);
        for left in &proof.left {
            table.row([
                (left.thing.kind.word(), Tone::Bad),
                (&left.thing.name, Tone::Plain),
                (&left.belongs_to, Tone::Strong),
                (&left.why, Tone::Plain),
            ]);
        }
        text += &table.render(color);
    }
    if !proof.others.is_empty() {
        let mut table = Table::new(&["NEW", "NAME, NOT BANGER'S"]);
        for other in &proof.others {
            table.row([(other.kind.word(), Tone::Faint), (&other.name, Tone::Plain)]);
        }
        text += &table.render(color);
    }
    for what in &proof.not_seen {
        let line = format!("not seen: {}", harmless(what));
        text += &format!("{}\n", Tone::Warning.paint(&line, color));
    }
    let sum = match proof.left.len() {
        0 => Tone::Good.paint("nothing is left behind", color),
        left => Tone::Bad.paint(
            &format!("{} left behind", count(left, "thing is", "things are")),
            color,
        ),
    };
    let before = match &proof.baseline {
        Some(made) => format!("compared with the baseline of {made}"),
        None => "there is no baseline".to_owned(),
    };
    text + &format!(
        "{sum}; {} in use; {before}\n",
        count(proof.owned, "thing", "things")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::owner::doctor::{Kind, Leftover, Thing};

    #[test]
    fn each_check_has_its_verdict_and_its_remedy() {
        let check = |name: &str, verdict, remedy: Option<&str>| Check {
            name: name.into(),
            verdict,
            found: "found so".into(),
            remedy: remedy.map(Into::into),
        };
        let all = [
            check("qemu", Verdict::Pass, None),
            check("kvm", Verdict::Warn, Some("load the module")),
        ];
        insta::assert_snapshot!(checks(&all).render(false), @"
        PASS  qemu  found so
        WARN  kvm   found so
                    remedy: load the module
        ");
    }

    fn sample() -> Proof {
        let left = Leftover {
            thing: Thing {
                kind: Kind::Process,
                name: "4711 qemu-system-x86_64".into(),
                id: "9".into(),
            },
            belongs_to: "machine web (01234567)".into(),
            sandbox: Some("01234567".into()),
            pid: Some(4711),
            uid: Some(1000),
            why: "runs for a machine that no record knows".into(),
        };
        Proof {
            left: vec![left],
            owned: 12,
            not_seen: vec!["nftables: needs root".into()],
            baseline: None,
            others: vec![],
        }
    }

    #[test]
    fn a_proof_names_what_is_left_and_whose_it_is() {
        insta::assert_snapshot!(proof(&sample(), false), @"
        LEFT     NAME                     BELONGS TO              WHY
        process  4711 qemu-system-x86_64  machine web (01234567)  runs for a machine that no record knows
        not seen: nftables: needs root
        1 thing is left behind; 12 things in use; there is no baseline
        ");
        let mut clean = sample();
        clean.left.clear();
        clean.not_seen.clear();
        insta::assert_snapshot!(proof(&clean, false), @"nothing is left behind; 12 things in use; there is no baseline");
    }

    #[test]
    fn repairs_say_what_was_done_and_what_not() {
        let repair = |failed: Option<&str>| Repair {
            did: "removed x".into(),
            failed: failed.map(Into::into),
        };
        insta::assert_snapshot!(repairs(&[repair(None), repair(Some("busy"))]).render(false), @"
        DONE      removed x
        NOT DONE  removed x
                  busy
        ");
    }
}
