//! Every line of what must hold, with real guests.

use banger_testkit::World;
use banger_testkit::checks::{command, copying, crash, lifecycle, publish, refusal, terminal};

macro_rules! check {
    ($($name:ident: $check:path $(, $argument:expr)*;)+) => {
        $(
            #[test]
            fn $name() {
                $check(&World::real() $(, $argument)*);
            }
        )+
    };
}

check! {
    exit_statuses_are_the_commands_own: command::exit_statuses_are_the_commands_own;
    arguments_arrive_as_the_bytes_they_were: command::arguments_arrive_as_the_bytes_they_were;
    a_hundred_million_random_bytes_come_back_equal:
        command::random_bytes_come_back_equal, 100_000_000;
    standard_error_stays_apart: command::standard_error_stays_apart;
    surroundings_of_a_command_are_those_asked_for: command::surroundings_of_a_command_are_those_asked_for;
    a_tree_comes_back_as_it_went: copying::a_tree_comes_back_as_it_went;
    what_cannot_be_copied_is_said: copying::what_cannot_be_copied_is_said;
    guests_and_sessions_outlive_the_daemon: crash::guests_and_sessions_outlive_the_daemon;
    a_killed_vmm_is_told_and_its_sandbox_starts_again:
        crash::a_killed_vmm_is_told_and_its_sandbox_starts_again, true;
    a_vmm_that_died_without_a_daemon_is_told: crash::a_vmm_that_died_without_a_daemon_is_told;
    rm_removes_whatever_happened: crash::rm_removes_whatever_happened;
    a_sandbox_goes_through_its_life: lifecycle::a_sandbox_goes_through_its_life;
    two_runs_at_once_work: lifecycle::many_runs_at_once_work, 2;
    eight_runs_at_once_work: lifecycle::many_runs_at_once_work, 8;
    a_server_in_a_guest_in_user_mode_is_reached_until_its_port_is_published_no_longer:
        publish::a_server_in_the_guest_is_reached_until_its_port_is_published_no_longer, "user";
    a_server_in_a_guest_without_a_network_is_reached_until_its_port_is_published_no_longer:
        publish::a_server_in_the_guest_is_reached_until_its_port_is_published_no_longer, "none";
    a_guest_can_be_looked_at: lifecycle::a_guest_can_be_looked_at;
    what_cannot_be_is_refused_before_anything_is_made:
        refusal::what_cannot_be_is_refused_before_anything_is_made;
    a_terminal_has_the_right_size_after_a_resize: terminal::a_terminal_has_the_right_size_after_a_resize;
    an_interrupt_reaches_the_guests_process: terminal::an_interrupt_reaches_the_guests_process;
    losing_the_terminal_kills_the_session_and_nothing_else:
        terminal::losing_the_terminal_kills_the_session_and_nothing_else;
}
