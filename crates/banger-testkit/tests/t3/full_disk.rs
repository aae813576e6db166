//! A real guest on a disk that fills.

use banger_testkit::checks::run;
use banger_testkit::run as program;
use banger_testkit::world::LIMIT;
use banger_testkit::{World, eventually, namespaces};

const MIB: u64 = 1 << 20;

#[test]
fn a_guest_on_a_full_disk_waits_and_goes_on_with_nothing_lost() {
    namespaces::own_mounts(|| {
        let world = World::real_on_small_disk(512);
        let sizes = ["--disk-size", "256MiB", "--system-disk-size", "256MiB"];
        let _ = world
            .run(run(&[&["-d", "--name", "v"], &sizes[..]].concat()))
            .good();
        world.small_disk().fill(24 * MIB);
        let script = "dd if=/dev/zero bs=1M count=96 2>/dev/null | tr '\\0' 'x' > /root/big; sync; echo written";
        let writing = ["vm", "exec", "v", "--", "sh", "-ec", script];
        let child = program::start(&mut world.banger(writing));
        let shown = |wanted: bool| {
            eventually("the reason", LIMIT, || {
                let shown = world.show("v");
                assert_eq!(shown["state"], "running", "{shown}");
                let reason = shown["reason"].as_str().unwrap_or_default();
                if reason.contains("no room left") == wanted {
                    Ok(())
                } else {
                    Err(shown.to_string())
                }
            });
        };
        shown(true);
        let ran = world.run(["vm", "exec", "v", "--", "true"]);
        assert_eq!(ran.code, Some(125), "{ran:?}");
        world.small_disk().make_room();
        shown(false);
        let ran = program::finish(child, Vec::new(), LIMIT).good();
        assert_eq!(ran.text(), "written\n");
        let script = "tr -d x < /root/big | wc -c; wc -c < /root/big; dmesg | grep -ci 'I/O error'";
        let ran = world.run(["vm", "exec", "v", "--", "sh", "-c", script]);
        assert_eq!(
            ran.text(),
            format!("0\n{}\n0\n", 96 * MIB),
            "{}",
            ran.stderr
        );
        let _ = world.run(["vm", "stop", "v"]).good();
    });
}
