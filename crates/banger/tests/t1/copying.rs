//! `vm cp` against a directory that stands for a guest.

use crate::fake::{Fake, tree};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

fn file(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
    let file = std::fs::File::options().append(true).open(path);
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.expect("open").set_modified(time).expect("time");
}

fn sample(root: &Path) {
    std::fs::create_dir_all(root.join("sub/deep")).expect("made");
    file(&root.join("a"), "alpha", 0o644);
    file(&root.join("run"), "tool", 0o755);
    file(&root.join("sub/ü name"), "beta", 0o600);
    file(&root.join("sub/deep/x"), "", 0o640);
    symlink("../a", root.join("sub/link")).expect("linked");
    symlink("/no/where", root.join("dangling")).expect("linked");
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_tree_goes_in_and_comes_out_equal() {
    let fake = Fake::start();
    let (from, back) = (fake.path("from"), fake.path("back"));
    sample(&from);
    let into = fake.run(&["vm", "cp", &text(&from), "dev:/copy"]);
    assert_eq!((into.code, into.err.as_str()), (0, ""));
    assert_eq!(tree(&fake.path("guest/copy")), tree(&from));
    let out = fake.run(&["vm", "cp", "dev:/copy", &text(&back)]);
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    assert_eq!(tree(&back), tree(&from));
}

#[test]
fn a_directory_takes_in_and_a_dot_means_the_contents() {
    let fake = Fake::start();
    let from = fake.path("from");
    sample(&from);
    std::fs::create_dir(fake.path("guest/d")).expect("made");
    assert_eq!(fake.run(&["vm", "cp", &text(&from), "dev:/d"]).code, 0);
    assert!(fake.path("guest/d/from/a").exists());
    let dot = text(&from) + "/.";
    assert_eq!(fake.run(&["vm", "cp", &dot, "dev:/d"]).code, 0);
    assert!(fake.path("guest/d/sub/deep/x").exists());
    let refused = fake.run(&["vm", "cp", &text(&from.join("a")), "dev:/none/"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    let here = fake.path("here");
    std::fs::create_dir(&here).expect("made");
    assert_eq!(
        fake.run(&["vm", "cp", "dev:/d/a", "dev:/d/run", &text(&here)])
            .code,
        0
    );
    assert!(here.join("a").exists() && here.join("run").exists());
}

#[test]
fn a_stream_is_one_file() {
    let fake = Fake::start();
    let mut child = fake
        .command(&["vm", "cp", "-", "dev:notes"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"hello")
        .expect("written");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    let out = fake.run(&["vm", "cp", "dev:notes", "-"]);
    assert_eq!((out.code, out.out.as_str()), (0, "hello"));
}

#[test]
fn a_guest_that_lies_about_names_is_caught() {
    let fake = Fake::start();
    std::fs::create_dir(fake.path("guest/hostile")).expect("made");
    let target = fake.path("target");
    let ended = fake.run(&["vm", "cp", "dev:/hostile", &text(&target)]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("../escaped"), "{}", ended.err);
    assert!(!fake.path("escaped").exists());
}

#[test]
fn what_is_not_there_is_named() {
    let fake = Fake::start();
    let here = fake.run(&["vm", "cp", "/no/such/file", "dev:/x"]);
    assert!(
        here.code == 1 && here.err.contains("/no/such/file"),
        "{}",
        here.err
    );
    let there = fake.run(&["vm", "cp", "dev:/none", "."]);
    assert!(
        there.code == 1 && there.err.contains("no such file"),
        "{}",
        there.err
    );
    let neither = fake.run(&["vm", "cp", "a", "b"]);
    assert!(
        neither.code == 2 && neither.err.contains("remedy:"),
        "{}",
        neither.err
    );
}
