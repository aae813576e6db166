//! `cp`.

use super::start;
use crate::World;
use std::os::unix::fs::{PermissionsExt, symlink};

/// # Panics
/// When a tree does not come back as it went.
pub fn a_tree_comes_back_as_it_went(world: &World) {
    start(world, "v");
    let source = world.path("source");
    std::fs::create_dir_all(source.join("deep/empty")).expect("made");
    std::fs::write(source.join("a file"), b"hello").expect("written");
    std::fs::write(source.join("deep/large"), vec![7; 3_000_001]).expect("written");
    std::fs::set_permissions(source.join("a file"), PermissionsExt::from_mode(0o751)).expect("set");
    symlink("../a file", source.join("deep/link")).expect("linked");
    symlink("/nowhere/at/all", source.join("dangling")).expect("linked");
    let there = world.guest_path("copied");
    let to_guest = format!("v:{there}");
    let back = world.path("back");
    let _ = world
        .run(["vm", "cp", source.to_str().expect("text"), &to_guest])
        .good();
    let _ = world
        .run(["vm", "cp", &to_guest, back.to_str().expect("text")])
        .good();
    assert_eq!(std::fs::read(back.join("a file")).expect("there"), b"hello");
    let mode = std::fs::metadata(back.join("a file"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o751);
    assert_eq!(
        std::fs::read(back.join("deep/large")).expect("there"),
        vec![7; 3_000_001]
    );
    assert!(back.join("deep/empty").is_dir());
    let link = |name: &str| std::fs::read_link(back.join(name)).expect("a link");
    assert_eq!(link("deep/link").to_str(), Some("../a file"));
    assert_eq!(link("dangling").to_str(), Some("/nowhere/at/all"));
}

/// # Panics
/// When a copy that cannot be made is not refused clearly.
pub fn what_cannot_be_copied_is_said(world: &World) {
    start(world, "v");
    let ran = world.run(["vm", "cp", "v:/no/such/file", "here"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("/no/such/file"), "{}", ran.stderr);
    let ran = world.run(["vm", "cp", "/no/such/here", "v:/tmp/x"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("/no/such/here"), "{}", ran.stderr);
    let ran = world.run(["vm", "cp", "a", "b"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
