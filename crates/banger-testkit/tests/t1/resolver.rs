//! The host's own resolver: that it is told of names on the bridge, and that it may be there or not.

use crate::bridge::{addresses, nothing_is_left_on_the_host, survey, taps, tell};
use banger_proto::root::ResolverState;
use banger_root::simulated::program::{NO_RESOLVED, REMOVE_LINK, RESOLVED_FORGETS, TOLD_RESOLVED};
use banger_testkit::checks::publish::free_port;
use banger_testkit::checks::start;
use banger_testkit::world::{LIMIT, SIMULATED_BRIDGE};
use banger_testkit::{World, eventually};
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// The port of 127.0.0.1 at which the resolver asks, once it has been told.
pub(crate) fn until_it_asks(world: &World) -> u16 {
    eventually("the resolver to be told", LIMIT, || {
        match survey(world).resolver {
            ResolverState::Set(port) => Ok(port.get()),
            other => Err(other),
        }
    })
}

/// What it was told, call by call.
fn told(world: &World) -> Vec<String> {
    let text = tell(world, TOLD_RESOLVED.as_bytes());
    let text = String::from_utf8(text).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_resolver_is_told_with_the_first_guest_and_forgets_whenever_the_daemon_leaves() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let port = until_it_asks(&world);
    let wanted = [
        format!("dns {SIMULATED_BRIDGE} 127.0.0.1:{port}"),
        format!("domain {SIMULATED_BRIDGE} ~vm"),
        format!("default-route {SIMULATED_BRIDGE} no"),
    ];
    assert_eq!(told(&world), wanted);
    start(&world, "b");
    assert_eq!(told(&world), wanted, "it knows already");

    // With guests, too: nobody answers for them until the next daemon does.
    world.stop_daemon();
    assert_eq!(survey(&world).resolver, ResolverState::Unset);
    let _ = world.run(["vm", "list"]).good();
    until_it_asks(&world);

    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    assert_eq!(
        told(&world).last(),
        Some(&format!("revert {SIMULATED_BRIDGE}"))
    );
    nothing_is_left_on_the_host(&world);
}

#[test]
fn what_the_resolver_has_forgotten_it_is_told_at_the_next_start() {
    let world = World::simulated_bridged();
    start(&world, "a");
    until_it_asks(&world);
    tell(&world, RESOLVED_FORGETS.as_bytes());
    assert_eq!(survey(&world).resolver, ResolverState::Unset);
    start(&world, "b");
    until_it_asks(&world);
}

#[test]
fn a_bridge_that_another_has_removed_is_made_again_with_its_guests_its_rules_and_the_resolver() {
    let world = World::simulated_bridged();
    start(&world, "a");
    until_it_asks(&world);
    let before = addresses(&world, "a");
    let whole = |world: &World| {
        let found = survey(world);
        let on_it = found.taps.iter().all(|tap| tap.on_bridge);
        let rules = found.policy.as_ref().is_some_and(|p| p.changed.is_none());
        match (&found.bridge, on_it, rules) {
            (Some(bridge), true, true) if bridge.up => Ok(()),
            _ => Err(format!("{found:?}")),
        }
    };
    eventually("the pool", LIMIT, || match taps(&world).len() {
        5 => Ok(()),
        other => Err(other),
    });

    tell(
        &world,
        format!("{REMOVE_LINK}{SIMULATED_BRIDGE}").as_bytes(),
    );
    assert!(survey(&world).taps.iter().all(|tap| !tap.on_bridge));
    let doctor = world.run(["doctor"]).text().to_owned();
    assert!(
        doctor.contains(&format!(
            "{SIMULATED_BRIDGE} was removed by another program"
        )),
        "{doctor}"
    );
    start(&world, "b");
    whole(&world).expect("a, b and the pool are on it");
    until_it_asks(&world);

    // Removed while nobody looks: the next daemon sees to it before anybody asks.
    world.kill_daemon();
    tell(
        &world,
        format!("{REMOVE_LINK}{SIMULATED_BRIDGE}").as_bytes(),
    );
    let _ = world.run(["vm", "list"]).good();
    eventually("the bridge with its guests", LIMIT, || whole(&world));
    until_it_asks(&world);
    assert_eq!(addresses(&world, "a"), before);
    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn without_a_resolver_to_tell_guests_start_have_names_and_go_all_the_same() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let port = until_it_asks(&world);
    tell(&world, NO_RESOLVED.as_bytes());
    start(&world, "b");
    assert_eq!(survey(&world).resolver, ResolverState::Unavailable);
    let b = dig(port, &["+short", "b.vm"]);
    assert_eq!(b.trim(), addresses(&world, "b")[0]);
    let doctor = world.run(["doctor"]).text().to_owned();
    assert!(doctor.contains("no systemd-resolved"), "{doctor}");
    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

/// What dig says of a question to a port of 127.0.0.1.
fn dig(port: u16, question: &[&str]) -> String {
    let mut dig = Command::new("dig");
    dig.args(["@127.0.0.1", "-p", &port.to_string(), "+tries=2", "+time=5"]);
    let output = dig.args(question).output();
    let output = output.expect("dig(1): `cargo xtask setup`");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process of a test's, ended with it.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The recipe for dnsmasq, as the page has it: what stands between its file's name and the next words.
fn recipe() -> String {
    let page = include_str!("../../../../docs/names.md");
    let (_, after) = page.split_once("### dnsmasq\n").expect("its heading");
    let block = after.split("```").nth(1).expect("a block");
    let lines = block.lines().filter(|line| !line.starts_with('#'));
    let (_, after) = after
        .split_once("add `")
        .expect("what goes with stop-dns-rebind");
    let (allowed, _) = after.split_once('`').expect("its end");
    lines.chain([allowed]).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_recipe_for_dnsmasq_gives_the_host_names_and_addresses_of_guests_and_nothing_else() {
    let world = World::simulated_bridged();
    start(&world, "web");
    let served = until_it_asks(&world);
    let [four, six] = addresses(&world, "web").try_into().expect("both");

    let mut file = tempfile::NamedTempFile::new().expect("a file");
    // Nothing of the host's, and the option that the page warns of.
    let own = "no-resolv\nno-hosts\nlisten-address=127.0.0.1\nbind-interfaces\nstop-dns-rebind\n";
    let recipe = recipe().replace("42069", &served.to_string());
    assert_eq!(recipe.matches("127.0.0.1#").count(), 2, "{recipe}");
    writeln!(file, "{own}{recipe}").expect("written");
    let port = free_port();
    let mut dnsmasq = Command::new("dnsmasq");
    dnsmasq.args(["--keep-in-foreground", "--log-facility=-", "--pid-file="]);
    dnsmasq.args(["--user=", "--group=", &format!("--port={port}")]);
    dnsmasq.arg(format!("--conf-file={}", file.path().display()));
    let started = dnsmasq.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let _dnsmasq = Ends(started.expect("dnsmasq(8): `cargo xtask setup`"));

    let short = |question: &[&str]| dig(port, &[&["+short"], question].concat());
    eventually("dnsmasq to pass it on", LIMIT, || {
        let said = short(&["api.web.vm"]);
        if said.trim() == four {
            Ok(())
        } else {
            Err(said)
        }
    });
    assert_eq!(short(&["web.vm", "AAAA"]).trim(), six);
    assert_eq!(short(&["-x", &four]).trim(), "web.vm.");
    assert!(dig(port, &["nobody.vm"]).contains("NXDOMAIN"));
    assert!(dig(port, &["example.com"]).contains("REFUSED"));
}
