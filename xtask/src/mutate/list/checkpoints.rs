//! Checkpoints: what leads back to before a command.

use super::unit;
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "what is written over in the newest checkpoint is noted before",
        file: "crates/bangerd/src/blocks/same.rs",
        from: "            (self.before)(at, old.unwrap_or_default())?;\n            put(self.to, at, new.unwrap_or_default())?;\n",
        to: "            put(self.to, at, new.unwrap_or_default())?;\n            (self.before)(at, old.unwrap_or_default())?;\n",
        test: unit(
            "bangerd",
            "blocks::same::t1::nothing_is_written_before_it_is_noted",
        ),
    },
    Mutation {
        holds: "a checkpoint whose making broke off changes nothing",
        file: "crates/bangerd/src/checkpoints/directory.rs",
        from: "            Before::open(&log)?.take_back(&base)?;\n",
        to: "",
        test: unit(
            "bangerd",
            "checkpoints::t1::one_whose_making_broke_off_changes_nothing",
        ),
    },
    Mutation {
        holds: "the memory that a guest reads still is not written",
        file: "crates/bangerd/src/checkpoints/making.rs",
        from: "    unshare(&memory)?;\n",
        to: "",
        test: unit(
            "bangerd",
            "checkpoints::t1::memory_that_a_guest_reads_still_or_a_snapshot_shares_is_not_written",
        ),
    },
    Mutation {
        holds: "a damaged checkpoint is not gone back to",
        file: "crates/bangerd/src/checkpoints/undoing.rs",
        from: "    if found == *expected {\n",
        to: "    if found.size > 0 {\n",
        test: unit(
            "bangerd",
            "checkpoints::t1::what_was_cut_off_flipped_or_exchanged_is_not_used",
        ),
    },
    Mutation {
        holds: "an undo of several commands goes through each of them",
        file: "crates/bangerd/src/checkpoints/undoing.rs",
        from: "        newer.reverse();\n",
        to: "",
        test: unit(
            "bangerd",
            "checkpoints::t1::any_of_the_last_commands_is_undone_and_the_machine_goes_on_from_there",
        ),
    },
];
