use super::*;
use crate::kernel::Switch;
use banger_proto::root::{Forwarded, PathKind, Verdict};

fn verdict(world: &World, kind: PathKind) -> Verdict {
    match world.ask(Verb::ProbePath { kind }) {
        Ok(Answer::Path(report)) => {
            assert_eq!(report.kind, kind);
            report.verdict
        }
        other => panic!("{other:?}"),
    }
}

/// A host whose trace says that the packet was sent, and then this.
fn traced(rest: &str) -> World {
    let world = World::ready();
    world.done(policy(vec![guest(1, true)]));
    let table = crate::probe::table(&installation());
    let sent = format!(
        "trace id 1 inet {table} sent packet: iif \"br-fc\" ip saddr 172.16.0.254 ip daddr 1.1.1.1"
    );
    world.kernel.state().trace = vec![sent, rest.replace("OURS", &table)];
    world
}

#[test]
fn a_probe_says_what_the_trace_says() {
    let through = traced("trace id 1 inet OURS arrived_out rule drop (verdict drop)");
    assert_eq!(verdict(&through, PathKind::OutIpv4), Verdict::Passed {});
    let docker = traced("trace id 1 ip filter FORWARD policy drop");
    assert!(matches!(
        verdict(&docker, PathKind::OutIpv4),
        Verdict::Dropped { rule: None, .. }
    ));
}

#[test]
fn a_packet_that_no_rule_has_seen_is_explained_by_switches_and_routes() {
    let world = traced("");
    assert_eq!(
        verdict(&world, PathKind::OutIpv4),
        Verdict::NotForwarded(Forwarded::Unknown)
    );
    world.kernel.state().routes.clear();
    assert_eq!(
        verdict(&world, PathKind::OutIpv4),
        Verdict::NotForwarded(Forwarded::NoRoute)
    );
    assert_eq!(
        verdict(&world, PathKind::HostIpv4),
        Verdict::NotForwarded(Forwarded::Unknown)
    );
    world.kernel.state().switches.insert(Switch::BridgeIpv4, 0);
    assert_eq!(
        verdict(&world, PathKind::OutIpv4),
        Verdict::NotForwarded(Forwarded::SwitchedOff)
    );
}

#[test]
fn without_bridge_or_policy_there_is_nothing_to_probe() {
    let probe = || Verb::ProbePath {
        kind: PathKind::OutIpv4,
    };
    assert!(World::new().refused(probe()).contains("there is no bridge"));
    assert!(
        World::ready()
            .refused(probe())
            .contains("there is no policy")
    );
}
