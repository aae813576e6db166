use super::*;
use std::os::unix::fs::PermissionsExt;

fn own(directory: &Path, script: &str) -> OwnHelper {
    let program = directory.join("banger-root");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).expect("set");
    OwnHelper {
        program,
        socket: directory.join("root.sock"),
        log: directory.join("root.log"),
        running: tokio::sync::Mutex::default(),
    }
}

async fn started(own: &OwnHelper) -> Result<(), Fault> {
    let installation = Installation::from_random([1; 8]);
    let op = crate::operation::new_id();
    own.start(&BridgeName::default(), installation, op).await
}

#[tokio::test]
async fn a_helper_that_ends_at_once_is_told_with_its_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let own = own(directory.path(), "echo \"$@\"; exit 7");
    let fault = started(&own).await.expect_err("it ended");
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.message.contains("exit status: 7"), "{fault}");
    assert!(fault.remedy.expect("a remedy").contains("root.log"));
    let said = std::fs::read_to_string(&own.log).expect("a log");
    assert!(
        said.contains("--bridge br-fc --installation 0101010101010101"),
        "{said}"
    );
}

#[tokio::test]
async fn one_that_has_ended_is_started_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let own = own(directory.path(), "echo started; exit 7");
    for _ in 0..2 {
        let fault = started(&own).await.expect_err("it ended");
        assert!(fault.message.contains("exit status: 7"), "{fault}");
    }
    let said = std::fs::read_to_string(&own.log).expect("a log");
    assert_eq!(said, "started\nstarted\n");
}

#[tokio::test]
async fn a_helper_that_is_not_there_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut own = own(directory.path(), "");
    own.program = directory.path().join("nothing");
    let fault = started(&own).await.expect_err("not there");
    assert!(fault.message.contains("cannot start"), "{fault}");
}

#[test]
fn what_the_host_lacks_is_told_with_what_helps() {
    let all = |path: &Path| path.ends_with("nft") || path == Path::new("/dev/net/tun");
    assert_eq!(missing(all), None);
    let (what, remedy) = missing(|path| !path.ends_with("nft")).expect("no nft");
    assert!(what.contains("nft") && remedy.contains("nftables"));
    let (what, _) = missing(|path| path == Path::new("/usr/sbin/nft")).expect("no device");
    assert!(what.contains("/dev/net/tun"));
}

#[test]
fn without_a_program_there_is_nobody_and_it_says_what_helps() {
    let layout = Layout {
        config: "/c".into(),
        state: "/s".into(),
        cache: "/k".into(),
        runtime: "/r".into(),
    };
    let helper = Helper::standalone(
        &layout,
        Some(Path::new("/nonexistent/root")),
        Path::new("/x/bangerd"),
    );
    let fault = helper.availability().expect_err("nobody");
    assert_eq!(fault.code, FaultCode::Unavailable);
    assert!(fault.remedy.is_some());
}
