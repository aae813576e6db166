//! Whether the daemon that answers is the one that this command line would start.

use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::Version;

/// This command line's version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// What follows from a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same build, or there is no file to compare it with and the version fits.
    Fits,
    /// Another build: to be replaced if that harms nobody.
    Replace,
}

/// Compares a daemon with the file that we would start.
#[must_use]
pub fn compare(daemon: &Version, own_build: Option<&str>) -> Verdict {
    match own_build {
        Some(build) if build == daemon.build => Verdict::Fits,
        None if speaks_with(&daemon.version) => Verdict::Fits,
        _ => Verdict::Replace,
    }
}

/// After the daemon refused to leave: go on with a note, or not at all.
///
/// # Errors
/// A `version` fault when the two do not fit together.
pub fn keep(daemon: &Version, because: &str) -> Result<String, Fault> {
    if speaks_with(&daemon.version) {
        return Ok(format!(
            "the daemon is of another build and keeps running because {because}"
        ));
    }
    let message = format!(
        "the daemon has version {} and this command line {OWN}; it keeps running because {because}",
        daemon.version
    );
    Err(Fault::new(FaultCode::Version, message).with_remedy(
        "use the command line of that version, or stop the sandboxes and run `banger daemon stop`",
    ))
}

/// Same major and minor version.
fn speaks_with(version: &str) -> bool {
    let minor = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    minor(version).is_some() && minor(version) == minor(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(version: &str) -> Version {
        Version {
            version: version.into(),
            build: "b1".into(),
            api: "v1".into(),
        }
    }

    #[test]
    fn the_same_build_fits_and_another_is_to_be_replaced() {
        assert_eq!(compare(&daemon(OWN), Some("b1")), Verdict::Fits);
        assert_eq!(compare(&daemon("9.9.9"), Some("b1")), Verdict::Fits);
        assert_eq!(compare(&daemon(OWN), Some("b2")), Verdict::Replace);
        assert_eq!(compare(&daemon(OWN), None), Verdict::Fits);
        assert_eq!(compare(&daemon("9.9.9"), None), Verdict::Replace);
    }

    #[test]
    fn a_daemon_that_stays_is_used_when_its_minor_version_is_ours() {
        let note = keep(&daemon(OWN), "2 sandboxes run").expect("fits");
        assert!(note.contains("2 sandboxes run"), "{note}");
        for other in ["9.1.0", "0.99.0", "nonsense", ""] {
            let fault = keep(&daemon(other), "it is busy").expect_err("another");
            assert_eq!(fault.code, FaultCode::Version, "{other}");
            assert!(fault.remedy.is_some());
        }
    }
}
