//! Tests in namespaces of their own: the same test once more, as another process, under `unshare(1)`.
//! Whatever is mounted and connected there goes with its last process.

use std::process::{Command, Stdio};

/// Set for the copy of a test that runs in namespaces of its own.
const MARK: &str = "BANGER_TEST_NAMESPACES";

/// Runs a test in a mount namespace of its own. Who is not root gets a user namespace too, where the
/// host allows it.
///
/// # Panics
/// When the namespace cannot be had or the test fails in it.
pub fn own_mounts(test: impl FnOnce()) {
    again_under(&["--mount"], test);
}

/// Runs a test in a mount namespace and a network namespace of its own: with loopback up, the `/sys`
/// of this network, and a `/run` of its own for the names of more networks (`ip netns`).
///
/// # Panics
/// As [`own_mounts`].
pub fn own_network(test: impl FnOnce()) {
    again_under(&["--mount", "--net"], || {
        tool("mount -t sysfs sysfs /sys");
        tool("mount -t tmpfs tmpfs /run");
        tool("ip link set lo up");
        test();
    });
}

fn again_under(namespaces: &[&str], test: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        return test();
    }
    let name = std::thread::current().name().map(str::to_owned);
    let name = name.expect("a test's thread has its name");
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).args(["--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare
        .arg("--")
        .arg(std::env::current_exe().expect("this test's path"));
    unshare
        .args(["--exact", &name, "--nocapture"])
        .env(MARK, "1");
    let output = unshare
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.expect("unshare(1), of util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name} in namespaces of its own (root, or user namespaces, needed): {}\n{said}",
        output.status
    );
}

/// Runs a program of the host in the calling thread's namespaces and gives what it printed.
///
/// # Panics
/// When it is not there or does not succeed.
pub fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}; `cargo xtask setup`"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same for a tool that prints JSON.
///
/// # Panics
/// As [`tool`], and when it prints something else.
#[must_use]
pub fn json(line: &str) -> serde_json::Value {
    let text = tool(line);
    // `ip -j` prints nothing at all where there is nothing.
    match text.trim() {
        "" => serde_json::json!([]),
        text => {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
        }
    }
}
