//! Databases and file systems that are written to while their machine is forked.

use super::{LIMIT, create};
use crate::snapshots::{sh, text};
use banger_testkit::checks::disks;
use banger_testkit::{World, eventually};

/// Without an init: PostgreSQL, which keeps its files on the system disk, is started by hand. Its pages get checksums before.
const START: &str = "cluster=$(pg_lsclusters -h | awk '{ print $1, $2 }'); \
    pg_ctlcluster $cluster start; \
    until su postgres -c 'pg_isready -q'; do sleep 0.1; done";
const CHECKSUMS: &str = "su postgres -c '/usr/lib/postgresql/*/bin/pg_checksums --enable -D /var/lib/postgresql/*/main'";

/// Tables in both databases: what is written to one of the two is written to the other in the same transaction. SQLite has
/// its file on the work disk.
const TABLES: &str = "tables='CREATE TABLE debits (n integer PRIMARY KEY, filling text); \
    CREATE TABLE credits (n integer PRIMARY KEY, filling text);'; \
    echo \"PRAGMA journal_mode = WAL; $tables\" | sqlite3 -bail /root/ledger; \
    echo \"$tables\" | su postgres -c 'psql -qX -v ON_ERROR_STOP=1'";

/// Writes to both, and makes, renames and removes files on both disks, for ever.
const WRITE: &str = r#"
transactions() {
    filling=$(printf '%0200d' 0)
    seq 1 100000000 | sed "s/.*/BEGIN; INSERT INTO debits VALUES (&, '$filling'); INSERT INTO credits VALUES (&, '$filling'); COMMIT;/"
}
files() {
    while :; do
        mkdir "$1" && cp -r /etc/default /etc/init.d "$1" && mv "$1" "$1.old" && sync "$1.old/default/useradd" && rm -r "$1.old"
        sleep 0.2
    done
}
( (echo '.timeout 60000'; echo 'PRAGMA synchronous = FULL;'; transactions) | sqlite3 -bail /root/ledger & ) >/dev/null 2>&1 </dev/null
( transactions | su postgres -c 'psql -qX -v ON_ERROR_STOP=1' & ) >/dev/null 2>&1 </dev/null
( files /root/files & ) >/dev/null 2>&1 </dev/null
( files /srv/files & ) >/dev/null 2>&1 </dev/null
"#;

/// How many rows each table has and which is the last one, of one moment each: first SQLite's, then PostgreSQL's.
const COUNT: &str = "sql='SELECT (SELECT count(*) FROM debits), (SELECT count(*) FROM credits), \
    (SELECT coalesce(max(n), 0) FROM debits), (SELECT coalesce(max(n), 0) FROM credits)'; \
    sqlite3 -bail -cmd '.timeout 60000' /root/ledger \"$sql\"; \
    echo \"$sql\" | su postgres -c 'psql -AtqX -v ON_ERROR_STOP=1'";

/// Both databases by their own tools: each page, and each row by its index.
const PROVE: &str = "sqlite3 -cmd '.timeout 60000' /root/ledger 'PRAGMA integrity_check'; \
    su postgres -c '/usr/lib/postgresql/*/bin/pg_amcheck --install-missing --heapallindexed postgres' && echo ok";

/// So many rows have SQLite's tables and PostgreSQL's, with nothing missing.
fn rows(world: &World, name: &str) -> [u64; 2] {
    let told = text(world, name, COUNT);
    let all: Vec<Vec<u64>> = told
        .lines()
        .map(|line| line.split('|').flat_map(str::parse).collect())
        .collect();
    match all.as_slice() {
        [sqlite, postgres] if sqlite.len() == 4 && postgres.len() == 4 => {
            [sqlite, postgres].map(|figures| {
                let same = figures.iter().all(|figure| *figure == figures[0]);
                assert!(same, "{name}: torn transactions: {told}");
                figures[0]
            })
        }
        _ => panic!("{name}: {told}"),
    }
}

/// Waits until both databases have more rows; how many then.
fn goes_on(world: &World, name: &str, than: [u64; 2]) -> [u64; 2] {
    eventually("more rows", LIMIT, || {
        let now = rows(world, name);
        match now[0] > than[0] && now[1] > than[1] {
            true => Ok(now),
            false => Err((than, now)),
        }
    })
}

/// Starts again what was ended in the middle of its work: nothing that was seen is lost, nothing is torn.
fn nothing_is_lost(world: &World, name: &str, least: [u64; 2]) {
    let _ = world.run(["vm", "start", name]).good();
    let _ = sh(world, name, START).good();
    let found = rows(world, name);
    println!("{name}: {least:?}, then {found:?} of its disks");
    assert!(found[0] >= least[0] && found[1] >= least[1], "{name}");
    assert_eq!(text(world, name, PROVE), "ok\nok\n", "{name}");
    let _ = world.run(["vm", "stop", name]).good();
    disks::are_clean(world, name);
}

#[test]
fn a_fork_of_a_guest_that_writes_has_whole_file_systems_and_databases() {
    let world = World::real();
    let options = ["--memory", "512MiB", "--disk-size", "1GiB"];
    create(&world, "v", &[&["--init", "none"], &options[..]].concat());
    for script in [CHECKSUMS, START, TABLES, WRITE] {
        let _ = sh(&world, "v", script).good();
    }
    let before = goes_on(&world, "v", [20, 20]);
    let _ = world
        .run(["vm", "fork", "v", "-n", "2", "--name", "w"])
        .good();
    // Each while it writes: one is stopped, one is killed.
    let ends = [("v", "stop"), ("w-1", "stop"), ("w-2", "kill")];
    let seen = ends.map(|(name, end)| {
        let first = rows(&world, name);
        assert!(first[0] >= before[0] && first[1] >= before[1], "{name}");
        let later = goes_on(&world, name, first);
        println!("{name}: {before:?} before, {first:?} at first, {later:?} later");
        let _ = world.run(["vm", end, name]).good();
        if end == "stop" {
            disks::are_clean(&world, name);
        }
        (name, later)
    });
    for (name, least) in seen.into_iter().skip(1) {
        nothing_is_lost(&world, name, least);
    }
    let _ = world.run(["vm", "rm", "v", "w-1", "w-2"]).good();
    world.assert_nothing_left();
}
