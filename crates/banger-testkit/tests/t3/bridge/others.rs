//! What others have on the host, and what a killed daemon left there.

use super::*;
use banger_testkit::namespaces::own_network;

fn link(name: &str) -> Option<serde_json::Value> {
    let links = json("ip -j link show");
    let all = links.as_array().expect("links").iter();
    all.into_iter().find(|link| link["ifname"] == name).cloned()
}

fn mark(name: &str) -> Option<String> {
    link(name)?["ifalias"].as_str().map(str::to_owned)
}

/// Demands that a start is refused, and says so.
fn refused(world: &World, words: &[&str]) {
    let ran = world.run(run(&["-d", "--name", "x"]));
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(world.names().is_empty());
}

#[test]
fn ours_is_swept_and_what_is_another_s_stays_and_is_named() {
    own_network(|| {
        // Another's bridge, before there is any of ours.
        let world = World::bridged();
        tool("ip link add br-fc type bridge");
        refused(&world, &["br-fc belongs to another program", "bridge_name"]);
        assert!(link("br-fc").is_some());
        tool("ip link delete br-fc");

        // Another's TAPs: passed over, with the pool and without it.
        for slot in [1, 3] {
            tool(&format!("ip tuntap add tap-fc-{slot} mode tap"));
        }
        guest(&world, "a", &[]);
        let ours = mark("br-fc").expect("a mark");
        assert!(ours.starts_with("banger:"), "{ours}");
        assert_eq!(addresses(&world, "a")[0].to_string(), "172.16.0.2");

        // A stale one of ours: the daemon is killed with its pool, and the next one sweeps.
        let before: Vec<u16> = (1..=64)
            .filter(|slot| mark(&format!("tap-fc-{slot}")).is_some())
            .collect();
        assert!(before.len() >= 2, "a's and the pool's: {before:?}");
        tool("ip tuntap add tap-fc-900 mode tap");
        tool(&format!("ip link set tap-fc-900 alias {ours}"));
        world.kill_daemon();
        let _ = world.run(["vm", "list"]).good();
        eventually("the stale TAP to be swept", LIMIT, || {
            link("tap-fc-900").map_or(Ok(()), |link| Err(link.to_string()))
        });
        assert!(pings(&world, "a", bridge_addresses()[0]), "a's own was not");
        let _ = world.run(["vm", "rm", "a"]).good();
        world.stop_daemon();
        for slot in [1, 3] {
            let name = format!("tap-fc-{slot}");
            assert!(link(&name).is_some() && mark(&name).is_none(), "{name}");
        }
        assert!(link("br-fc").is_none(), "ours is gone");

        // Another's route or bridge on the subnet that is remembered.
        tool("ip link add virbr7 type bridge");
        tool("ip link set virbr7 up");
        tool("ip addr add 172.16.0.77/24 dev virbr7");
        refused(&world, &["172.16.0.", "virbr7", "bridge_ip"]);
        tool("ip link delete virbr7");
        guest(&world, "b", &[]);
        let _ = world.run(["vm", "rm", "b"]).good();
        world.stop_daemon();
    });
}
