//! Verbs that change what a machine is: its name, labels, sizes.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "a name that a renaming has reserved is nobody else's",
        file: "crates/bangerd/src/registry.rs",
        from: "self.name == *name || self.reserved.contains(name)",
        to: "self.name == *name",
        test: unit(
            "bangerd",
            "registry::tests::a_name_that_a_sandbox_is_to_have_is_nobody_elses_and_is_given_back",
        ),
    },
    Mutation {
        holds: "on the bridge a new name is served at once",
        file: "crates/bangerd/src/host_network/ready.rs",
        from: "self.rules.set(id, Place { name, ..place }, op);
        self.tell_names();",
        to: "self.rules.set(id, Place { name, ..place }, op);",
        test: whole(
            "rename::on_the_bridge_the_new_name_is_served_at_once_and_the_old_one_no_longer",
        ),
    },
    Mutation {
        holds: "a command that runs is taken up again in its own machine, whatever that is called",
        file: "crates/banger/src/exec/link.rs",
        from: "*reference = id;",
        to: "drop(id);",
        test: whole("rename::a_command_that_runs_goes_on_over_a_new_name_and_a_new_daemon"),
    },
    Mutation {
        holds: "a guest that cannot be told its new name is said to follow later",
        file: "crates/bangerd/src/sandbox/rename.rs",
        from: "\"the guest's host name changes with the next start: {why}\"",
        to: "\"the guest's host name is changed: {why}\"",
        test: whole(
            "rename::a_guest_that_cannot_be_told_is_renamed_and_follows_with_the_next_start",
        ),
    },
    Mutation {
        holds: "a machine has no more labels than allowed",
        file: "crates/bangerd/src/supervise.rs",
        from: "label::check(&spec.labels)",
        to: "label::check(&label::Labels::new())",
        test: whole("labels::labels_are_kept_changed_and_shown"),
    },
    Mutation {
        holds: "all filters about labels must match",
        file: "crates/banger-model/src/filter.rs",
        from: "labels.all(|filter| filter.fits(subject))",
        to: "labels.any(|filter| filter.fits(subject))",
        test: unit(
            "banger-model",
            "filter::tests::all_labels_must_match_and_one_of_each_other_kind",
        ),
    },
    Mutation {
        holds: "what runs is not pruned, whatever an old list says",
        file: "crates/bangerd/src/sandbox/command.rs",
        from: "Self::Prune(..) => Some(Request::Prune),",
        to: "Self::Prune(..) => None,",
        test: whole(
            "labels::a_machine_that_runs_or_is_being_made_is_not_pruned_whatever_an_old_list_says",
        ),
    },
    Mutation {
        holds: "what is being made is not pruned",
        file: "crates/bangerd/src/operation/mod.rs",
        from: "subject.sandbox == Some(id) && matches!(asked, Asked::Create { .. })",
        to: "subject.sandbox == Some(id) && asked == &Asked::Stop",
        test: unit(
            "bangerd",
            "operation::tests::a_sandbox_is_being_created_until_its_creation_has_ended",
        ),
    },
    Mutation {
        holds: "a disk never shrinks",
        file: "crates/banger-model/src/resize.rs",
        from: "wanted.filter(|wanted| *wanted < has)",
        to: "wanted.filter(|wanted| *wanted > has && *wanted < has)",
        test: whole("set::what_cannot_be_is_refused_before_anything_changes"),
    },
    Mutation {
        holds: "a disk that could not grow while its guest ran grows with the next start",
        file: "crates/bangerd/src/sandbox/starting.rs",
        from: "if let Err(fault) = self.lengthen_disks().await {",
        to: "if false && let Err(fault) = self.lengthen_disks().await {",
        test: whole(
            "set::a_disk_whose_vmm_refuses_grows_with_the_next_start_whatever_comes_in_between",
        ),
    },
    Mutation {
        holds: "a disk that cannot grow leaves the record as it was",
        file: "crates/bangerd/src/sandbox/set.rs",
        from: "let result = take(work, spec, &changed, &sizes).await;\n    if result.is_err() {",
        to: "let result = take(work, spec, &changed, &sizes).await;\n    if false {",
        test: whole(
            "set::a_disk_that_cannot_grow_leaves_the_record_and_the_other_disk_as_they_were",
        ),
    },
    Mutation {
        holds: "what a disk has is never cut off under its guest",
        file: "crates/bangerd/src/disks/grow.rs",
        from: "let wanted = wanted.bytes().max(found.len());",
        to: "let wanted = wanted.bytes();",
        test: unit(
            "bangerd",
            "disks::grow::t1::a_file_becomes_longer_and_never_shorter_and_what_is_in_it_is_as_it_was",
        ),
    },
    Mutation {
        holds: "a disk has grown only once its guest has seen it",
        file: "crates/bangerd/src/sandbox/grow.rs",
        from: "Ok(Answer::Grown { bytes: has }) if has >= bytes => Look::There(()),",
        to: "Ok(Answer::Grown { bytes: has }) if has <= bytes => Look::There(()),",
        test: whole(
            "set::disks_of_a_machine_that_runs_grow_at_once_and_what_else_changes_with_the_next_start",
        ),
    },
];
