//! What a daemon finds at its start, what could not be finished, and its repair.

use super::{unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    Mutation {
        holds: "what could not be removed is kept and lowers what is allowed",
        file: "crates/bangerd/src/sandbox/works.rs",
        from: "record.state = SandboxState::NeedsRepair;",
        to: "record.state = SandboxState::Stopped;",
        test: whole(
            "repair::a_deletion_that_could_not_be_finished_is_shown_and_finished_by_a_repair",
        ),
    },
    Mutation {
        holds: "stopping a half-deleted machine makes nothing of it that could be started",
        file: "crates/bangerd/src/sandbox/shutdown.rs",
        from: "&& unfinished.aim == Goal::Absent",
        to: "&& unfinished.aim == Goal::Present",
        test: whole(
            "repair::a_deletion_that_could_not_be_finished_is_shown_and_finished_by_a_repair",
        ),
    },
    Mutation {
        holds: "what could not be removed keeps what it needs",
        file: "crates/banger-model/src/plan.rs",
        from: "left.iter().any(|one| one.object.needs().contains(&object))",
        to: "left.iter().any(|one| one.object == object)",
        test: unit(
            "banger-model",
            "plan::tests::what_cannot_be_removed_keeps_what_it_needs_and_a_repair_comes_to_the_same_end",
        ),
    },
    Mutation {
        holds: "a repair makes no disk",
        file: "crates/banger-model/src/plan/repair.rs",
        from: "Goal::Running | Goal::Present | Goal::AtRest => Goal::AtRest,",
        to: "Goal::Running | Goal::Present | Goal::AtRest => Goal::Present,",
        test: unit(
            "banger-model",
            "plan::tests::a_repair_that_breaks_off_at_any_step_is_repaired_to_the_same_end",
        ),
    },
    Mutation {
        holds: "what was deleted meanwhile is no failure of repairing all",
        file: "crates/banger/src/commands/repair.rs",
        from: "            Err(fault) if fault.code == FaultCode::NotFound => {}\n",
        to: "",
        test: unit(
            "banger",
            "commands::repair::tests::a_machine_that_was_deleted_meanwhile_is_no_failure_of_repairing_all",
        ),
    },
    Mutation {
        holds: "a directory with a work disk is never removed as nobody's",
        file: "crates/bangerd/src/strays.rs",
        from: "if paths.work_disk().exists() {",
        to: "if false {",
        test: whole(
            "repair::what_no_machine_knows_is_removed_when_asked_and_never_with_a_work_disk",
        ),
    },
    Mutation {
        holds: "a reboot of the host is told as what it is",
        file: "crates/bangerd/src/sandbox/reconcile.rs",
        from: "(Some(then), Ok(now)) if then != now =>",
        to: "(Some(then), Ok(now)) if then == now =>",
        test: whole(
            "reconcile::after_a_reboot_of_the_host_machines_are_stopped_and_whoever_has_their_pids_is_left_alone",
        ),
    },
    Mutation {
        holds: "a process that took a pid over is not taken for the VMM",
        file: "crates/bangerd/src/vmm/process/mod.rs",
        from: "stat.start_time == self.start_time && executable == self.executable",
        to: "stat.start_time != u64::MAX || executable == self.executable",
        test: whole("reconcile::a_process_that_took_over_the_pid_of_a_vmm_is_not_taken_for_it"),
    },
    Mutation {
        holds: "a VMM that has not opened its socket yet is found",
        file: "crates/bangerd/src/vmm/qemu/find.rs",
        from: "let is_own = entry.metadata().is_ok_and(|found| found.uid() == own);",
        to: "let is_own = entry.metadata().is_ok_and(|found| found.uid() != own);",
        test: unit(
            "bangerd",
            "vmm::qemu::find::t1::a_vmm_is_found_by_what_it_was_started_with_and_no_other_process_is",
        ),
    },
    Mutation {
        holds: "a record that cannot be read keeps its name",
        file: "crates/bangerd/src/supervise.rs",
        from: "for (record, origin) in readable.chain(unreadable) {",
        to: "for (record, origin) in readable.chain(unreadable.take(0)) {",
        test: whole(
            "records::a_record_that_cannot_be_read_keeps_its_name_and_all_other_machines_work",
        ),
    },
    Mutation {
        holds: "a damaged database keeps its bytes",
        file: "crates/bangerd/src/store/mod.rs",
        from: "    look::require_sound(path)?;\n",
        to: "",
        test: unit(
            "bangerd",
            "store::t1::a_damaged_page_is_refused_before_anything_is_written",
        ),
    },
    // Faults at every place.
    Mutation {
        holds: "a start that cannot be recorded leaves no VMM",
        file: "crates/bangerd/src/sandbox/starting.rs",
        from: "            self.reach(Goal::AtRest).await?;\n",
        to: "",
        test: whole("faults::a_disk_that_fills_at_any_place_loses_and_leaves_nothing"),
    },
    Mutation {
        holds: "a failed start comes to its end though it cannot be recorded",
        file: "crates/bangerd/src/sandbox/works.rs",
        from: "            .conclude(|record| {\n                record.state = state;",
        to: "            .put(|record| {\n                record.state = state;",
        test: whole("faults::a_disk_that_fills_at_any_place_loses_and_leaves_nothing"),
    },
    Mutation {
        holds: "an error in banger itself isolates one machine",
        file: "crates/bangerd/src/sandbox/works.rs",
        from: "unfinished: Some(unfinished),\n    });",
        to: "unfinished: Some(unfinished).filter(|_| false),\n    });",
        test: whole(
            "faults::an_error_in_banger_itself_at_any_place_isolates_one_machine_which_can_be_repaired",
        ),
    },
    Mutation {
        holds: "a deletion that was begun is finished by the next daemon",
        file: "crates/bangerd/src/sandbox/reconcile.rs",
        from: "(None, SandboxState::Deleting) => Goal::Absent,",
        to: "(None, SandboxState::Deleting) => Goal::AtRest,",
        test: whole("reconcile::a_deletion_that_was_recorded_is_finished_by_the_next_daemon"),
    },
    Mutation {
        holds: "each step is a place where a fault can strike",
        file: "crates/bangerd/src/sandbox/act.rs",
        from: "        pass(&name, place, Side::Before).await?;\n        self.take(step, vmm).await?;",
        to: "        self.take(step, vmm).await?;",
        test: whole("faults::every_step_that_is_planned_is_a_place_where_a_fault_can_strike"),
    },
    Mutation {
        holds: "what an undo could not remove is kept",
        file: "crates/bangerd/src/sandbox/act.rs",
        from: "return Err(Failure::of(fault, goal, undoing.left));",
        to: "return Err(Failure::of(fault, goal, vec![]));",
        test: whole(
            "faults::undo::what_an_undo_could_not_remove_is_kept_until_a_repair_removes_it",
        ),
    },
    Mutation {
        holds: "a repair behind a deletion is no failure",
        file: "crates/bangerd/src/supervise/perform.rs",
        from: "Err(_) if repairs && sandbox.view().gone =>",
        to: "Err(_) if !repairs && sandbox.view().gone =>",
        test: whole("repair::a_repair_behind_a_deletion_finds_it_deleted_and_nothing_to_repair"),
    },
];
