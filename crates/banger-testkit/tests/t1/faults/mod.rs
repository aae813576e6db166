//! A fault at every place of everything that is done to a machine. The places come from what the daemon
//! passes, and what it must pass from the planner: a step that is new is struck without anyone thinking
//! of it.

mod in_hand;
mod matrix;
mod scenario;
mod undo;

use matrix::{Fault, strike, world};
use scenario::Scenario;

#[test]
fn every_step_that_is_planned_is_a_place_where_a_fault_can_strike() {
    let world = world();
    for scenario in Scenario::ALL {
        let passed = matrix::passed(&world, scenario);
        let mut rest = passed.iter();
        for place in scenario.planned() {
            assert!(
                rest.any(|other| *other == place),
                "{scenario:?} does not pass {place} in its turn: {passed:?}"
            );
        }
        let records = passed.iter().filter(|place| place.starts_with("record-"));
        let least = if scenario.changes_the_record() { 2 } else { 0 };
        assert!(
            records.count() >= least,
            "{scenario:?} records nothing: {passed:?}"
        );
        let journal = passed.iter().filter(|place| place.starts_with("journal-"));
        let both = ["begun", "ended"]
            .map(|what| ["before", "after"].map(|side| format!("journal-{what}.{side}")));
        let both = if scenario.is_operation() {
            both.concat()
        } else {
            vec![]
        };
        assert_eq!(journal.cloned().collect::<Vec<_>>(), both, "{scenario:?}");
    }
}

macro_rules! strikes {
    ($($name:ident: $fault:ident;)+) => {
        $(
            #[test]
            fn $name() {
                strike(Fault::$fault, &Scenario::ALL);
            }
        )+
    };
}

strikes! {
    a_daemon_killed_at_any_place_loses_and_leaves_nothing: DaemonKilled;
    a_helper_killed_at_any_place_loses_and_leaves_nothing: HelperKilled;
    a_vmm_killed_at_any_place_loses_and_leaves_nothing: VmmKilled;
    a_carrier_killed_at_any_place_loses_and_leaves_nothing_and_its_ports_answer: CarrierKilled;
    a_disk_that_fills_at_any_place_loses_and_leaves_nothing: DiskFull;
    a_step_that_fails_at_any_place_loses_and_leaves_nothing: StepFails;
    an_error_in_banger_itself_at_any_place_isolates_one_machine_which_can_be_repaired: DaemonErrs;
}
