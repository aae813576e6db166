//! What machines take, whether they are well, and those that nobody uses.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "a guest that does not answer holds no figures up",
        file: "crates/bangerd/src/stats/guest.rs",
        from: "const LIMIT: Duration = Duration::from_secs(1);",
        to: "const LIMIT: Duration = Duration::from_secs(20);",
        test: whole(
            "stats::a_machine_that_does_not_answer_holds_nobody_up_and_has_the_hosts_figures",
        ),
    },
    Mutation {
        holds: "memory that machines share is not counted as their own",
        file: "crates/bangerd/src/vmm/process/usage.rs",
        from: "bytes(\"Private_Clean\")?.saturating_add(own_dirty)",
        to: "bytes(\"Rss\")?.saturating_add(own_dirty)",
        test: unit(
            "bangerd",
            "vmm::process::usage::tests::own_and_shared_memory_are_told_apart_and_a_part_of_it_is_none",
        ),
    },
    Mutation {
        holds: "memory is kept for others than machines",
        file: "crates/banger-model/src/capacity.rs",
        from: "there.saturating_sub(kept).saturating_sub(once)",
        to: "there.saturating_sub(once)",
        test: unit(
            "banger-model",
            "capacity::tests::as_many_as_are_said_fit_and_no_more",
        ),
    },
    Mutation {
        holds: "a machine that the host has no memory for is refused",
        file: "crates/bangerd/src/supervise/capacity.rs",
        from: "if judged.fits.by_memory > 0 {",
        to: "if judged.fits.by_memory < u64::MAX {",
        test: whole("capacity::what_does_not_fit_is_refused_before_anything_is_made"),
    },
    Mutation {
        holds: "figures of one run are not compared with those of another",
        file: "crates/banger/src/stats.rs",
        from: "run == Some((vmm.pid, vmm.started_ms)) && before",
        to: "run.is_some() && before",
        test: unit(
            "banger",
            "stats::tests::another_run_is_not_compared_with_the_one_before",
        ),
    },
    Mutation {
        holds: "a machine that somebody uses is not stopped as unused",
        file: "crates/bangerd/src/guest/link/uses.rs",
        from: "match self.open().is_empty() {",
        to: "match true {",
        test: whole("unused::a_machine_is_kept_while_a_command_runs_and_stopped_after_it"),
    },
    Mutation {
        holds: "looking at a machine does not keep it",
        file: "crates/bangerd/src/guest/link/uses.rs",
        from: " => true,\n        Call::Configure(_)\n        | Call::Forget(_)\n        | Call::Health\n        | Call::Shutdown\n        | Call::Usage\n",
        to: "\n        | Call::Health\n        | Call::Usage => true,\n        Call::Configure(_)\n        | Call::Forget(_)\n        | Call::Shutdown\n",
        test: whole("unused::who_only_looks_does_not_keep_a_machine"),
    },
    Mutation {
        holds: "one unhealthy machine of several gives exit status 1",
        file: "crates/banger/src/commands/health.rs",
        from: "Ok(if unhealthy.is_empty() {",
        to: "Ok(if true {",
        test: whole(
            "health::one_of_several_that_does_not_answer_is_unhealthy_and_the_status_says_so",
        ),
    },
    Mutation {
        holds: "top gives the terminal back",
        file: "crates/banger/src/top/screen.rs",
        from: "const LEAVE: &str = \"\\u{1b}[?25h\\u{1b}[?1049l\";",
        to: "const LEAVE: &str = \"\";",
        test: whole("top::a_terminal_is_drawn_upon_until_q_over_the_daemons_end"),
    },
    Mutation {
        holds: "who only looks is told that the daemon is gone, and starts none",
        file: "crates/banger/src/top/source.rs",
        from: "client.get_of_this(",
        to: "client.get(",
        test: whole("top::a_terminal_is_drawn_upon_until_q_over_the_daemons_end"),
    },
];
