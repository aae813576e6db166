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
