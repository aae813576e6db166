//! The real guest: process 1, mounts, identity, init, the end.
//!
//! ```text
//!   kernel ──▶ /init = supervisor (process 1) ──spawns──▶ @banger-agent (serves the port)
//!                  │  reaps orphans                          │ "stay" or "start init", by socket
//!                  ▼                                         ▼
//!         moves the new root to /, then stays, or executes the image's init
//! ```
//!
//! The agent is a child from the very beginning: nothing has to be forked out of a running
//! runtime, and the connection is the same before and after init starts. It keeps the initramfs as
//! its root; the guest's world is a directory to it.

mod boot;
mod boot_id;
mod console;
mod disks;
mod grow;
mod hooks;
mod identity;
mod init;
mod keys;
mod machine;
mod modules;
mod mounts;
mod moved;
mod netlink;
mod network;
mod place;
mod power;
mod program;
mod resume;
mod supervisor;
mod units;

use std::env;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Begins with `@`, so that systemd spares the process when it kills all others at shutdown.
const AGENT_NAME: &str = "@banger-agent";

/// The main function of `banger-agent`.
#[must_use]
pub fn main() -> ExitCode {
    let name = env::args_os().next().unwrap_or_default();
    if rustix::process::getpid().is_init() {
        supervisor::run()
    } else if name.as_bytes() == AGENT_NAME.as_bytes() {
        boot::run()
    } else {
        eprintln!(
            "banger-agent {}: runs as /init of a guest",
            env!("CARGO_PKG_VERSION")
        );
        ExitCode::FAILURE
    }
}
