//! How many more machines fit, and that what does not fit is not begun.

use banger_testkit::World;
use banger_testkit::checks::start;
use serde_json::Value;

/// A daemon that keeps so much of the host's memory for others.
fn keeping(world: &World, mib: u64) {
    world.stop_daemon();
    world.configure_small(&format!(
        "templates = \"off\"\nmemory_reserve = \"{mib}MiB\"\n"
    ));
}

fn capacity(world: &World, more: &[&str]) -> Value {
    let ran = world.run([&["capacity", "--json"], more].concat());
    ran.good().json()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn what_binds_is_said_and_forks_are_counted_by_those_that_run() {
    let world = World::simulated();
    world.configure_small("templates = \"off\"\n");
    let new = capacity(&world, &[]);
    assert!(number(&new["machines"]) > 0, "{new}");
    let least = number(&new["memory"]["machines"]).min(number(&new["disk"]["machines"]));
    assert_eq!(number(&new["machines"]), least, "{new}");
    assert_eq!(number(&new["measured"]), 0, "{new}");
    let larger = capacity(&world, &["--memory", "4GiB"]);
    assert!(
        number(&larger["machines_when_full"]) <= number(&new["machines_when_full"]),
        "{larger}"
    );
    start(&world, "dev");
    let estimated = capacity(&world, &["--of", "dev"]);
    assert_eq!(number(&estimated["measured"]), 0, "{estimated}");
    assert!(
        number(&estimated["disk"]["once_bytes"]) > 0,
        "what forks share: {estimated}"
    );
    let _ = world.run(["vm", "fork", "dev", "-n", "2"]).good();
    let measured = capacity(&world, &["--of", "dev"]);
    assert_eq!(number(&measured["measured"]), 2, "{measured}");
    let told = world.run(["capacity", "--of", "dev"]).good().text();
    assert!(told.contains("the mean of 2 that run"), "{told}");
    let machines = world.run(["capacity", "-q"]).good().text();
    assert!(machines.trim().parse::<u64>().is_ok(), "{machines}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    let world = World::simulated();
    world.configure_small("templates = \"off\"\n");
    start(&world, "dev");
    let now = capacity(&world, &["--of", "dev"]);
    let memory = |field: &str| number(&now["memory"][field]) >> 20;
    // Room for five, give or take what others on this host do meanwhile.
    let five = memory("available_bytes") - 5 * memory("each_bytes");
    keeping(&world, five);
    let ran = world.run(["vm", "fork", "dev", "-n", "60"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("do not fit") || ran.stderr.contains("no fork of dev fits"),
        "{}",
        ran.stderr
    );
    keeping(&world, 1 << 20);
    for arguments in [
        &["vm", "fork", "dev"][..],
        &["vm", "fork", "dev", "-n", "2"],
        &["vm", "create", "--name", "new", "--init", "none"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains("fit") && ran.stderr.contains("banger capacity"),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(world.names(), ["dev"]);
    assert_eq!(world.run(["vm", "snapshots", "dev", "-q"]).text(), "");
    let none = capacity(&world, &["--of", "dev"]);
    assert_eq!(
        (number(&none["machines"]), &none["limit"]),
        (0, &"memory".into()),
        "{none}"
    );
    // One that is only made takes none.
    let only = ["vm", "create", "--no-start", "--name", "later"];
    let _ = world.run(only).good();
    let both = world.run(["capacity", "--of", "dev", "--memory", "1GiB"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    assert_eq!(world.run(["capacity", "--of", "nobody"]).code, Some(1));
}
