//! What is refused before anything is created, with cause and remedy.

use crate::World;

/// A creation that must fail: what its error says, and that nothing came of it: not even something
/// that was taken back.
///
/// # Panics
/// When it succeeds, says something else, or leaves something.
pub fn refused(world: &World, arguments: &[&str], says: &str) {
    // A daemon that starts opens its database, which is not the refusal's doing.
    assert_eq!(world.names(), [""; 0]);
    let before = world.kept();
    let ran = world.run(super::run(arguments));
    assert!(
        matches!(ran.code, Some(1 | 2 | 125)),
        "{arguments:?}: {ran:?}"
    );
    assert!(
        ran.stderr.contains(says),
        "{arguments:?} should say {says:?}: {}",
        ran.stderr
    );
    let remedy = ran.stderr.contains("remedy: ");
    // A wrong argument is told with what would be right.
    assert!(remedy || ran.code == Some(2), "no remedy: {}", ran.stderr);
    assert_eq!(world.kept(), before, "{arguments:?} wrote something");
    world.assert_nothing_left();
}

/// A request that must fail, about machines that are there: with its cause and what helps.
///
/// # Panics
/// When it succeeds, or says something else.
pub fn is_refused(world: &World, arguments: &[&str], says: &str) {
    let ran = world.run(arguments);
    assert_ne!(ran.code, Some(0), "{arguments:?}");
    assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    assert!(
        ran.stderr.contains("remedy"),
        "{arguments:?}: {}",
        ran.stderr
    );
}

/// # Panics
/// When a request that cannot be met is not refused clearly.
pub fn what_cannot_be_is_refused_before_anything_is_made(world: &World) {
    let cases: [(&[&str], &str); 14] = [
        (&["--name", "Web", "--", "true"], "'W'"),
        (&["--name=-web", "--", "true"], "begins or ends"),
        (&["--name", "a.b", "--", "true"], "'.'"),
        (&["--name", "", "--", "true"], "empty"),
        (&["--vcpu", "0", "--", "true"], "give 1 to 64"),
        (&["--vcpu", "64", "--", "true"], "more than this host has"),
        (&["--memory", "0", "--", "true"], "out of range"),
        (
            &["--memory", "900GiB", "--", "true"],
            "more than this host has",
        ),
        (&["--memory", "lots", "--", "true"], "is not a size"),
        (
            &["--disk-size", "16TiB", "--", "true"],
            "more than this host has",
        ),
        (&["--disk-size", "1KiB", "--", "true"], "disk size"),
        (&["--image", "no-such", "--", "true"], "no image no-such"),
        (&["--kernel", "no-such", "--", "true"], "no kernel no-such"),
        (&["-d", "--rm"], "--rm"),
    ];
    for (arguments, says) in cases {
        refused(world, arguments, says);
    }
}

/// # Panics
/// When a name is given twice, or a command and `-d` are not refused.
pub fn a_name_is_given_once(world: &World) {
    super::start(world, "v");
    let ran = world.run(super::run(&["-d", "--name", "v"]));
    assert!(matches!(ran.code, Some(1 | 125)), "{ran:?}");
    assert!(ran.stderr.contains("already"), "{}", ran.stderr);
    let ran = world.run(super::run(&["-d", "--", "true"]));
    assert_ne!(ran.code, Some(0));
    assert_eq!(world.names(), ["v"]);
}
