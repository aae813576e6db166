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
        holds: "figures of one run are not compared with those of another",
        file: "crates/banger/src/stats.rs",
        from: "run == Some((vmm.pid, vmm.started_ms)) && before",
        to: "run.is_some() && before",
        test: unit(
            "banger",
            "stats::tests::another_run_is_not_compared_with_the_one_before",
        ),
    },
];
