use super::*;
use std::os::unix::fs::MetadataExt;

fn layout(directory: &Path) -> Layout {
    Layout {
        config: directory.join("config"),
        state: directory.join("state"),
        cache: directory.join("cache"),
        runtime: directory.join("run"),
    }
}

#[tokio::test]
async fn one_daemon_claims_a_layout_and_its_socket_is_born_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = layout(directory.path());
    let first = claim(&layout).expect("possible").expect("free");
    assert!(claim(&layout).expect("possible").is_none());
    std::fs::write(layout.socket(), "left by a daemon that was killed").expect("written");
    let listener = bind(&layout, &first).expect("bound");
    assert_eq!(
        std::fs::metadata(layout.socket()).expect("there").mode() & 0o777,
        0o600
    );
    drop((first, listener));
    assert!(claim(&layout).expect("possible").is_some());
}

#[test]
fn who_comes_while_another_leaves_waits_for_its_turn() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = &layout(directory.path());
    let first = claim(layout).expect("possible").expect("free");
    let limit = Duration::from_secs(60);
    // It has the lock, and nobody else serves: to go away as if another did would leave none.
    assert!(turn::claim_within(layout, Duration::ZERO).is_err());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| turn::claim_within(layout, limit));
        assert!(!second.is_finished(), "the first has not left");
        drop(first);
        let second = second.join().expect("no panic").expect("possible");
        let second = second.expect("its turn has come");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let _in_it = runtime.enter();
        let _listener = bind(layout, &second).expect("bound");
        let third = turn::claim_within(layout, limit).expect("possible");
        assert!(third.is_none(), "the second serves");
    });
}

#[test]
fn a_daemon_that_neither_serves_nor_leaves_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = layout(directory.path());
    let _first = claim(&layout).expect("possible").expect("free");
    let fault = turn::claim_within(&layout, Duration::from_millis(30)).expect_err("it stays");
    let pid = std::process::id().to_string();
    assert!(fault.message.contains(&pid), "{fault}");
    assert!(fault.remedy.is_some_and(|remedy| remedy.contains(&pid)));
}

#[test]
fn a_runtime_directory_that_is_too_long_is_refused_with_a_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut layout = layout(directory.path());
    layout.runtime = directory.path().join("r".repeat(120));
    let fault = claim(&layout).expect_err("too long");
    assert!(
        fault
            .remedy
            .is_some_and(|remedy| remedy.contains("shorter"))
    );
}

#[test]
fn what_a_killed_daemon_was_building_is_cleared() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = layout(directory.path());
    clear_staging(&layout);
    std::fs::create_dir_all(layout.staging().join("half")).expect("made");
    clear_staging(&layout);
    assert!(!layout.staging().exists());
}
