//! A container engine in a machine that is forked, suspended and taken back.

use super::{LIMIT, create};
use crate::snapshots::{sh, text};
use banger_testkit::checks::publish::endpoint;
use banger_testkit::{World, eventually};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Its daemon is up a while after the rest.
const READY: &str = "docker info >/dev/null 2>&1 && systemctl is-system-running";

/// No registry is in reach: an image of the one static program that the guest has. The container serves a file of the guest's on
/// the engine's bridge, and at a port of the guest's loopback.
const SERVE: &str = "tar -C / -c bin/busybox | docker import - box >/dev/null; mkdir /srv/www; echo word > /srv/www/file; \
    docker run -d --name web -v /srv/www:/www -p 127.0.0.1:8080:80 box /bin/busybox httpd -f -p 80 -h /www >/dev/null";

/// What goes on: the units, the container, its port on the guest's loopback.
const GOES_ON: &str = "systemctl is-active docker containerd postgresql; \
    docker ps --format '{{.Names}} {{.State}}'; docker exec web /bin/busybox cat /www/file; \
    busybox wget -qO- http://127.0.0.1:8080/file";

/// What can be done anew: a container that reaches the first over the bridge, and the first once more.
const ANEW: &str = "address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' web); \
    docker run --rm box /bin/busybox wget -qO- http://$address/file; \
    docker restart -t 0 web; \
    n=0; until busybox wget -qO- http://127.0.0.1:8080/file 2>/dev/null; do n=$((n+1)); test $n -lt 100; sleep 0.2; done";

/// What the container answers at the port that the machine publishes on the host.
fn published(world: &World, name: &str) -> String {
    let mut stream = TcpStream::connect(endpoint(world, name)).expect("published");
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    stream
        .write_all(b"GET /file HTTP/1.0\r\n\r\n")
        .expect("asked");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("told");
    told
}

fn all_works(world: &World, name: &str) {
    assert!(
        published(world, name).ends_with("\r\n\r\nword\n"),
        "{name} as it was"
    );
    let told = text(world, name, GOES_ON);
    assert_eq!(
        told, "active\nactive\nactive\nweb running\nword\nword\n",
        "{name}"
    );
    assert_eq!(text(world, name, ANEW), "word\nweb\nword\n", "{name} anew");
    assert!(
        published(world, name).ends_with("\r\n\r\nword\n"),
        "{name} with a container started again"
    );
    let state = sh(world, name, "systemctl is-system-running").text();
    assert_eq!(state, "running\n", "{name}");
}

#[test]
fn a_container_engine_and_its_containers_go_on_in_a_fork_after_a_suspend_and_after_a_restore() {
    let world = World::real();
    let options = ["--memory", "1GiB", "--disk-size", "1GiB", "-p", "0:8080"];
    create(
        &world,
        "v",
        &[&["--init", "systemd", "--wait", "init"], &options[..]].concat(),
    );
    eventually("the engine's daemon", LIMIT, || {
        let ran = sh(&world, "v", READY);
        match ran.text() == "running\n" {
            true => Ok(()),
            false => Err(ran),
        }
    });
    let _ = sh(&world, "v", SERVE).good();
    let _ = world.run(["vm", "snapshot", "v", "good"]).good();
    let _ = world
        .run(["vm", "fork", "v", "--name", "w", "-p", "0:8080"])
        .good();
    all_works(&world, "w");
    let _ = world.run(["vm", "rm", "w"]).good();
    let _ = world.run(["vm", "suspend", "v"]).good();
    // Who connects to the container wakes the machine.
    all_works(&world, "v");
    // It is taken back to before its container was lost.
    let _ = sh(&world, "v", "docker rm -f web").good();
    let _ = world.run(["vm", "restore", "v", "good"]).good();
    all_works(&world, "v");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}
