//! `banger doctor --prove` on a host of the test's own: links, rules and mounts that were left are found with
//! their owner, what can be swept is, and nothing of others is touched.

use banger_testkit::namespaces::{own_network, tool};
use banger_testkit::world::kill;
use banger_testkit::{World, checks, eventually};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// With a helper, which sees what nobody else does.
const BRIDGED: &str = "network = \"bridge\"\naccelerator = \"tcg\"\nstart_limit_seconds = 20\n";

/// What is left: kind, name, whose.
fn left(world: &World) -> Vec<(String, String, String)> {
    let proof = world.run(["doctor", "--prove", "--json"]).json();
    assert_eq!(
        proof["not_seen"],
        serde_json::json!([]),
        "root sees everything"
    );
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let all = proof["left"].as_array().expect("a list").iter();
    all.map(|one| {
        (
            text(one, "kind"),
            text(one, "name"),
            text(one, "belongs_to"),
        )
    })
    .collect()
}

fn has(left: &[(String, String, String)], kind: &str, name: &str, whose: &str) -> bool {
    let is_it = |(k, n, w): &(String, String, String)| {
        k == kind && n.contains(name) && w.starts_with(whose)
    };
    left.iter().any(is_it)
}

#[test]
fn links_rules_and_mounts_that_are_left_are_found_with_their_owner() {
    own_network(|| {
        let world = World::simulated();
        world.configure(BRIDGED);
        // Somebody's own, from before; only this one is never told.
        tool("ip tuntap add tap-fc-900 mode tap");
        let _ = world.run(["doctor", "--prove", "--baseline"]).good();
        assert_eq!(left(&world), []);
        let _ = world.run(checks::run(&["-d", "--name", "web"])).good();
        assert_eq!(left(&world), [], "what a machine that runs has is its own");
        // Daemon and VMM die; helper and guest with them: what the kernel has stays.
        world.kill_daemon();
        kill(world.vmms()[0]);
        eventually("the end of the VMM", LIMIT, || {
            if world.vmms().is_empty() {
                Ok(())
            } else {
                Err("it lives")
            }
        });
        tool("ip tuntap add tap-fc-901 mode tap");
        let mounted = world.state().join("sandboxes/mounted");
        std::fs::create_dir(&mounted).expect("made");
        tool(&format!("mount -t tmpfs tmpfs {}", mounted.display()));
        let all = left(&world);
        assert!(has(&all, "link", "tap-fc-1", "machine web ("), "{all:#?}");
        assert!(has(&all, "link", "br-fc", "daemon"), "{all:#?}");
        assert!(has(&all, "rules", "inet banger", "daemon"), "{all:#?}");
        assert!(has(&all, "link", "tap-fc-901", "unknown"), "{all:#?}");
        assert!(
            has(&all, "mount", "sandboxes/mounted", "unknown"),
            "{all:#?}"
        );
        assert!(!has(&all, "link", "tap-fc-900", ""), "{all:#?}");
        tool(&format!("umount {}", mounted.display()));
        std::fs::remove_dir(&mounted).expect("removed");
        // The next daemon, asked to repair, leaves nothing of its own and everything of others.
        let _ = world.run(["doctor", "--fix"]);
        let _ = world.run(["vm", "rm", "web"]).good();
        world.stop_daemon();
        let rest = left(&world);
        assert_eq!(rest.len(), 1, "{rest:#?}");
        assert!(has(&rest, "link", "tap-fc-901", "unknown"), "{rest:#?}");
        let links = tool("ip -br link");
        assert!(
            links.contains("tap-fc-900") && links.contains("tap-fc-901"),
            "{links}"
        );
        assert!(
            !links.contains("br-fc") && !tool("nft list tables").contains("banger"),
            "{links}"
        );
    });
}

/// A loop device over a file, until it is dropped. Loop devices are the whole host's.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Self {
        std::fs::write(file, vec![0; 1 << 20]).expect("written");
        let printed = tool(&format!("losetup --find --show {}", file.display()));
        Self(printed.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // A guard must not panic: what stays shows in the next proof.
        let detached = Command::new("losetup").args(["--detach", &self.0]).status();
        if !detached.is_ok_and(|status| status.success()) {
            eprintln!("{} stays", self.0);
        }
    }
}

#[test]
fn loop_devices_over_bangers_files_are_found_and_those_of_others_are_not() {
    own_network(|| {
        let world = World::simulated();
        world.configure(BRIDGED);
        let _ = world.run(["doctor", "--prove", "--baseline"]).good();
        let _ = world
            .run(["vm", "create", "--no-start", "--name", "web"])
            .good();
        let disk = world.directory("web").join("planted");
        let ours = Loop::over(&disk);
        let others = Loop::over(&world.path("somebodys"));
        let all = left(&world);
        assert!(
            has(&all, "loop", &ours.0, "unknown, over machine web ("),
            "{all:#?}"
        );
        assert!(!has(&all, "loop", &others.0, ""), "{all:#?}");
        drop((ours, others));
        // Detached, it goes when nobody has it open any more.
        eventually("the loop device to be gone", LIMIT, || {
            match left(&world).as_slice() {
                [] => Ok(()),
                all => Err(all.to_vec()),
            }
        });
        let _ = world.run(["vm", "rm", "web"]).good();
        assert_eq!(left(&world), []);
    });
}

/// In a hierarchy of the test's own, which no other process sees.
#[test]
fn a_cgroup_of_bangers_name_without_processes_is_found_and_one_that_is_in_use_is_not() {
    own_network(|| {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("proved-{}", std::process::id());
        tool(&format!("mount -t tmpfs tmpfs {}", root.display()));
        let hierarchy = root.join("own");
        std::fs::create_dir(&hierarchy).expect("made");
        tool(&format!(
            "mount -t cgroup -o none,name={name} cgroup {}",
            hierarchy.display()
        ));
        let world = World::simulated();
        world.configure(BRIDGED);
        let made = |name: &str| {
            let path = hierarchy.join(name);
            std::fs::create_dir_all(&path).expect("made");
            path
        };
        let before = made("below/banger-before");
        let _ = world.run(["doctor", "--prove", "--baseline"]).good();
        let planted = made("below/banger-x");
        let used = made("banger-used");
        let other = made("bang");
        // It ends with its input, however this test ends.
        let process = Command::new("cat").stdin(Stdio::piped()).spawn();
        let mut process = process.expect("started");
        std::fs::write(used.join("cgroup.procs"), process.id().to_string()).expect("moved");
        let all = left(&world);
        assert!(has(&all, "cgroup", "below/banger-x", "unknown"), "{all:#?}");
        assert_eq!(all.len(), 1, "{all:#?}");
        drop(process.stdin.take());
        process.wait().expect("ended");
        eventually("the other one to be without a process", LIMIT, || {
            let all = left(&world);
            match has(&all, "cgroup", "banger-used", "unknown") {
                true => Ok(()),
                false => Err(all),
            }
        });
        for path in [planted, used] {
            std::fs::remove_dir(path).expect("removed");
        }
        assert_eq!(left(&world), []);
        for path in [before, hierarchy.join("below"), other] {
            std::fs::remove_dir(path).expect("removed");
        }
        tool(&format!("umount {}", hierarchy.display()));
    });
}
