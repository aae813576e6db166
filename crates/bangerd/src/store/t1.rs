use super::*;
use crate::record::{OnBridge, Run, Times};
use crate::vmm::process::ProcessIdentity;
use banger_model::SandboxState;
use banger_model::plan::{Goal, HostObject, Leftover, Unfinished};
use banger_model::publish::Published;
use banger_model::spec::{Init, NetworkMode, Source, Sourced, Spec};
use std::num::NonZeroU16;
use std::time::Duration;

mod torn;

fn record(first: u8, name: &str) -> Record {
    let mut id = [0; 16];
    id[0] = first;
    let spec = Spec {
        image: Sourced::new("debian".parse().expect("name"), Source::Builtin),
        kernel: Sourced::new("default".parse().expect("name"), Source::Config),
        vcpu: Sourced::new(2.try_into().expect("count"), Source::Request),
        memory: Sourced::new(512.try_into().expect("size"), Source::Host),
        work_disk: Sourced::new(8192.try_into().expect("size"), Source::Builtin),
        system_disk: Sourced::new(8192.try_into().expect("size"), Source::Builtin),
        network: Sourced::new(NetworkMode::Bridge, Source::Host),
        nat: true,
        networks: ["shop".parse().expect("name")].into(),
        links: [SandboxId::from_random([9; 16])].into(),
        init: Init::None,
        ephemeral: true,
        pooled: None,
        checkpoint: true,
        labels: [("role", "web"), ("ci", "")]
            .map(|(key, value)| (key.parse().expect("key"), value.parse().expect("value")))
            .into(),
        publish: vec![
            Published::new("[::1]:8080:80".parse().expect("publication")),
            Published {
                chosen: NonZeroU16::new(4000),
                ..Published::new("0:53/udp".parse().expect("publication"))
            },
        ],
    };
    Record {
        id: SandboxId::from_random(id),
        name: name.parse().expect("name"),
        state: SandboxState::Created,
        reason: None,
        created_at: 7,
        spec,
        run: None,
        unfinished: None,
        network: Some(OnBridge {
            host_part: 7.try_into().expect("a host part"),
            slot: 3.try_into().ok(),
        }),
    }
}

fn run() -> Run {
    Run {
        process: ProcessIdentity {
            pid: 12,
            start_time: 34,
            executable: "/usr/bin/qemu".into(),
            boot_id: "b".into(),
        },
        backend: "qemu-tcg".into(),
        started_at: 8,
        times: Times {
            vmm_up: Duration::from_millis(3),
            ..Times::default()
        },
        kernel_release: "6.1".into(),
        init_started: true,
        resumed: true,
        fingerprint: None,
    }
}

#[test]
fn whoever_opens_it_to_write_has_the_log_waits_for_others_and_keeps_to_references() {
    let directory = tempfile::tempdir().expect("a directory");
    let connection = open(&directory.path().join("db")).expect("new");
    let is = |pragma: &str| {
        let sql = format!("PRAGMA {pragma}");
        let value = connection.query_row(&sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
        format!("{:?}", value.expect("known"))
    };
    for (pragma, wanted) in [
        ("journal_mode", "Text(\"wal\")"),
        ("busy_timeout", "Integer(5000)"),
        ("foreign_keys", "Integer(1)"),
        // Full; a transaction that need not last over a power cut says so (`Durable`).
        ("synchronous", "Integer(2)"),
        ("wal_autocheckpoint", "Integer(64)"),
    ] {
        assert_eq!(is(pragma), wanted, "{pragma}");
    }
}

#[tokio::test]
async fn a_record_reads_back_after_the_store_was_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut web = record(1, "web");
    let store = Store::open(&path).expect("new");
    store.put(&web).await.expect("written");
    web.state = SandboxState::Running;
    web.reason = Some("x".into());
    web.run = Some(run());
    store.put(&web).await.expect("written again");
    store.put(&record(2, "db")).await.expect("written");
    store.remove(record(2, "db").id).await.expect("removed");
    drop(store);
    let (all, bad) = Store::open(&path).expect("old").all().await.expect("read");
    assert_eq!(all, [web]);
    assert!(bad.is_empty());
}

#[tokio::test]
async fn a_database_from_before_published_ports_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut connection = Connection::open(&path).expect("new");
    Migrations::from_slice(&MIGRATIONS[..1])
        .to_latest(&mut connection)
        .expect("the first version");
    let old = Store::open(&directory.path().join("other.db")).expect("new");
    old.put(&record(1, "web")).await.expect("written");
    let other = directory.path().join("other.db");
    connection
        .execute("ATTACH ?1 AS other", [other.to_str().expect("text")])
        .expect("attached");
    connection
        .execute(
            "INSERT INTO sandboxes SELECT id, name, state, reason, created_at, spec, run FROM other.sandboxes",
            [],
        )
        .expect("a row of then");
    drop(connection);
    let (all, bad) = Store::open(&path)
        .expect("migrated")
        .all()
        .await
        .expect("read");
    assert!(bad.is_empty());
    let mut wanted = record(1, "web");
    wanted.spec.publish.clear();
    wanted.spec.labels.clear();
    wanted.network = None;
    assert_eq!(all, [wanted]);
}

#[tokio::test]
async fn a_name_is_taken_only_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("state.db")).expect("new");
    store.put(&record(1, "web")).await.expect("written");
    assert!(matches!(
        store.put(&record(2, "web")).await,
        Err(StoreError::Statement(_))
    ));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_its_bytes_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    std::fs::write(&path, vec![7; 8192]).expect("written");
    let fault: Fault = Store::open(&path).expect_err("no database").into();
    assert!(
        fault
            .remedy
            .is_some_and(|text| text.contains("nothing was changed"))
    );
    assert_eq!(std::fs::read(&path).expect("there"), vec![7; 8192]);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    drop(Store::open(&path).expect("new"));
    let connection = Connection::open(&path).expect("a database");
    connection
        .pragma_update(None, "user_version", 999)
        .expect("set");
    drop(connection);
    assert!(matches!(Store::open(&path), Err(StoreError::Schema { .. })));
    let connection = Connection::open(&path).expect("a database");
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |r| r.get(0))
        .expect("read");
    assert_eq!(version, 999);
}

#[tokio::test]
async fn one_row_that_cannot_be_read_hides_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let store = Store::open(&path).expect("new");
    store.put(&record(1, "web")).await.expect("written");
    store.put(&record(2, "db")).await.expect("written");
    let connection = Connection::open(&path).expect("a database");
    connection
        .execute("UPDATE sandboxes SET spec = '{}' WHERE name = 'db'", [])
        .expect("damaged");
    let (all, bad) = store.all().await.expect("read");
    assert_eq!(all, [record(1, "web")]);
    assert_eq!(bad.len(), 1);
    assert!(bad[0].to_string().contains("image"), "{}", bad[0]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_a_clear_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = Store::open(&directory.path().join("no/state.db")).expect_err("no directory");
    assert!(matches!(error, StoreError::Open { .. }));
}

#[tokio::test]
async fn a_row_of_the_first_schema_is_a_sandbox_with_a_user_mode_network() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut old = Connection::open(&path).expect("new");
    Migrations::from_slice(MIGRATIONS)
        .to_version(&mut old, 1)
        .expect("the first schema");
    let valued = |value: &str| format!(r#"{{"value":{value},"source":"builtin"}}"#);
    let (name, number) = (valued(r#""debian""#), valued("2048"));
    let spec = format!(
        r#"{{"image":{name},"kernel":{name},"vcpu":{},"memory_mib":{number},"work_disk_mib":{number},
            "system_disk_mib":{number},"nat":true,"init":"none","ephemeral":false}}"#,
        valued("1")
    );
    old.execute(
        "INSERT INTO sandboxes VALUES (?1, 'web', 'stopped', NULL, 7, ?2, NULL)",
        [SandboxId::from_random([1; 16]).to_string(), spec],
    )
    .expect("written");
    drop(old);
    let (records, bad) = Store::open(&path)
        .expect("migrated")
        .all()
        .await
        .expect("read");
    assert!(bad.is_empty(), "{bad:?}");
    let [web] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(web.spec.network.value, NetworkMode::User);
    assert!(web.spec.nat && web.network.is_none() && web.spec.networks.is_empty());
}

#[tokio::test]
async fn settings_are_remembered_and_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("state.db")).expect("new");
    assert_eq!(store.setting("k").await.expect("read"), None);
    for value in ["one", "two"] {
        store.put_setting("k", value.into()).await.expect("written");
        assert_eq!(
            store.setting("k").await.expect("read").as_deref(),
            Some(value)
        );
    }
}

/// Every file beside a database, and what it holds.
fn bytes(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    let mut all: Vec<_> = entries
        .map(|entry| (entry.path(), std::fs::read(entry.path()).expect("readable")))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_could_not_be_finished_reads_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("state.db")).expect("new");
    let mut web = record(1, "web");
    web.state = SandboxState::NeedsRepair;
    web.unfinished = Some(Unfinished {
        aim: Goal::Absent,
        leftovers: vec![Leftover {
            object: HostObject::WorkDisk,
            why: "busy".into(),
        }],
    });
    store.put(&web).await.expect("written");
    assert_eq!(store.all().await.expect("read").0, [web]);
}

#[tokio::test]
async fn a_look_reads_what_a_daemon_has_open_and_what_none_has_and_changes_no_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    // What a URI would take for its own.
    let place = directory.path().join("50%20?#");
    std::fs::create_dir(&place).expect("made");
    let path = place.join("state.db");
    assert!(matches!(look(&path), Err(StoreError::Open { .. })));
    assert_eq!(bytes(&place), []);
    let store = Store::open(&path).expect("new");
    store.put(&record(1, "web")).await.expect("written");
    assert_eq!(look(&path).expect("read").records, [record(1, "web")]);
    drop(store);
    // The last handle ends the thread, which closes the database a moment later.
    let log = place.join("state.db-wal");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while log.exists() {
        assert!(std::time::Instant::now() < until, "it was never closed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = bytes(&place);
    let found = look(&path).expect("read");
    assert_eq!(found.records, [record(1, "web")]);
    assert_eq!((found.behind, found.unreadable.len()), (0, 0));
    assert_eq!(bytes(&place), before);
}

#[test]
fn a_look_at_an_older_or_newer_database_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut old = Connection::open(&path).expect("new");
    Migrations::from_slice(MIGRATIONS)
        .to_version(&mut old, 1)
        .expect("the first schema");
    assert_eq!(look(&path).expect("read").behind, MIGRATIONS.len() - 1);
    old.pragma_update(None, "user_version", 999).expect("set");
    assert!(matches!(look(&path), Err(StoreError::Schema { .. })));
}

#[tokio::test]
async fn a_damaged_page_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let store = Store::open(&path).expect("new");
    for number in 1..=60 {
        let name = format!("web-{number}");
        store.put(&record(number, &name)).await.expect("written");
    }
    drop(store);
    // What of the log is not in the file yet is written by whoever opens and closes it next.
    drop(Connection::open(&path).expect("a database"));
    let mut damaged = std::fs::read(&path).expect("there");
    for byte in &mut damaged[4096 * 2..4096 * 6] {
        *byte ^= 0xa5;
    }
    let other = directory.path().join("other");
    std::fs::create_dir(&other).expect("made");
    let copy = other.join("state.db");
    std::fs::write(&copy, &damaged).expect("written");
    let before = bytes(&other);
    let fault: Fault = Store::open(&copy).expect_err("damaged").into();
    assert!(fault.message.contains("it is damaged: "), "{fault}");
    assert!(
        fault
            .remedy
            .is_some_and(|text| text.contains("nothing was changed"))
    );
    assert_eq!(bytes(&other), before);
}

#[tokio::test]
async fn a_damaged_row_keeps_its_name_and_what_is_known_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let store = Store::open(&path).expect("new");
    let mut web = record(1, "web");
    web.run = Some(run());
    store.put(&web).await.expect("written");
    let connection = Connection::open(&path).expect("a database");
    for damage in [
        "spec = '{\"image\": {\"value\": \"debian\"}}'",
        "state = 'unreadable'",
        "state = 'of-a-newer-banger'",
        "publish = CAST(x'ff00' AS TEXT)",
        "leftovers = '[]'",
    ] {
        store.put(&web).await.expect("written");
        connection
            .execute(&format!("UPDATE sandboxes SET {damage}"), [])
            .expect(damage);
        let (good, bad) = store.all().await.expect("read");
        assert_eq!(good, [], "{damage}");
        let [
            Unreadable {
                record: Some(known),
                error,
            },
        ] = &bad[..]
        else {
            panic!("{damage}: {bad:?}");
        };
        assert!(error.to_string().contains("web"), "{error}");
        assert_eq!((known.id, &known.name), (web.id, &web.name));
        assert_eq!((&known.run, known.network), (&web.run, web.network));
        assert_eq!(known.state, SandboxState::Unreadable);
        assert_eq!(known.spec.image.value.as_str(), "debian", "{damage}");
    }
    connection
        .execute("UPDATE sandboxes SET id = 'x', spec = ''", [])
        .expect("damaged");
    let (_, bad) = store.all().await.expect("read");
    assert!(
        matches!(&bad[..], [Unreadable { record: None, .. }]),
        "{bad:?}"
    );
}
