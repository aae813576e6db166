//! Long runs of random verbs, with a seed each that is always the same; `cargo xtask soak` has others.

use banger_testkit::soak::request::{End, Request};
use banger_testkit::soak::soak;
use banger_testkit::soak::step::Plan;

fn holds(request: Request) {
    match soak(&request, false) {
        Ok(report) => eprint!("{report}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn two_hundred_lifecycles_lose_invent_and_leave_nothing_whatever_is_killed() {
    holds(Request::default());
}

#[test]
fn machines_on_the_bridge_come_and_go_while_the_root_helper_is_killed_too() {
    holds(Request {
        bridged: true,
        end: End::Steps(100),
        ..Request::default()
    });
}

#[test]
fn a_hundred_power_cuts_lose_no_machine_and_nothing_that_was_synced() {
    let plan = Plan {
        power_cuts: true,
        ..Request::default().plan
    };
    holds(Request {
        plan,
        end: End::Steps(100),
        ..Request::default()
    });
}
