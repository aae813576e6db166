//! Machines that wait in the pool.

use super::whole;
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "one of the pool becomes one machine",
        file: "crates/bangerd/src/registry.rs",
        from: "entry.offer = Offer::Reserved;",
        to: "",
        test: whole("pool::several_creations_at_once_get_different_machines"),
    },
    Mutation {
        holds: "nobody touches what waits",
        file: "crates/bangerd/src/sandbox/mod.rs",
        from: "admission if view.record.spec.pooled.is_some() => {",
        to: "admission if view.record.spec.pooled.is_some() && false => {",
        test: whole(
            "pool::the_next_machine_of_its_kind_is_the_one_that_waited_and_nobody_touched_it_before",
        ),
    },
    Mutation {
        holds: "a machine of the pool begins with whose it is",
        file: "crates/bangerd/src/events/changes.rs",
        from: "(_, Some(_)) => return vec![],",
        to: "(_, Some(_)) => {}",
        test: whole("pool::events_tell_of_a_machine_only_once_it_is_somebodys"),
    },
    Mutation {
        holds: "what waits gives way to who asks",
        file: "crates/bangerd/src/supervise/capacity.rs",
        from: "spec.pooled.is_none() && self.empty_pool().await",
        to: "spec.pooled.is_some() && self.empty_pool().await",
        test: whole("pool::what_waits_goes_before_a_machine_is_refused_for_want_of_memory"),
    },
    Mutation {
        holds: "what waits goes with an orderly end",
        file: "crates/bangerd/src/serve.rs",
        from: "supervisor.empty_pool())",
        to: "std::future::ready(true))",
        test: whole(
            "pool::the_next_machine_of_its_kind_is_the_one_that_waited_and_nobody_touched_it_before",
        ),
    },
    Mutation {
        holds: "a machine of the pool has run for nobody",
        file: "crates/bangerd/src/supervise/go_on.rs",
        from: "answered\n        && is_somebodys\n",
        to: "answered\n",
        test: whole("pool::a_daemon_that_is_killed_while_it_gives_one_away_has_given_it"),
    },
];
