//! The helper killed at any moment: what it left is found, completed or swept.

use crate::world::{
    PATIENCE, alone, bridge, guest, helper, in_namespace, ip_link, make, policy, send, sweep, tool,
};
use banger_linux::seqpacket::Connection;
use banger_proto::root::{Request, Verb};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn the_next_helper_knows_what_the_killed_one_made() {
    alone(|world| {
        world.done(bridge());
        world.restart();
        world.done(make([1, 2]));
        world.restart();
        world.done(policy(vec![guest(1, true)]));
        world.restart();
        let survey = world.survey();
        assert!(
            survey
                .bridge
                .is_some_and(|bridge| bridge.whose.is_ours() && bridge.ports == 2)
        );
        assert!(
            survey
                .policy
                .is_some_and(|policy| policy.whose.is_ours() && policy.changed.is_none())
        );
        assert!(survey.forwarding.ipv4_by_us);
        world.done(sweep([], false, false));
        assert_eq!((ip_link("br-fc"), ip_link("tap-fc-1")), (None, None));
        assert_eq!(tool("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
        assert_eq!(tool("nft list tables"), "");
    });
}

#[test]
fn whatever_is_cut_off_is_completed_or_swept() {
    alone(|world| {
        let request = |verb| {
            let version = banger_root::VERSION.to_owned();
            Request {
                version,
                op: "op-abc123".parse().expect("an id"),
                verb,
            }
            .encode()
            .expect("a packet")
        };
        let taps = || make((1..=64).collect::<Vec<_>>());
        for round in 0..24_u64 {
            let socket = world.socket();
            let verb: fn() -> Verb = match round % 3 {
                0 => bridge,
                1 => || policy(vec![guest(1, true)]),
                _ => || make((1..=64).collect::<Vec<_>>()),
            };
            world.done(bridge());
            if round % 3 == 0 {
                world.done(sweep([], false, false));
            }
            let packet = request(verb());
            let asking = std::thread::spawn(move || send(&socket, &packet));
            // Not a wait for something, but the moment of the kill, which has to vary.
            std::thread::park_timeout(Duration::from_micros(200 * round));
            world.kill();
            let _cut_off_or_not = asking.join().expect("no panic");
            world.restart();
            if round % 2 == 0 {
                world.done(bridge());
                world.done(taps());
                world.done(policy(vec![guest(1, true)]));
                assert_eq!(world.survey().taps.len(), 64, "round {round}");
            }
            world.done(sweep([], false, false));
            let survey = world.survey();
            assert!(
                survey.bridge.is_none() && survey.taps.is_empty() && survey.policy.is_none(),
                "round {round}"
            );
            assert_eq!(
                tool("cat /proc/sys/net/ipv4/ip_forward").trim(),
                "0",
                "round {round}"
            );
        }
    });
}

#[test]
fn a_helper_that_was_started_until_its_input_ends_leaves_with_it() {
    in_namespace(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("root.sock");
        let mut command = helper();
        command
            .arg("--socket")
            .arg(&socket)
            .arg("--until-stdin-ends");
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the helper");
        let begun = Instant::now();
        while Connection::connect(&socket).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the helper does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert!(
            matches!(child.try_wait(), Ok(None)),
            "its input is still open"
        );
        drop(child.stdin.take());
        assert!(child.wait().expect("it ends").success());
    });
}
