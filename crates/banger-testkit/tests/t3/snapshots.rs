//! Real guests that are kept, forked, taken back, suspended, and made from a template.

use banger_testkit::checks::disks;
use banger_testkit::{Ran, World, eventually};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const SMALL: [&str; 4] = ["--memory", "512MiB", "--disk-size", "256MiB"];

/// How long a guest with systemd may take for what comes behind the answer of a resume.
const LIMIT: Duration = Duration::from_secs(180);

pub(super) fn sh(world: &World, name: &str, script: &str) -> Ran {
    world.run(["vm", "exec", name, "--", "sh", "-ec", script])
}

pub(super) fn text(world: &World, name: &str, script: &str) -> String {
    sh(world, name, script).good().text()
}

/// What no two machines may have in common.
pub(super) fn identity(world: &World, name: &str) -> Vec<String> {
    let script = "cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname; \
                  head -c 16 /dev/urandom | sha256sum";
    text(world, name, script)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Writes numbers to a file that it keeps open, for ever.
pub(super) const COUNTS: &str = "(i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done > /root/lines) \
                      >/dev/null 2>&1 < /dev/null &";

/// What had been counted was counted in order, and it goes on.
pub(super) fn goes_on_counting(world: &World, name: &str) {
    let count = || -> u64 {
        let lines = text(world, name, "wc -l < /root/lines");
        lines.trim().parse().expect("a number")
    };
    let before = count();
    eventually("more lines", LIMIT, || {
        let now = count();
        if now > before { Ok(()) } else { Err(now) }
    });
    let in_order =
        "n=$(wc -l < /root/lines); head -n $n /root/lines > /tmp/l; seq $n | cmp - /tmp/l";
    let _ = sh(world, name, in_order).good();
}

#[test]
fn a_guest_is_forked_while_it_writes_and_each_has_its_own_identity() {
    let world = World::real();
    let create = ["vm", "create", "--name", "v", "--wait", "init"];
    let _ = world.run([&create[..], &SMALL[..]].concat()).good();
    let _ = sh(&world, "v", COUNTS).good();
    let before = identity(&world, "v");
    let _ = world
        .run(["vm", "fork", "v", "-n", "2", "--name", "w"])
        .good();
    for name in ["v", "w-1", "w-2"] {
        goes_on_counting(&world, name);
    }
    let all = ["v", "w-1", "w-2"].map(|name| identity(&world, name));
    let mut seen = BTreeSet::from_iter(before.iter().take(3).cloned());
    assert_eq!(
        all[0].get(..3),
        before.get(..3),
        "the first one is who it was"
    );
    for own in all.iter().skip(1).flatten().chain(all[0].iter().skip(3)) {
        assert!(seen.insert(own.clone()), "twice: {own}");
    }
    for name in ["w-1", "w-2"] {
        eventually("the rest of the resume", LIMIT, || {
            let health = world.run(["vm", "health", "--json", name]).text();
            if health.contains("settled") {
                Ok(())
            } else {
                Err(health)
            }
        });
        let state = sh(&world, name, "systemctl is-system-running").text();
        assert_eq!(state, "running\n", "{name}");
    }
    for name in ["v", "w-1", "w-2"] {
        let _ = world.run(["vm", "stop", name]).good();
        disks::are_clean(&world, name);
    }
}

#[test]
fn a_guest_goes_back_to_a_snapshot_and_on_from_where_it_was_suspended() {
    let world = World::real();
    let create = ["vm", "create", "--name", "v", "--init", "none"];
    let _ = world.run([&create[..], &SMALL[..]].concat()).good();
    let _ = sh(
        &world,
        "v",
        &format!("{COUNTS} echo one > /root/word; echo one > /srv/word"),
    )
    .good();
    let _ = world.run(["vm", "snapshot", "v", "good"]).good();
    let _ = sh(
        &world,
        "v",
        "echo two > /root/word; rm /srv/word; : > /root/lines",
    )
    .good();
    let _ = world.run(["vm", "restore", "v", "good"]).good();
    let words = "cat /root/word /srv/word";
    assert_eq!(text(&world, "v", words), "one\none\n");
    goes_on_counting(&world, "v");
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = text(&world, "v", boot);
    let _ = world.run(["vm", "suspend", "v"]).good();
    assert_eq!(world.show("v")["state"], "suspended");
    // Whoever uses it wakes it; its clock is the host's.
    let drift = format!("test $(( $(date +%s) - {} )) -lt 60", now());
    let _ = sh(&world, "v", &drift).good();
    goes_on_counting(&world, "v");
    assert_ne!(text(&world, "v", boot), before);
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");
}

fn now() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    time.expect("after 1970").as_secs()
}

#[test]
fn a_machine_made_from_a_template_works_and_has_nothing_of_another() {
    let world = World::real();
    world.configure("templates = \"prepared\"\n");
    let _ = world
        .run([&["image", "prepare"], &SMALL[..]].concat())
        .good();
    assert!(world.names().is_empty());
    let run = ["vm", "run", "--rm"];
    let script = [
        "--",
        "sh",
        "-ec",
        "cat /etc/machine-id; apt-get --version | head -1; ls /root",
    ];
    let both = [0, 1].map(|_| {
        let ran = world
            .run([&run[..], &SMALL[..], &script[..]].concat())
            .good();
        assert!(ran.stderr.contains("resuming"), "{}", ran.stderr);
        ran.text()
    });
    assert!(both[0].contains("apt"), "{}", both[0]);
    assert_ne!(both[0], both[1]);
    assert!(world.names().is_empty());
}

/// What the test does to the machine, as the tool that tells of it has to see it.
const CHANGES: &str = "echo more >> /etc/hosts; chmod 600 /etc/motd; rm /etc/issue; mv /usr/share/doc/tar /srv/tar; \
                       rm -r /usr/share/doc/dpkg; mkdir /usr/share/doc/dpkg; ln -sfn /srv /etc/os-release; \
                       mkdir -p /root/a/b; seq 100000 > /root/a/b/numbers";

#[test]
fn the_disks_of_a_guest_tell_what_it_has_changed_while_it_runs_and_afterwards() {
    let world = World::real();
    let create = ["vm", "create", "--name", "v", "--wait", "init"];
    let _ = world.run([&create[..], &SMALL[..]].concat()).good();
    let _ = world.run(["vm", "snapshot", "v", "before"]).good();
    let _ = sh(&world, "v", CHANGES).good();
    let told = |arguments: &[&str]| {
        let arguments = [&["vm", "diff", "v"], arguments].concat();
        world.run(arguments).good().text()
    };
    let expected = [
        "M /etc/hosts (content)",
        "D /etc/issue",
        "M /etc/motd (mode)",
        "A /root/a/",
        "A /root/a/b/",
        "A /root/a/b/numbers",
        "A /srv/tar/",
        "A /srv/tar/copyright",
        "D /usr/share/doc/dpkg/copyright",
        "D /usr/share/doc/tar/",
        "D /usr/share/doc/tar/copyright",
    ];
    let holds = |text: &str, what: &str| {
        let lines: Vec<_> = text.lines().collect();
        for line in expected {
            assert!(lines.contains(&line), "{what}: {line} is not in\n{text}");
        }
        assert!(text.contains("/etc/os-release (target)"), "{what}: {text}");
    };
    holds(&told(&["before"]), "running, against a snapshot");
    let since_image = told(&[]);
    holds(&since_image, "running, against the image");
    // Identity is written at every start: to tell of it is the truth.
    assert!(since_image.contains("/etc/hostname"), "{since_image}");
    let found: serde_json::Value = serde_json::from_str(&told(&["--json"])).expect("JSON");
    println!("stood still for {} ms", found["paused_ms"]);
    let _ = world.run(["vm", "kill", "v"]).good();
    holds(&told(&["before"]), "killed");
    let _ = world.run(["vm", "start", "v"]).good();
    holds(&told(&["before"]), "started again");
    let _ = world.run(["vm", "restore", "v", "before"]).good();
    let text = told(&["before"]);
    assert!(!expected.iter().any(|line| text.contains(line)), "{text}");
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");
}
