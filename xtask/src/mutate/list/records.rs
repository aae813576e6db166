//! What is recorded: the audit log and events.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "refusals are recorded, whatever was asked",
        file: "crates/bangerd/src/audit/layer.rs",
        from: "        _ if refused => true,\n",
        to: "",
        test: whole("audit::refusals_are_recorded_and_looking_is_not"),
    },
    Mutation {
        holds: "what an operation came to is recorded",
        file: "crates/bangerd/src/operation/hook.rs",
        from: "            hook(ended);\n",
        to: "            let _ = (hook, ended);\n",
        test: whole("audit::each_request_is_recorded_with_who_asked_and_what_came_of_it"),
    },
    Mutation {
        holds: "a command's arguments are not recorded",
        file: "crates/bangerd/src/api/exec.rs",
        from: "let program = start.argv.first();",
        to: "let program = start.argv.last();",
        test: whole("audit::a_command_is_recorded_by_its_program_and_no_secret_of_it"),
    },
    Mutation {
        holds: "a gap in the audit log is said",
        file: "crates/bangerd/src/audit/mod.rs",
        from: "let gap = (self.unwritten > 0).then_some(gap);",
        to: "let gap = (self.unwritten > u64::MAX - 1).then_some(gap);",
        test: unit(
            "bangerd",
            "audit::t1::what_could_not_be_written_is_counted_and_said_once_there_is_room",
        ),
    },
    Mutation {
        holds: "a follower goes on where it was when the daemon is killed",
        file: "crates/banger/src/client/happenings.rs",
        from: "self.wish.since = Some(event.seq);",
        to: "self.wish.since = self.wish.since.or(Some(event.seq));",
        test: whole(
            "events::a_follower_neither_loses_nor_doubles_an_event_when_daemons_are_killed",
        ),
    },
    Mutation {
        holds: "numbers of events go on with the next daemon",
        file: "crates/bangerd/src/events/feed.rs",
        from: "let newest = newest.max(floor);",
        to: "let newest = floor.max(newest.min(0));",
        test: unit(
            "bangerd",
            "events::feed::t1::numbers_go_on_with_the_next_daemon",
        ),
    },
    Mutation {
        holds: "no number of an event is given twice after a full disk",
        file: "crates/bangerd/src/events/feed.rs",
        from: "let newest = newest.max(floor);",
        to: "let newest = newest.max(floor.min(0));",
        test: unit(
            "bangerd",
            "events::feed::t1::on_a_full_disk_events_are_told_and_no_number_is_given_twice",
        ),
    },
    Mutation {
        holds: "an end that nobody asked for is told with its reason",
        file: "crates/bangerd/src/events/changes.rs",
        from: "(_, Created | Stopped) => Some(What::Stopped { reason }),",
        to: "(_, Created | Stopped) => Some(What::Stopped { reason: None }),",
        test: whole("events::what_nobody_asked_for_is_told_with_its_reason"),
    },
];
