//! What only a real guest can show: identity, disks, isolation, odd images.

use banger_testkit::checks::{restarts, run, start};
use banger_testkit::fixtures::tar_entry;
use banger_testkit::{Ran, World};
use std::path::Path;

fn sh(world: &World, name: &str, script: &str) -> Ran {
    world.run(["vm", "exec", name, "--", "sh", "-c", script])
}

#[test]
fn a_guest_has_the_identity_of_its_sandbox() {
    let world = World::real();
    start(&world, "web-1");
    let id = world.show("web-1")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let seen = sh(
        &world,
        "web-1",
        "hostname; cat /etc/machine-id; cat /etc/hostname; date +%s",
    )
    .good();
    let text = seen.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["web-1", &id, "web-1"]);
    let host = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    let guest: u64 = lines[3].parse().expect("seconds");
    assert!(host.as_secs().abs_diff(guest) < 120, "{guest}");
    assert!(
        sh(&world, "web-1", "cat /proc/sys/kernel/random/entropy_avail")
            .good()
            .text()
            .trim()
            != "0"
    );
}

#[test]
fn a_guest_has_what_was_asked_for() {
    let world = World::real();
    let _ = world
        .run(run(&[
            "-d",
            "--name",
            "v",
            "--memory",
            "384MiB",
            "--disk-size",
            "3GiB",
        ]))
        .good();
    let seen = sh(
        &world,
        "v",
        "nproc; grep MemTotal /proc/meminfo; df -m --output=size,target / /root",
    )
    .good();
    let text = seen.text();
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .expect("memory");
    assert!((250 * 1024..=384 * 1024).contains(&kib), "{text}");
    let root = text
        .lines()
        .find(|line| line.ends_with("/root"))
        .expect("a work disk");
    let size: u64 = root
        .split_whitespace()
        .next()
        .and_then(|s| s.parse().ok())
        .expect("a size");
    assert!((2600..=3072).contains(&size), "{text}");
}

#[test]
fn disks_keep_what_was_written_and_the_image_stays_as_it_was() {
    let world = World::real();
    start(&world, "one");
    start(&world, "two");
    let _ = sh(
        &world,
        "one",
        "echo mine > /etc/mine; echo kept > /root/kept; rm /etc/issue",
    )
    .good();
    assert_eq!(
        sh(&world, "two", "ls /etc/mine /root/kept; ls /etc/issue").text(),
        "/etc/issue\n"
    );
    let _ = world.run(["vm", "restart", "one"]).good();
    assert_eq!(
        sh(&world, "one", "cat /etc/mine /root/kept").good().text(),
        "mine\nkept\n"
    );
    assert_ne!(sh(&world, "one", "ls /etc/issue").code, Some(0));
}

#[test]
fn a_guest_reaches_nothing_unless_it_may() {
    let world = World::real();
    start(&world, "shut");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("timeout 20 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port}'");
    assert_ne!(
        sh(&world, "shut", &connect).code,
        Some(0),
        "the host's loopback is out of reach"
    );
    assert!(
        !sh(&world, "shut", "cat /etc/resolv.conf")
            .text()
            .contains("nameserver")
    );
    let _ = world.run(run(&["-d", "--name", "open", "--nat"])).good();
    let seen = sh(&world, "open", &connect);
    assert_eq!(
        seen.code,
        Some(0),
        "with --nat the way out is open: {}",
        seen.stderr
    );
    assert!(
        sh(&world, "open", "cat /etc/resolv.conf")
            .text()
            .contains("10.0.2.3")
    );
}

#[test]
fn ports_that_listen_in_the_guest_are_listed_with_their_process() {
    let world = World::real();
    start(&world, "v");
    let listen = "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 8123); sleep 600'";
    let script = format!("({listen}) >/dev/null 2>&1 & echo started");
    let _ = sh(&world, "v", &script).good();
    banger_testkit::eventually("the port", std::time::Duration::from_secs(60), || {
        let ports = world.run(["vm", "ports", "--json", "v"]).good().text();
        if ports.contains("8123") && ports.contains("perl") {
            Ok(())
        } else {
            Err(ports)
        }
    });
}

#[test]
fn users_of_the_image_can_run_commands() {
    let world = World::real();
    start(&world, "v");
    let seen = world
        .run([
            "vm", "exec", "-u", "nobody", "-w", "/", "v", "--", "id", "-un",
        ])
        .good();
    assert_eq!(seen.text(), "nobody\n");
    let seen = world
        .run([
            "vm",
            "exec",
            "-u",
            "1234:77",
            "-w",
            "/",
            "v",
            "--",
            "sh",
            "-c",
            "id -u; id -g",
        ])
        .good();
    assert_eq!(seen.text(), "1234\n77\n");
}

/// The static agent is the one program that is at hand everywhere: an image of nothing else has no
/// shell, no `/etc/passwd`, no library.
#[test]
fn an_image_with_a_single_static_program_runs_it() {
    let world = World::real();
    // Its name decides nothing: as an ordinary process, not PID 1, it says so and ends.
    let agent = Path::new(world.program("banger").get_program()).with_file_name("banger-agent");
    let mut tar = tar_entry("only", b'x', &std::fs::read(agent).expect("the agent"));
    tar.extend([0; 1024]);
    let file = world.path("only.tar");
    std::fs::write(&file, tar).expect("written");
    // Images are shared by all tests of this tier: this world gets a directory of its own.
    let images = world.state().join("images");
    std::fs::remove_file(&images).expect("unlinked");
    let _ = world
        .run(["image", "import", file.to_str().expect("text"), "only"])
        .good();
    let _ = world
        .run(run(&["-d", "--name", "v", "--image", "only"]))
        .good();
    let ran = world.run(["vm", "exec", "v", "--", "/only"]);
    assert!(
        ran.code.is_some_and(|code| !matches!(code, 125..=127)),
        "{ran:?}"
    );
    let shell = world.run(["vm", "exec", "v", "--", "sh"]);
    assert_eq!(shell.code, Some(127), "{}", shell.stderr);
    let user = world.run(["vm", "exec", "-u", "root", "v", "--", "/only"]);
    assert!(user.code.is_some(), "{user:?}");
    let _ = world.run(["vm", "stop", "v"]).good();
}

#[test]
fn doctor_says_which_accelerator_was_chosen_and_why() {
    let world = World::real();
    start(&world, "v");
    let checks = world.run(["doctor", "--json"]).json();
    let all = checks.as_array().expect("checks");
    let accelerator = all
        .iter()
        .find(|check| check["name"] == "accelerator")
        .expect("a check");
    assert!(
        !accelerator["found"]
            .as_str()
            .expect("words")
            .contains("not probed"),
        "{accelerator}"
    );
}

#[test]
fn sessions_lose_and_double_no_line_over_eight_ends_of_the_daemon() {
    let mut world = World::real();
    restarts::sessions_lose_and_double_no_line_however_often_the_daemon_ends(&mut world, 8);
}
