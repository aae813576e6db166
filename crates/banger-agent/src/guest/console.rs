//! What the agent says to the kernel's console: the VMM's log of a guest.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// Says it as an error (`KERN_ERR`), so that it shows in spite of `quiet`.
pub(super) fn error(message: impl Display) {
    let line = format!("<3>banger-agent: {message}\n");
    let log = OpenOptions::new().write(true).open("/dev/kmsg");
    // Where there is no console there is nobody to tell.
    let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
}
