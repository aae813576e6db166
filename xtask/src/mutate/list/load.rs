//! Many machines, many clients, and processes that are killed all the time.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "no operation waits for another machine's",
        file: "crates/bangerd/src/sandbox/act.rs",
        from: "let (process, started) = phases::start(self).await?;",
        to: "static ALL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
                let _turn = ALL.lock().await;
                let (process, started) = phases::start(self).await?;",
        test: whole(
            "together::no_operation_waits_for_another_machine_s_and_the_list_answers_all_the_time",
        ),
    },
    Mutation {
        holds: "a second deletion does not make the first one fail",
        file: "crates/bangerd/src/sandbox/driver.rs",
        from: "!deletes && matches!(command, Command::Kill(..) | Command::Delete(..))",
        to: "(!deletes || true) && matches!(command, Command::Kill(..) | Command::Delete(..))",
        test: whole(
            "together::a_machine_that_is_deleted_while_it_is_created_is_gone_and_its_creator_is_told",
        ),
    },
    Mutation {
        holds: "a daemon that was asked to leave has left when its successor listens",
        file: "crates/banger/src/client/mod.rs",
        from: "            && pid_of(&stream) == self.daemon.get()\n",
        to: "",
        test: whole("restarts::sessions_lose_and_double_no_line_over_a_hundred_ends_of_the_daemon"),
    },
    Mutation {
        holds: "a machine is recorded before anything of it is made",
        file: "crates/bangerd/src/supervise/create.rs",
        from: "        self.services.store.put(&record).await?;\n",
        to: "",
        test: whole(
            "soak::two_hundred_lifecycles_lose_invent_and_leave_nothing_whatever_is_killed",
        ),
    },
    Mutation {
        holds: "a power cut loses no record",
        file: "crates/bangerd/src/store/mod.rs",
        from: "PRAGMA journal_mode = WAL;",
        to: "PRAGMA journal_mode = MEMORY;",
        test: unit(
            "bangerd",
            "store::t1::torn::a_torn_log_gives_what_was_known_after_some_change_and_never_half_of_one",
        ),
    },
];
