//! What is killed, and guests that lie or die.

use super::{client, unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    // kill -9.
    Mutation {
        holds: "guests go on when the daemon is killed",
        file: "crates/banger-model/src/plan/repair.rs",
        from: "Goal::Running if survey.has(HostObject::Vmm) => Goal::Running,",
        to: "Goal::Running if survey.has(HostObject::Vmm) => Goal::AtRest,",
        test: whole("machine::guests_and_sessions_outlive_the_daemon"),
    },
    Mutation {
        holds: "an exec that runs is taken up again where it was",
        file: "crates/banger/src/exec/session.rs",
        from: "stdout: self.stdout.received(),",
        to: "stdout: 0,",
        test: whole("machine::guests_and_sessions_outlive_the_daemon"),
    },
    Mutation {
        holds: "an exec looks for the next daemon",
        file: "crates/banger/src/exec/pump.rs",
        from: "Outcome::Lost => {}",
        to: "Outcome::Lost => return Ok(Exit::Around),",
        test: whole("machine::guests_and_sessions_outlive_the_daemon"),
    },
    Mutation {
        holds: "an exec that was begun and not answered is asked for again",
        file: "crates/banger/src/exec/pump.rs",
        from: "NoLink::Lost(_) => Instant::now() < deadline,",
        to: "NoLink::Lost(_) => false,",
        test: client(
            "sessions::a_connection_that_breaks_before_its_answer_is_made_again_for_the_same_session",
        ),
    },
    Mutation {
        holds: "a killed VMM is shown with the reason",
        file: "crates/bangerd/src/sandbox/works.rs",
        from: "let result = work.settle_stopped(Some(reason)).await;",
        to: "let result = work.settle_stopped(None).await;",
        test: whole("machine::a_killed_vmm_is_told_and_its_sandbox_starts_again"),
    },
    Mutation {
        holds: "a VMM that died without a daemon is told",
        file: "crates/bangerd/src/sandbox/reconcile.rs",
        from: "SandboxState::Running => Some(why_it_ended(record).to_owned()),",
        to: "SandboxState::Running => None,",
        test: whole("machine::a_vmm_that_died_without_a_daemon_is_told"),
    },
    Mutation {
        holds: "guests on the bridge keep their places when the daemon is killed",
        file: "crates/bangerd/src/host_network/adopt.rs",
        from: "slot: place.slot?,",
        to: "slot: place.slot.filter(|_| false)?,",
        test: whole(
            "bridge::a_killed_daemon_s_guests_keep_their_places_and_what_nobody_owns_is_swept",
        ),
    },
    Mutation {
        holds: "a root helper that was killed is started again",
        file: "crates/bangerd/src/host_network/helper_process.rs",
        from: "let started = self.own.start(&self.bridge, self.installation, op).await;",
        to: "let started: Result<(), Fault> = Ok(());",
        test: whole("bridge::a_killed_helper_is_started_again_by_the_next_request"),
    },
    Mutation {
        holds: "nothing is made behind the sweep of a daemon that leaves",
        file: "crates/bangerd/src/host_network/tap_pool/mod.rs",
        from: "*self.0.closed.lock().await = true;",
        to: "*self.0.closed.lock().await = false;",
        test: unit(
            "bangerd",
            "host_network::tap_pool::tests::closing_waits_for_the_batch_at_work_and_no_other_follows",
        ),
    },
    Mutation {
        holds: "TAPs of others are passed over",
        file: "crates/bangerd/src/host_network/tap_pool/mod.rs",
        from: "foreign.map(|tap| tap.slot)",
        to: "foreign.map(|tap| tap.slot).take(0)",
        test: whole("bridge::a_tap_of_another_s_is_left_alone_and_its_slot_is_passed_over"),
    },
    // A lying or dead guest.
    Mutation {
        holds: "a closed port is told",
        file: "crates/bangerd/src/guest/link.rs",
        from: "            Ok(0) => break LinkError::Closed,",
        to: "            Ok(0) => break LinkError::Silent(FRAME_LIMIT),",
        test: unit(
            "bangerd",
            "guest::link::t1::a_guest_that_closes_and_one_that_is_silent_are_told_apart",
        ),
    },
    Mutation {
        holds: "endless garbage is given up",
        file: "crates/bangerd/src/guest/link.rs",
        from: "if decoder.skipped() > MOST_GARBAGE {",
        to: "if decoder.skipped() > u64::MAX - MOST_GARBAGE {",
        test: whole("hostile::a_guest_that_answers_with_garbage_is_given_up"),
    },
    Mutation {
        holds: "a frame that never ends is given up",
        file: "crates/bangerd/src/guest/link.rs",
        from: "Ok(_) => deadline = Some(Instant::now() + FRAME_LIMIT),",
        to: "Ok(_) => deadline = None,",
        test: whole("hostile::a_frame_that_never_ends_is_given_up_in_time"),
    },
    Mutation {
        holds: "a slow drip does not put the limit off",
        file: "crates/bangerd/src/guest/link.rs",
        from: "            Ok(0) if deadline.is_some() => {}\n",
        to: "",
        test: whole("hostile::a_frame_that_never_ends_is_given_up_in_time"),
    },
    Mutation {
        holds: "absurd lengths are seen in the header",
        file: "crates/banger-proto/src/guest/codec.rs",
        from: "length <= MAX_PAYLOAD)",
        to: "length < usize::MAX)",
        test: unit(
            "banger-proto",
            "guest::codec::tests::absurd_lengths_and_unknown_kinds_are_lost_before_their_payload_is_awaited",
        ),
    },
    Mutation {
        holds: "an answer without end costs a bounded amount of memory",
        file: "crates/bangerd/src/guest/link.rs",
        from: "if kept + frame.payload.len() > MAX_MESSAGE {",
        to: "if kept + frame.payload.len() > 100 * MAX_MESSAGE {",
        test: unit(
            "bangerd",
            "guest::link::t1::an_answer_in_parts_is_put_together_and_an_endless_one_is_not",
        ),
    },
    Mutation {
        holds: "a guest that floods is cut off",
        file: "crates/bangerd/src/guest/mailbox.rs",
        from: "if channel.received > channel.limit || channel.ended {",
        to: "if channel.received > channel.limit + (1 << 40) || channel.ended {",
        test: unit(
            "bangerd",
            "guest::link::t1::a_guest_that_ignores_credit_is_cut_off_and_kept_bounded",
        ),
    },
    Mutation {
        holds: "a guest that does not read costs a bounded amount of memory",
        file: "crates/bangerd/src/guest/link.rs",
        from: "if outgoing.len() < MOST_OUTGOING {",
        to: "if outgoing.len() < 100 * MOST_OUTGOING {",
        test: unit(
            "bangerd",
            "guest::link::t1::a_guest_that_does_not_read_makes_senders_wait_and_memory_stay",
        ),
    },
];
