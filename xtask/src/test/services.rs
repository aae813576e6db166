//! A second image for T3, of services that a resume could break: databases and a container engine. Made with
//! `mmdebstrap` by hand, as a user makes one.

use crate::command::{self, Failure, Outcome};
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Its name; tests ask for it by that.
pub(super) const NAME: &str = "services";

/// `apparmor` because the kernel has it, and Docker then loads a profile; `kmod` for the modules of its network; `udev`
/// because systemd waits a minute and a half for a console that nobody tells it of.
const PACKAGES: [&str; 13] = [
    "apparmor",
    "busybox-static",
    "dbus",
    "docker.io",
    "iproute2",
    "kmod",
    "perl",
    "postgresql",
    "procps",
    "sqlite3",
    "systemd",
    "systemd-sysv",
    "udev",
];

/// Docker keeps its layers on the work disk: an overlay cannot lie on another, as the system disk is one.
const HOOK: &str = r#"mkdir -p "$1/etc/docker" && echo '{"data-root": "/root/docker"}' > "$1/etc/docker/daemon.json""#;

/// Makes it, from the place that `sources` names in the form of sources.list(5); `import` takes the path of its archive, which
/// lies in `directory` until then.
pub(super) fn make(
    directory: &Path,
    sources: &str,
    import: impl FnOnce(&str) -> Outcome<()>,
) -> Outcome<()> {
    let list = directory.join("services.list");
    let archive = directory.join("services.tar");
    let made = std::fs::write(&list, sources)
        .map_err(|error| Failure::file("write", &list, &error))
        .and_then(|()| bootstrap(&list, &archive))
        .and_then(|()| import(&archive.display().to_string()));
    for path in [&list, &archive] {
        // What is not there was not made.
        let _not_there = std::fs::remove_file(path);
    }
    made
}

/// Without the name of a release: the list says which.
fn bootstrap(list: &Path, archive: &Path) -> Outcome<()> {
    let input = File::open(list).map_err(|error| Failure::file("read", list, &error))?;
    let output = File::create(archive).map_err(|error| Failure::file("make", archive, &error))?;
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(arguments()).stdin(input).stdout(output);
    command::run(&mut mmdebstrap)
}

fn arguments() -> [String; 7] {
    [
        "--variant=apt".to_owned(),
        "--architectures=amd64".to_owned(),
        "--format=tar".to_owned(),
        format!("--include={}", PACKAGES.join(",")),
        "--aptopt=Acquire::Languages \"none\"".to_owned(),
        "--dpkgopt=force-unsafe-io".to_owned(),
        format!("--customize-hook={HOOK}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_an_error_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let import = |path: &str| Err(Failure::new(format!("{path} was made of nothing")));
        assert!(make(directory.path(), "no list of places", import).is_err());
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        assert!(make(Path::new("/nonexistent"), "", import).is_err());
    }
}
