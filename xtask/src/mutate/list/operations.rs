//! Operations: recorded, cancelled, in line, gone on with.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "a daemon has left when its stop is told",
        file: "crates/banger/src/client/mod.rs",
        from: "Some(process) => leaving::until_ended(process, leaving::LIMIT).await,",
        to: "Some(process) => leaving::until_ended(process, Duration::ZERO).await.or(Ok(())),",
        test: whole("daemon::commands_while_a_daemon_takes_its_time_to_leave_get_the_next_one"),
    },
    Mutation {
        holds: "an operation is recorded before it touches anything",
        file: "crates/bangerd/src/operation/recording.rs",
        from: "            Err(fault) if entry.asked.frees_room() => {",
        to: "            Err(fault) if entry.asked.frees_room() || !fault.message.is_empty() => {",
        test: unit(
            "bangerd",
            "operation::journal::t1::what_cannot_be_recorded_is_not_begun_unless_it_frees_room",
        ),
    },
    Mutation {
        holds: "an end that could not be recorded is recorded later",
        file: "crates/bangerd/src/operation/recording.rs",
        from: "            tokio::spawn(end_later(journal.clone(), op, last.clone()));",
        to: "            drop(end_later(journal.clone(), op, last.clone()));",
        test: whole(
            "operations::wish::an_end_that_could_not_be_recorded_is_recorded_later_and_nothing_is_done_twice",
        ),
    },
    Mutation {
        holds: "the wish to cancel outlives the daemon",
        file: "crates/bangerd/src/supervise/cancel.rs",
        from: "        self.operations.record_wish(&operation.entry).await;",
        to: "",
        test: whole("operations::wish::what_was_cancelled_is_not_gone_on_with_by_the_next_daemon"),
    },
    Mutation {
        holds: "a download that nobody wants ends with all that it has started",
        file: "crates/bangerd/src/disks/child.rs",
        from: "        signal(&group, Signal::TERM);
    })))",
        to: "    })))",
        test: whole(
            "operations::makings::a_kernel_that_nobody_wants_any_more_ends_its_download_with_all_that_it_started",
        ),
    },
    Mutation {
        holds: "the next daemon goes on with what the one before began",
        file: "crates/bangerd/src/api/operations.rs",
        from: "    api.supervisor.go_on(move |made| show(&this, made)).await",
        to: "    drop(this);
    Ok(())",
        test: whole(
            "operations::killed::a_creation_goes_on_with_the_next_daemon_and_its_client_is_told_once",
        ),
    },
    Mutation {
        holds: "events are told once over the daemon's end",
        file: "crates/banger/src/client/operation.rs",
        from: "self.expected.clone_from(&self.all);",
        to: "self.expected.clear();",
        test: whole(
            "operations::killed::a_creation_goes_on_with_the_next_daemon_and_its_client_is_told_once",
        ),
    },
    Mutation {
        holds: "a creation whose client does not come back is undone",
        file: "crates/bangerd/src/supervise/go_on.rs",
        from: "            if coming.await.is_err() {",
        to: "            if coming.await.is_err() && false {",
        test: whole("operations::killed::a_creation_whose_client_is_gone_too_is_undone"),
    },
    Mutation {
        holds: "a guest that was asked to shut down is given its time by the next daemon",
        file: "crates/bangerd/src/sandbox/reconcile.rs",
        from: "            SandboxState::Stopping if found.vmm.is_some() => return self.stop(None).await,\n",
        to: "",
        test: whole(
            "operations::killed::a_stop_goes_on_with_the_next_daemon_and_the_guest_is_not_killed",
        ),
    },
    Mutation {
        holds: "a daemon that leaves ends no operation",
        file: "crates/bangerd/src/operation/mod.rs",
        from: "if last && self.operation.entry.asked.is_its_clients() && !self.leaving.is_cancelled() {",
        to: "if last && self.operation.entry.asked.is_its_clients() {",
        test: unit(
            "bangerd",
            "operation::tests::a_daemon_that_leaves_cancels_no_creation",
        ),
    },
    Mutation {
        holds: "a cancelled creation has left nothing when it ends",
        file: "crates/bangerd/src/supervise/create.rs",
        from: "() = going.cancelled.cancelled() => Err(operation::cancelled(\"nothing of it is left\")),",
        to: "() = std::future::pending() => Err(operation::cancelled(\"nothing of it is left\")),",
        test: whole("operations::cancel::of_a_cancelled_creation_nothing_is_left"),
    },
    Mutation {
        holds: "a cancelled start is undone",
        file: "crates/bangerd/src/sandbox/works.rs",
        from: "SandboxState::Starting => work.settle_stopped(reason).await,",
        to: "SandboxState::Starting => Ok(()),",
        test: whole(
            "operations::cancel::a_cancelled_start_is_undone_to_stopped_and_can_be_had_again",
        ),
    },
    Mutation {
        holds: "a request that is cancelled gives up its place",
        file: "crates/bangerd/src/sandbox/driver/cancelling.rs",
        from: "place.and_then(|place| self.waiting.remove(place))",
        to: "place.and_then(|_| None::<crate::sandbox::Command>)",
        test: whole(
            "operations::cancel::requests_for_one_machine_are_done_in_order_and_one_that_is_cancelled_gives_up_its_place",
        ),
    },
    Mutation {
        holds: "what waits is judged by what is so when its turn comes",
        file: "crates/bangerd/src/sandbox/driver.rs",
        from: "            Admission::Wait | Admission::AlreadySo if self.work.is_some() => {",
        to: "            Admission::Wait if self.work.is_some() => {",
        test: whole(
            "operations::cancel::requests_for_one_machine_are_done_in_order_and_one_that_is_cancelled_gives_up_its_place",
        ),
    },
    Mutation {
        holds: "a request that is sent again begins nothing",
        file: "crates/bangerd/src/api/operations.rs",
        from: "    Ok(past(api, op).await?.map(ended))",
        to: "    Ok(past(api, op).await?.filter(|_| false).map(ended))",
        test: whole("operations::journal::a_request_that_is_sent_again_with_its_id_begins_nothing"),
    },
    Mutation {
        holds: "a thing that several need is made once",
        file: "crates/bangerd/src/making.rs",
        from: "        if let Some(making) = all.get(what) {",
        to: "        if let Some(making) = all.get(what).filter(|_| false) {",
        test: unit(
            "bangerd",
            "making::tests::what_many_ask_for_is_made_once_and_all_hear_of_it",
        ),
    },
    Mutation {
        holds: "a making that everybody has left is cancelled",
        file: "crates/bangerd/src/making.rs",
        from: "            self.making.cancelled.cancel();",
        to: "            let _ = &self.making.cancelled;",
        test: whole("operations::makings::an_image_that_nobody_wants_any_more_is_not_made"),
    },
    Mutation {
        holds: "a log that is followed goes on where it was",
        file: "crates/banger/src/commands/logs.rs",
        from: "            at += data.len() as u64;",
        to: "            at += data.len() as u64 / 2;",
        test: whole(
            "logs::a_log_that_is_followed_loses_and_doubles_nothing_when_daemons_are_killed_or_stopped",
        ),
    },
    Mutation {
        holds: "a killed carrier's connections are reset, not ended",
        file: "crates/bangerd/src/publish/carrier/tcp.rs",
        from: "sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;",
        to: "sockopt::set_socket_linger(&socket, None)?;",
        test: whole(
            "publish::carrier::a_carrier_that_is_killed_resets_its_connections_and_another_has_the_port",
        ),
    },
    Mutation {
        holds: "a connection goes on where the guest has it when its daemon is killed",
        file: "crates/bangerd/src/publish/carrier/ends.rs",
        from: "                self.outbox.resume(stdin)?;",
        to: "                self.outbox.resume(stdin.saturating_sub(1))?;",
        test: whole(
            "restarts::connections_lose_and_double_no_byte_over_a_hundred_ends_of_the_daemon",
        ),
    },
    Mutation {
        holds: "a carrier that stands still is replaced by one that has all ports",
        file: "crates/bangerd/src/publish/serving.rs",
        from: "if !(had_one && is_lost) {",
        to: "if !(had_one && is_lost) || !error.to_string().is_empty() {",
        test: whole(
            "publish::carrier::a_carrier_that_stands_still_is_replaced_when_another_port_is_published",
        ),
    },
    Mutation {
        holds: "a port that was chosen is opened where it was or nowhere",
        file: "crates/bangerd/src/publish/slots.rs",
        from: "let port = wanted.asked.port.or(wanted.chosen);",
        to: "let port = wanted.asked.port;",
        test: whole(
            "publish::taken::a_new_daemon_has_the_same_ports_and_one_that_was_taken_as_soon_as_it_is_free",
        ),
    },
    Mutation {
        holds: "a port is nobody else's while no carrier can be had",
        file: "crates/bangerd/src/publish/serving.rs",
        from: "(asked, Binding::Stuck(held, socket, why.clone()))",
        to: "drop((held, socket));\n                    (asked, Binding::Failed(why.clone()))",
        test: whole(
            "publish::carrier::a_port_without_a_carrier_says_why_and_is_open_again_where_it_was_once_there_can_be_one",
        ),
    },
    Mutation {
        holds: "who comes while no carrier can be had is told",
        file: "crates/bangerd/src/publish/serving.rs",
        from: "                    socket.turn_away();\n",
        to: "",
        test: whole(
            "publish::carrier::a_port_without_a_carrier_says_why_and_is_open_again_where_it_was_once_there_can_be_one",
        ),
    },
    Mutation {
        holds: "a carrier without a daemon ends with its VMM",
        file: "crates/bangerd/src/publish/carrier/requests.rs",
        from: "() = ended(vmm) => return None,",
        to: "() = ended(vmm) => std::future::pending().await,",
        test: whole("publish::carrier::a_vmm_that_ends_without_a_daemon_takes_its_carrier_along"),
    },
];
