//! What a real guest takes and says.

use banger_testkit::World;
use banger_testkit::checks::run;
use serde_json::Value;

fn stats(world: &World) -> Value {
    world.run(["vm", "stats", "--json", "v"]).good().json()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn figures_of_a_real_guest_follow_what_it_does() {
    let world = World::real();
    let _ = world
        .run(run(&["-d", "--name", "v", "--memory", "384MiB"]))
        .good();
    let before = stats(&world);
    let total = number(&before["guest"]["memory_total_bytes"]) >> 20;
    assert!((256..=384).contains(&total), "{before}");
    assert!(
        number(&before["vmm"]["resident_bytes"]) > 32 << 20,
        "{before}"
    );
    let usage = &before["guest"]["usage"];
    assert!(
        number(&usage["threads"]) > 0 && number(&usage["read_bytes"]) > 0,
        "{before}"
    );
    let work = "dd if=/dev/urandom of=/root/file bs=1M count=16 conv=fsync 2>/dev/null";
    let _ = world
        .run(["vm", "exec", "v", "--", "sh", "-c", work])
        .good();
    let after = stats(&world);
    let grew = |path: &str| {
        let of = |all: &Value| {
            number(
                all.pointer(path)
                    .unwrap_or_else(|| panic!("no {path}: {all}")),
            )
        };
        of(&after)
            .checked_sub(of(&before))
            .unwrap_or_else(|| panic!("{path} went back"))
    };
    assert!(grew("/guest/usage/written_bytes") >= 16 << 20, "{after}");
    assert!(grew("/vmm/written_bytes") >= 16 << 20, "{after}");
    assert!(grew("/disk_used") >= 15 << 20, "{after}");
    assert!(grew("/vmm/cpu_ms") > 0 && grew("/taken_ms") > 0, "{after}");
    let uptime = |all: &Value| number(&all["guest"]["uptime_ms"]);
    assert!(uptime(&after) > uptime(&before));
    let health = world.run(["vm", "health", "--json", "v"]).good().json();
    assert_eq!(health["verdict"], "healthy", "{health}");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}
