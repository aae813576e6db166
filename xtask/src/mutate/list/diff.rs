//! What is different on disks, machines as files, and disks and files that want to harm whoever reads them.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "what a guest removed of its image is told as removed",
        file: "crates/bangerd/src/diff/tree.rs",
        from: "file.kind() == 0o020_000 && file.device == Some((0, 0))",
        to: "file.kind() == 0o020_000 && file.device == Some((0, 1))",
        test: unit(
            "bangerd",
            "diff::t1::what_was_added_changed_and_removed_is_told_with_what_of_it",
        ),
    },
    Mutation {
        holds: "a directory that was replaced has nothing of the image's",
        file: "crates/bangerd/src/diff/tree.rs",
        from: "if is_opaque || !(",
        to: "if !(",
        test: unit(
            "bangerd",
            "diff::t1::a_directory_that_was_replaced_or_renamed_is_the_one_that_it_is_now",
        ),
    },
    Mutation {
        holds: "what the journal of a running guest holds is read",
        file: "crates/bangerd/src/diff/opening.rs",
        from: "    if !was_dirty {",
        to: "    if true || !was_dirty {",
        test: unit(
            "bangerd",
            "diff::t1::what_only_the_journal_holds_is_read_and_the_disk_is_not_written_to",
        ),
    },
    Mutation {
        holds: "a block that was revoked is not taken from the journal",
        file: "crates/bangerd/src/diff/journal.rs",
        from: "revoked.get(block).is_none_or(|last| *last < number);",
        to: "revoked.get(block).is_none_or(|_| true);",
        test: unit(
            "bangerd",
            "diff::journal::tests::a_block_that_was_revoked_is_what_it_is_at_its_place_until_it_is_written_again",
        ),
    },
    Mutation {
        holds: "a small file that leads to billions of blocks is given up",
        file: "crates/bangerd/src/diff/source.rs",
        from: "            self.allowed.set(left);",
        to: "            let _ = left;",
        test: unit(
            "bangerd",
            "diff::source::t1::reading_ends_with_what_is_allowed_with_the_time_and_with_the_wish",
        ),
    },
    Mutation {
        holds: "a file of a snapshot's own time is read before it is taken for the same",
        file: "crates/bangerd/src/diff/compare.rs",
        from: "let is_settled = old.changed_at() < self.settled;",
        to: "let is_settled = true;",
        test: unit(
            "bangerd",
            "diff::t1::only_what_is_older_than_the_snapshot_and_has_the_same_metadata_is_not_read",
        ),
    },
    Mutation {
        holds: "a name from a guest writes nothing to the terminal",
        file: "crates/banger/src/show/diff.rs",
        from: "c if is_harmful(c) => {",
        to: "c if c == '\\u{1}' => {",
        test: unit(
            "banger",
            "show::diff::tests::no_name_moves_the_cursor_or_is_taken_for_another",
        ),
    },
    Mutation {
        holds: "a guest goes on once its disks were read",
        file: "crates/bangerd/src/sandbox/comparing.rs",
        from: "        still.goes_on().await?;\n",
        to: "        still.stays();\n",
        test: whole("diff::what_a_machine_has_written_is_told_whether_it_runs_or_not"),
    },
    Mutation {
        holds: "a part of an export that is not what was signed is refused",
        file: "crates/bangerd/src/export/read.rs",
        from: "if digest.as_ref() != Some(&part.digest) {",
        to: "if false {",
        test: unit(
            "bangerd",
            "export::t1::parts_of_another_export_are_not_taken",
        ),
    },
    Mutation {
        holds: "a stranger's export is refused",
        file: "crates/bangerd/src/export/read.rs",
        from: "|known: &String| known.eq_ignore_ascii_case(&key);",
        to: "|known: &String| !known.is_empty();",
        test: unit(
            "bangerd",
            "export::t1::a_key_is_made_once_for_its_user_alone_and_another_one_is_not_trusted",
        ),
    },
    Mutation {
        holds: "a manifest that was changed is refused",
        file: "crates/bangerd/src/export/form.rs",
        from: ".verify(&signed, &signature);",
        to: ".verify(&signed, &signature).or(Ok::<(), ring::error::Unspecified>(()));",
        test: whole("export::a_file_that_is_harmed_is_refused_and_nothing_of_it_is_left"),
    },
    Mutation {
        holds: "an export writes no more than its signed manifest says",
        file: "crates/bangerd/src/export/piece.rs",
        from: " || self.length as u64 > left",
        to: "",
        test: unit(
            "bangerd",
            "export::t1::pieces_that_lie_are_refused_whoever_has_signed_them",
        ),
    },
    Mutation {
        holds: "an export of a trusted host does not become the image of new machines",
        file: "crates/bangerd/src/supervise/import.rs",
        from: "is_free(name) && !is_default(name)",
        to: "is_free(name) && (is_default(name) || !is_default(name))",
        test: whole(
            "export::a_strangers_file_is_taken_where_its_key_is_trusted_and_its_image_comes_with_it",
        ),
    },
];
