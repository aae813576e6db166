//! Whether T2 can run here: as root, where network namespaces can be made.

use crate::command::{self, Failure, Outcome};
use crate::setup;
use std::process::Command;

/// Looks, by making one.
pub(crate) fn available() -> Outcome<()> {
    verdict(setup::is_root(), || {
        command::capture(Command::new("unshare").args(["--net", "true"]))
    })
}

fn verdict(root: bool, make: impl FnOnce() -> Outcome<String>) -> Outcome<()> {
    if !root {
        return Err(Failure::new(
            "it needs root, in network namespaces of its own",
        ));
    }
    match make() {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new("no network namespace can be made here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_root_and_a_namespace() {
        let made = || Ok(String::new());
        let refused = || Err(Failure::new("unshare: Operation not permitted"));
        assert!(verdict(true, made).is_ok());
        let text = |outcome: Outcome<()>| outcome.unwrap_err().to_string();
        assert_eq!(
            text(verdict(true, refused)),
            "no network namespace can be made here"
        );
        assert_eq!(
            text(verdict(false, made)),
            "it needs root, in network namespaces of its own"
        );
    }
}
