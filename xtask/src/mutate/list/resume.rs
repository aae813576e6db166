//! Guests that go on from saved memory: what a copy does not share.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "the secrets of a machine are in none of its exports",
        file: "crates/bangerd/src/export/piece.rs",
        from: "            blocks::blank(bytes, at, blank);\n",
        to: "            let _ = blank;\n",
        test: unit(
            "bangerd",
            "export::t1::what_is_to_be_blank_is_in_no_export_and_the_rest_is_and_the_manifest_says_so",
        ),
    },
    Mutation {
        holds: "secrets are found where links lead",
        file: "crates/bangerd/src/diff/secrets.rs",
        from: "            if !tree.file(node)?.is_link() {\n",
        to: "            if true {\n",
        test: unit(
            "bangerd",
            "diff::secrets::t1::links_are_followed_as_the_guest_does_onto_the_work_disk_too",
        ),
    },
    Mutation {
        holds: "a key that leads beyond its disk is refused",
        file: "crates/bangerd/src/diff/secrets.rs",
        from: "blocks.start == 0 || blocks.end > layer.blocks()",
        to: "blocks.start == 0",
        test: unit("bangerd", "diff::secrets::t1::what_is_damaged_is_refused"),
    },
    Mutation {
        holds: "a machine that boots its own disk keeps its host keys",
        file: "crates/banger-agent/src/guest/moved.rs",
        from: "    if is_of(root, id) {\n",
        to: "    if false && is_of(root, id) {\n",
        test: unit(
            "banger-agent",
            "guest::moved::t1::a_machine_that_boots_its_own_disk_keeps_its_keys_and_its_seed",
        ),
    },
    Mutation {
        holds: "a disk without an id is nobody's",
        file: "crates/banger-agent/src/guest/moved.rs",
        from: "    found.trim_ascii() == identity",
        to: "    found.len() < 32 || found.trim_ascii() == identity",
        test: unit(
            "banger-agent",
            "guest::moved::t1::keys_of_another_machine_and_of_an_image_go",
        ),
    },
    Mutation {
        holds: "keys that a boot did not come to make are made by the next",
        file: "crates/banger-agent/src/guest/moved.rs",
        from: "        return lacks_keys;\n",
        to: "        return false;\n",
        test: unit(
            "banger-agent",
            "guest::moved::t1::what_a_boot_did_not_come_to_is_the_next_ones",
        ),
    },
    Mutation {
        holds: "a template's guest has rehearsed what each after it begins with",
        file: "crates/bangerd/src/sandbox/saving.rs",
        from: "            self.rehearse().await;\n",
        to: "",
        test: whole("snapshots::later_machines_go_on_from_a_template"),
    },
    Mutation {
        holds: "of a try's attempts the one with the best score comes first",
        file: "crates/banger/src/attempt/rank.rs",
        from: "Better::Bigger) => two.total_cmp(&one)",
        to: "Better::Bigger) => one.total_cmp(&two)",
        test: unit(
            "banger",
            "attempt::rank::tests::status_comes_before_score_and_score_before_time",
        ),
    },
    Mutation {
        holds: "forks of a try are deleted when nobody holds them",
        file: "crates/bangerd/src/api/tries.rs",
        from: "        leaving.cancelled().await;\n        drop(guard);\n",
        to: "        std::mem::forget(guard);\n        leaving.cancelled().await;\n",
        test: whole("attempts::no_fork_is_left_when_the_client_is_interrupted_or_killed"),
    },
    Mutation {
        holds: "only a fork of a try takes a machine's place",
        file: "crates/bangerd/src/supervise/fork.rs",
        from: "if !new.ephemeral || old.ephemeral {",
        to: "if old.ephemeral {",
        test: whole(
            "attempts::only_a_fork_that_is_ephemeral_and_of_its_kind_takes_a_machines_place",
        ),
    },
    Mutation {
        holds: "nobody finds the commands of a fork's parent",
        file: "crates/banger-agent/src/calls.rs",
        from: "        agent.sessions.give_up();\n",
        to: "",
        test: unit(
            "banger-agent",
            "t1::resume::what_its_parent_ran_goes_on_undisturbed_and_nobody_finds_it",
        ),
    },
    Mutation {
        holds: "the same sandbox keeps its sessions",
        file: "crates/banger-agent/src/calls.rs",
        from: "if !wanted.keeps_sessions {",
        to: "if true {",
        test: unit(
            "banger-agent",
            "t1::resume::the_same_sandbox_keeps_its_sessions_and_loses_nothing",
        ),
    },
    Mutation {
        holds: "no fork has its parent's host keys",
        file: "crates/banger-agent/src/guest/keys.rs",
        from: "keys.iter().try_for_each(remove)",
        to: "keys.iter().skip(1).try_for_each(remove)",
        test: unit(
            "banger-agent",
            "guest::keys::tests::t1::keys_are_removed_and_everything_else_stays",
        ),
    },
    Mutation {
        holds: "no fork has its parent's addresses",
        file: "crates/banger-agent/src/guest/network.rs",
        from: "requests.extend(present.into_iter().flatten().map(remove));",
        to: "requests.extend(present.into_iter().flatten().take(1).map(remove));",
        test: unit(
            "banger-agent",
            "guest::network::tests::another_network_takes_the_place_of_everything_that_the_card_had",
        ),
    },
    Mutation {
        holds: "a guest of a template that had a network of its own leaves it",
        file: "crates/bangerd/src/sandbox/rehearsing.rs",
        from: "value == NetworkMode::Bridge;",
        to: "value == NetworkMode::None;",
        test: whole(
            "snapshots::a_template_whose_guest_cannot_rehearse_is_made_all_the_same_and_that_is_said",
        ),
    },
    Mutation {
        holds: "what is given up after the answer began is read before it ends",
        file: "crates/bangerd/src/api/unread.rs",
        from: "async move { read_rest(&mut lent).await }",
        to: "async move { drop(lent) }",
        test: unit(
            "bangerd",
            "api::unread::t1::who_gives_up_on_a_body_after_the_answer_leaves_nobody_with_a_broken_pipe",
        ),
    },
    Mutation {
        holds: "what an earlier resume had still before it does not begin in a later one's lull",
        file: "crates/banger-agent/src/calls.rs",
        from: "        earlier.abort();\n",
        to: "        drop(earlier);\n",
        test: unit(
            "banger-agent",
            "t1::resume::what_an_earlier_resume_had_still_before_it_does_not_cut_a_later_ones_lull_short",
        ),
    },
    Mutation {
        holds: "what an earlier resume began does not go on behind a later one",
        file: "crates/banger-agent/src/guest/program.rs",
        from: "(lock(&self.running).turn == turn.0).then_some(",
        to: "(lock(&self.running).turn >= turn.0).then_some(",
        test: unit(
            "banger-agent",
            "guest::program::t1::another_turn_ends_what_runs_and_nothing_of_the_earlier_one_follows",
        ),
    },
    Mutation {
        holds: "a guest that goes on from saved memory has no published connection of before",
        file: "crates/banger-agent/src/calls.rs",
        from: "    agent.dials.keep(&[]);",
        to: "",
        test: unit(
            "banger-agent",
            "t1::dial_sessions::a_guest_that_goes_on_from_saved_memory_forgets_whoever_was_connected_then",
        ),
    },
    Mutation {
        holds: "nobody wakes a machine whose name they do not see",
        file: "crates/bangerd/src/host_network/dns/zone.rs",
        from: "        self.sees(&key.0).then_some(*id)\n",
        to: "        let _seen = key;\n        Some(*id)\n",
        test: unit(
            "bangerd",
            "host_network::dns::t1::waking::nobody_wakes_what_they_do_not_see",
        ),
    },
    Mutation {
        holds: "who waits for a machine holds no other question up",
        file: "crates/bangerd/src/host_network/dns/udp.rs",
        from: "waiting.spawn(async move { serving.answer_later(sleeper, &query, peer).await });",
        to: "serving.answer_later(sleeper, &query, peer).await;",
        test: unit(
            "bangerd",
            "host_network::dns::t1::waking::a_question_for_one_is_answered_when_it_runs_and_holds_no_other_up",
        ),
    },
    Mutation {
        holds: "the next daemon knows the names of those that are suspended",
        file: "crates/bangerd/src/supervise.rs",
        from: "records.iter().any(sleeps_on_bridge)",
        to: "false",
        test: whole("asleep::the_next_daemon_wakes_it_too_and_it_is_forgotten_with_its_deletion"),
    },
];
