//! What is stopped, started, or killed.

use super::*;
use banger_testkit::namespaces::own_network;
use banger_testkit::world::kill;

/// Pids of the world's helper.
fn helpers(world: &World) -> Vec<u32> {
    let is_helper = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "banger-root")
    };
    world.processes().into_iter().filter(is_helper).collect()
}

fn one_helper(world: &World) -> u32 {
    match helpers(world).as_slice() {
        [one] => *one,
        other => panic!("{other:?}"),
    }
}

/// Each of our TAPs and tables is there once. A TAP that was just made looks as if somebody used it
/// until the kernel has noticed that nobody does.
fn nothing_is_doubled(world: &World) {
    eventually("as many TAPs in use as machines", LIMIT, || {
        let links = json("ip -j link show master br-fc up");
        let is_in_use = |link: &&serde_json::Value| {
            let flags = link["flags"].as_array().into_iter().flatten();
            !flags.into_iter().any(|flag| flag == "NO-CARRIER")
        };
        let in_use = links.as_array().expect("links").iter().filter(is_in_use);
        match in_use.count() == world.vmms().len() {
            true => Ok(()),
            false => Err(links.to_string()),
        }
    });
    let tables = tool("nft list tables");
    assert_eq!(tables.lines().count(), 2, "{tables}");
}

fn both_reach_each_other(world: &World) {
    for family in 0..2 {
        let (a, b) = (addresses(world, "a")[family], addresses(world, "b")[family]);
        assert_eq!(told(world, "b", a, PORT), Ok(b.to_string()));
        assert!(pings(world, "a", b), "{b}");
    }
}

#[test]
fn a_guest_s_network_outlives_stops_and_a_killed_daemon_and_a_killed_helper() {
    own_network(|| {
        let before = network();
        let world = World::bridged();
        guest(&world, "a", &[]);
        guest(&world, "b", &["--link", "a"]);
        serve(&world, "a");
        both_reach_each_other(&world);
        let first = addresses(&world, "b");

        // Stopped and started: configured anew, with the same address.
        let _ = world.run(["vm", "stop", "b"]).good();
        guest(&world, "c", &[]);
        let _ = world.run(["vm", "start", "b"]).good();
        assert_eq!(addresses(&world, "b"), first);
        both_reach_each_other(&world);
        let _ = world.run(["vm", "rm", "c"]).good();

        // The daemon is killed: the helper ends with it, the guests' network stays as it is.
        let helper = one_helper(&world);
        world.kill_daemon();
        eventually(
            "the helper to leave with the daemon",
            LIMIT,
            || match helpers(&world).contains(&helper) {
                true => Err(helper),
                false => Ok(()),
            },
        );
        let tables = tool("nft list tables");
        assert_eq!(tables.lines().count(), 2, "{tables}");
        both_reach_each_other(&world);
        nothing_is_doubled(&world);

        // The helper is killed: the next start has another one.
        let helper = one_helper(&world);
        kill(helper);
        both_reach_each_other(&world);
        guest(&world, "c", &["--link", "b"]);
        assert_ne!(one_helper(&world), helper);
        assert!(pings(&world, "c", addresses(&world, "b")[0]));
        assert!(!pings(&world, "c", addresses(&world, "a")[0]));
        nothing_is_doubled(&world);

        // And both.
        kill(one_helper(&world));
        world.kill_daemon();
        let _ = world.run(["vm", "rm", "c"]).good();
        both_reach_each_other(&world);
        let _ = world.run(["vm", "rm", "a", "b"]).good();
        everything_goes(&world, &before);
    });
}
