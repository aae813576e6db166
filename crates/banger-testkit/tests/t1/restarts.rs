//! Sessions and connections over the ends of many daemons.

use banger_testkit::World;
use banger_testkit::checks::{carried, restarts};

#[test]
fn sessions_lose_and_double_no_line_over_a_hundred_ends_of_the_daemon() {
    let mut world = World::simulated();
    restarts::sessions_lose_and_double_no_line_however_often_the_daemon_ends(&mut world, 100);
}

#[test]
fn connections_lose_and_double_no_byte_over_a_hundred_ends_of_the_daemon() {
    let mut world = World::simulated();
    carried::connections_lose_and_double_no_byte_however_often_the_daemon_ends(&mut world, 100);
}
