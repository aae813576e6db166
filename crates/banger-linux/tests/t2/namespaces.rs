use crate::world::{alone, bridge, ip_link};
use banger_linux::links;
use banger_linux::namespaces::{NamespaceError, NetworkNamespace, in_fresh};
use banger_linux::netlink::Netlink;
use std::path::Path;

fn own() -> std::path::PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").expect("read")
}

#[test]
fn a_fresh_one_is_empty_and_the_caller_stays_where_it_is() {
    let outside = own();
    let (inside, names) = in_fresh(|| {
        let links = links::list(&Netlink::open().expect("a connection")).expect("read");
        (
            own(),
            links.into_iter().map(|link| link.name).collect::<Vec<_>>(),
        )
    })
    .expect("these tests need root");
    assert_ne!(inside, outside);
    assert_eq!(names, ["lo"]);
    assert_eq!(own(), outside);
}

#[test]
fn one_is_entered_by_its_path_until_the_guard_is_dropped() {
    alone(|netlink| {
        bridge(netlink, "br-t");
        let other = NetworkNamespace::fresh().expect("made");
        let mut sleep = other.run(|| {
            let mut sleep = std::process::Command::new("sleep");
            sleep.arg("1000").spawn().expect("it starts")
        });
        let process = sleep.as_mut().expect("entered");
        let path = format!("/proc/{}/ns/net", process.id());
        let before = own();
        {
            let by_path = NetworkNamespace::open(Path::new(&path)).expect("opened");
            let _guard = by_path.enter().expect("entered");
            assert_ne!(own(), before);
            assert_eq!(ip_link("br-t"), None);
        }
        assert_eq!(own(), before);
        assert!(ip_link("br-t").is_some());
        process.kill().expect("killed");
        process.wait().expect("reaped");
    });
}

#[test]
fn a_connection_keeps_the_namespace_in_which_it_was_opened() {
    alone(|netlink| {
        let other = NetworkNamespace::fresh().expect("made");
        let _guard = other.enter().expect("entered");
        bridge(netlink, "br-t");
        assert_eq!(ip_link("br-t"), None, "it was made where the connection is");
    });
}

#[test]
fn a_panic_inside_goes_on_outside() {
    let caught = std::panic::catch_unwind(|| in_fresh(|| panic!("inside")));
    let said = caught.expect_err("a panic");
    assert_eq!(said.downcast_ref::<&str>(), Some(&"inside"));
}

#[test]
fn what_is_no_namespace_is_refused() {
    let missing = NetworkNamespace::open(Path::new("/run/netns/banger-no-such"));
    let error = missing.expect_err("not there").to_string();
    assert!(
        error.starts_with("cannot open the network namespace /run/netns/banger-no-such: "),
        "{error}"
    );
    let file = NetworkNamespace::open(Path::new("/dev/null")).expect("opened");
    assert!(matches!(file.enter(), Err(NamespaceError::Enter(_))));
    assert!(matches!(file.run(|| ()), Err(NamespaceError::Enter(_))));
}
