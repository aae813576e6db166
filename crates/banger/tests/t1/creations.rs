//! Creations that are interrupted or fail.

use crate::fake::{Creating, Fake, eventually, signal};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};

#[test]
fn an_interrupted_creation_deletes_what_was_begun_by_its_id() {
    for verb in [&["run", "--", "exit", "0"][..], &["vm", "create"]] {
        let fake = Fake::start();
        fake.state().creating = Creating::Hangs;
        let mut child = fake.command(verb).spawn().expect("runs");
        let begun = || fake.saw("POST /v1/sandboxes");
        eventually(|| if begun() { Ok(()) } else { Err("not begun") });
        let mut err = child.stderr.take().expect("piped");
        let mut first = [0; 8];
        std::io::Read::read_exact(&mut err, &mut first).expect("the first stage");
        signal(&child, Signal::INT);
        let status = child.wait().expect("ended");
        assert_eq!(status.code(), Some(130), "{verb:?}");
        let delete = format!("DELETE /v1/sandboxes/{}", "c".repeat(32));
        assert!(fake.saw(&delete), "{verb:?}");
        assert_eq!(fake.state().sandboxes.len(), 2);
    }
}

#[test]
fn an_interrupted_creation_without_an_id_is_deleted_when_it_is_known() {
    let fake = Fake::start();
    fake.state().creating = Creating::WaitsUnnamed;
    let mut child = fake
        .command(&["vm", "create", "--name", "dev"])
        .spawn()
        .expect("runs");
    let mut err = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut line = || err.next().expect("a line").expect("text");
    assert_eq!(line(), "starting the guest");
    signal(&child, Signal::INT);
    assert!(line().contains("deleting what was begun"));
    assert!(
        !fake
            .state()
            .requests
            .iter()
            .any(|r| r.starts_with("DELETE")),
        "not by name"
    );
    fake.state().go_on.notify_one();
    assert!(line().contains("the sandbox was deleted"));
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(fake.saw(&format!("DELETE /v1/sandboxes/{}", "c".repeat(32))));
}

#[test]
fn a_guest_that_does_not_come_up_is_kept_with_a_hint() {
    let fake = Fake::start();
    fake.state().creating = Creating::Fails;
    let ended = fake.run(&["run", "--rm", "--", "exit", "0"]);
    assert_eq!(ended.code, 125);
    assert!(ended.err.contains("banger vm logs new"), "{}", ended.err);
    assert!(ended.err.contains("(op-create)"), "{}", ended.err);
    assert!(
        !fake
            .state()
            .requests
            .iter()
            .any(|r| r.starts_with("DELETE"))
    );
}
