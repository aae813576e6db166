//! The doctor: that it looks, does not touch, and misses nothing.

use super::{full_disk, unit, whole};
use crate::mutate::Mutation;

const LEFT: &str = "doctor::each_thing_that_is_left_on_purpose_is_found_and_is_somebodys";

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "a baseline is made where banger has never run",
        file: "crates/bangerd/src/doctor/proof.rs",
        from: "    serve::make(&services.layout.state)?;\n",
        to: "",
        test: whole(
            "doctor::a_baseline_is_made_where_banger_has_never_run_or_says_where_it_cannot_write",
        ),
    },
    Mutation {
        holds: "a database that no daemon can open is told",
        file: "crates/bangerd/src/doctor/apart.rs",
        from: "None => copy(&layout, scratch),",
        to: "None => Ok(None),",
        test: whole("doctor::a_database_that_no_daemon_can_open_is_told_and_not_touched"),
    },
    Mutation {
        holds: "a VMM that no record knows is found",
        file: "crates/bangerd/src/doctor/prove/mod.rs",
        from: "if !is_machines && self.ours.contains(&pid) {",
        to: "if is_machines || self.ours.contains(&pid) {",
        test: whole(LEFT),
    },
    Mutation {
        holds: "files of a machine that no record knows are found",
        file: "crates/bangerd/src/doctor/prove/mod.rs",
        from: "None if self.living.is_unreadable(id) => Belongs::Living,",
        to: "None => Belongs::Living,",
        test: whole(LEFT),
    },
    Mutation {
        holds: "what a machine that runs has is not left behind",
        file: "crates/bangerd/src/doctor/living.rs",
        from: "self.vmm.is_some() || self.in_between",
        to: "self.in_between",
        test: whole("doctor::nothing_is_left_of_machines_whatever_was_done_with_them"),
    },
    Mutation {
        holds: "a baseline does not hide what lived when it was made",
        file: "crates/bangerd/src/doctor/prove/mod.rs",
        from: "let seen = seen.filter(|seen| judge.belongs(seen) != Belongs::Living);",
        to: "let seen = seen.filter(|seen| judge.belongs(seen) != Belongs::Living || !judge.ours.is_empty());",
        test: unit(
            "bangerd",
            "doctor::prove::tests::a_baseline_hides_what_was_there_but_not_what_lived_then",
        ),
    },
    Mutation {
        holds: "links that carry the mark of this installation are found",
        file: "crates/bangerd/src/doctor/prove/mod.rs",
        from: "if self.living.installation.as_deref() != Some(installation) {",
        to: "if self.living.installation.as_deref() == Some(installation) {",
        test: full_disk("prove::links_rules_and_mounts_that_are_left_are_found_with_their_owner"),
    },
    Mutation {
        holds: "a check that hangs fails",
        file: "crates/bangerd/src/doctor/mod.rs",
        from: "                    Verdict::Fail,\n                    format!(\"no answer",
        to: "                    Verdict::Pass,\n                    format!(\"no answer",
        test: unit(
            "bangerd",
            "doctor::tests::a_check_that_hangs_is_told_and_hides_no_other",
        ),
    },
    Mutation {
        holds: "fix touches nothing that may hold somebody's data",
        file: "crates/bangerd/src/doctor/records.rs",
        from: "left.thing.kind == Kind::File && of_banger",
        to: "left.thing.kind == Kind::File",
        test: whole(LEFT),
    },
];
