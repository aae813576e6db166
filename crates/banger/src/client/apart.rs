//! Asking the daemon's program to look without a daemon: where none answers, whatever keeps one from
//! serving is what there is to be told.

use crate::place::Surroundings;
use banger_proto::fault::{Fault, FaultCode};
use serde::de::DeserializeOwned;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long it may take: its checks have limits of their own.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 << 20;

/// Has it look, and reads what it found.
///
/// # Errors
/// What it says when it cannot, or that there is no such program.
pub async fn ask<T: DeserializeOwned>(
    surroundings: &Surroundings,
    arguments: &[&str],
) -> Result<T, Fault> {
    let unavailable = |message: String| Fault::new(FaultCode::Unavailable, message);
    let program = surroundings.daemon_program().ok_or_else(|| {
        unavailable("no daemon runs and the program bangerd was not found".into())
            .with_remedy("put bangerd beside banger or into PATH, or set BANGER_DAEMON")
    })?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let shown = program.display();
    let ended = match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => {
            return Err(unavailable(format!(
                "{shown} has not answered for {} s",
                LIMIT.as_secs()
            )));
        }
        Ok(Err(error)) => return Err(unavailable(format!("cannot start {shown}: {error}"))),
        Ok(Ok(ended)) => ended,
    };
    if !ended.status.success() {
        return Err(said(&String::from_utf8_lossy(&ended.stderr)));
    }
    let text = ended.stdout.get(..LONGEST).unwrap_or(&ended.stdout);
    serde_json::from_slice(text).map_err(|error| {
        Fault::new(
            FaultCode::Version,
            format!("what {shown} says cannot be read: {error}"),
        )
        .with_remedy("use programs of the same version")
    })
}

/// `bangerd: CAUSE` and perhaps `remedy: …`, as it complains.
fn said(text: &str) -> Fault {
    let line = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin));
    let message = line("bangerd: ").unwrap_or(text.trim());
    let fault = Fault::new(FaultCode::Failed, message);
    match line("remedy: ") {
        Some(remedy) => fault.with_remedy(remedy),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_complains_is_the_fault() {
        let fault = said("bangerd: the disk is on fire\nremedy: water\n");
        assert_eq!(fault.message, "the disk is on fire");
        assert_eq!(fault.remedy.as_deref(), Some("water"));
        assert_eq!(said("panicked\n").message, "panicked");
    }
}
