//! Records that cannot be read: one of them, and the database as a whole.

use banger_testkit::World;
use banger_testkit::checks::{run, start};
use banger_testkit::world::kill;
use std::fs;

#[test]
fn a_record_that_cannot_be_read_keeps_its_name_and_all_other_machines_work() {
    let world = World::simulated();
    start(&world, "good");
    start(&world, "bad");
    let directory = world.directory("bad");
    let vmms = world.vmms();
    world.kill_daemon();
    world.damage("UPDATE sandboxes SET spec = 'of a newer banger' WHERE name = 'bad'");
    let row = || {
        let database = rusqlite::Connection::open(world.state().join("state.db")).expect("opened");
        let row = "SELECT spec || state || run FROM sandboxes WHERE name = 'bad'";
        database
            .query_row(row, [], |row| row.get::<_, String>(0))
            .expect("a row")
    };
    let before = row();

    let _ = world.run(["vm", "exec", "good", "--", "true"]).good();
    let table = world.run(["ps", "-a"]).good().text();
    assert!(
        table.contains("unreadable") && table.contains("cannot be read"),
        "{table}"
    );
    assert_eq!(world.show("bad")["state"], "unreadable");
    let taken = world.run(run(&["-d", "--name", "bad"]));
    assert!(
        taken.stderr.contains("there is a sandbox bad already"),
        "{}",
        taken.stderr
    );
    for verb in [
        &["vm", "start", "bad"][..],
        &["vm", "stop", "bad"],
        &["vm", "kill", "bad"],
        &["vm", "set", "--nat", "bad"],
        &["vm", "publish", "bad", "0:80"],
        &["repair", "bad"],
        &["repair"],
    ] {
        let ran = world.run(verb);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("cannot be read"), "{}", ran.stderr);
        assert!(ran.stderr.contains("banger vm rm bad"), "{}", ran.stderr);
    }
    let _ = world.run(["vm", "prune", "-f"]).good();
    let mut names = world.names();
    // Both may be of the same second.
    names.sort();
    assert_eq!(names, ["bad", "good"]);
    assert_eq!(world.vmms(), vmms, "nothing of it was touched");
    assert!(directory.join("work.ext4").exists());
    assert_eq!(row(), before);

    let _ = world.run(["vm", "rm", "bad"]).good();
    assert_eq!(world.names(), ["good"]);
    assert_eq!(world.vmms().len(), 1);
    assert!(!directory.exists());
    start(&world, "bad");
    let _ = world.run(["vm", "rm", "good", "bad"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_damaged_database_is_refused_with_its_bytes_as_they_were_and_guests_go_on() {
    let world = World::simulated();
    start(&world, "v");
    world.stop_daemon();
    // What is in its log would hide what is wrong with the file.
    world.damage("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = world.state().join("state.db");
    let whole = fs::read(&path).expect("there");
    let vmms = world.vmms();
    let mut damaged = whole.clone();
    for byte in &mut damaged[4096..] {
        *byte ^= 0xa5;
    }
    for bytes in [&damaged[..], b"no database at all, but long enough for a header of SQLite's; no more than that....................."] {
        fs::write(&path, bytes).expect("written");
        let ran = world.run(["ps"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for said in ["state.db", "remedy", "nothing was changed"] {
            assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        }
        assert_eq!(fs::read(&path).expect("there"), bytes);
    }
    assert_eq!(world.vmms(), vmms);
    fs::write(&path, whole).expect("written");
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    assert_eq!(world.vmms(), vmms);
    vmms.into_iter().for_each(kill);
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}
