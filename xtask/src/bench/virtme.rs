//! virtme-ng, which `fork.run.virtme` measures banger beside: from PyPI, in a Python environment of its own, with
//! a kernel that it can boot and the two programs that it needs on the host. Nothing is installed: all of it is in
//! `target/virtme`, made once.

use crate::command::{self, Failure, Outcome};
use crate::test::guests::Owner;
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells `banger-bench` where it is.
const VARIABLE: &str = "BANGER_BENCH_VIRTME";
/// Tells it why there is none.
const WITHOUT_VARIABLE: &str = "BANGER_BENCH_WITHOUT_VIRTME";

/// What pip installs.
const PYTHON_PACKAGE: &str = "virtme-ng==1.42";
/// The kernel's package. Without KVM and virtiofsd virtme-ng shares its tools with the guest by 9p, which the kernel
/// for virtual machines (`cloud`) has not.
const KERNEL_PACKAGE: &str = "linux-image-amd64";
/// The packages of what it runs on the host and puts into its initramfs.
const TOOL_PACKAGES: [&str; 2] = ["busybox-static", "kmod"];
/// The name of banger's copy of the kernel, while there is one.
const KERNEL: &str = "virtme";

/// The parts of a measurement that have the row.
const PARTS: [&str; 2] = ["fork", "runs"];

/// Whether these arguments of `bench` ask for the row.
pub(super) fn is_wanted(arguments: &[String]) -> bool {
    let is_name = |word: &&String| super::NAMES.contains(&word.as_str());
    let mut names = arguments.iter().filter(is_name).peekable();
    names.peek().is_none() || names.any(|name| PARTS.contains(&name.as_str()))
}

/// Makes it unless it is there, and gives the variable for the measuring program. Where it cannot be made
/// the program is told why: one row less is no failure.
pub(super) fn prepare(binaries: &Path) -> (String, String) {
    let home = workspace::target().join("virtme");
    match prepare_in(&home, || make(&home, binaries)) {
        Ok(()) => (VARIABLE.to_owned(), home.display().to_string()),
        Err(failure) => {
            eprintln!("bench: no virtme-ng: {failure}");
            (WITHOUT_VARIABLE.to_owned(), failure.to_string())
        }
    }
}

/// What says that a directory is complete, and of what.
fn stamp() -> String {
    let tools = TOOL_PACKAGES.join(" ");
    format!("{PYTHON_PACKAGE} {KERNEL_PACKAGE} {tools}\n")
}

/// Makes the directory anew unless it is complete and of these versions.
fn prepare_in(home: &Path, make: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let complete = home.join("complete");
    if std::fs::read_to_string(&complete).is_ok_and(|found| found == stamp()) {
        return Ok(());
    }
    clear(home)?;
    make()?;
    std::fs::write(&complete, stamp()).map_err(|error| Failure::file("write", &complete, &error))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a directory of build products that only this module fills"
)]
fn clear(home: &Path) -> Outcome<()> {
    match std::fs::remove_dir_all(home) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", home, &error))
        }
        _ => Ok(()),
    }
}

fn make(home: &Path, binaries: &Path) -> Outcome<()> {
    let again = "once that is mended, `cargo xtask bench runs` tries again";
    let packages = home.join("packages");
    for directory in [&packages, &home.join("bin"), &home.join("root/boot")] {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| Failure::file("make", directory, &error))?;
    }
    for mut command in python(home) {
        say(&mut command)
            .map_err(|failure| failure.remedy(format!("python3-venv has it; {again}")))?;
    }
    let fetched = fetch(&packages).map_err(|failure| failure.remedy(again))?;
    for package in &fetched {
        say(&mut unpacking(package, &home.join("root")))?;
    }
    for (name, program) in [
        ("busybox", "busybox"),
        ("modprobe", "kmod"),
        ("depmod", "kmod"),
    ] {
        link(home, name, program)?;
    }
    let kernel = fetched
        .iter()
        .find(|package| has_prefix(package, "linux-image-"))
        .ok_or_else(|| Failure::new("a kernel was fetched and is not there"))?;
    vmlinux(home, kernel, binaries)
}

/// The Python environment, and virtme-ng in it.
fn python(home: &Path) -> [Command; 2] {
    let environment = home.join("python");
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&environment);
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--no-input", PYTHON_PACKAGE]);
    [make, install]
}

/// Downloads the packages; their files.
fn fetch(packages: &Path) -> Outcome<Vec<PathBuf>> {
    let printed = say(Command::new("apt-cache").args(["depends", KERNEL_PACKAGE]))?;
    let kernel = kernel_package(&printed)
        .ok_or_else(|| Failure::new(format!("{KERNEL_PACKAGE} depends on no kernel")))?;
    let mut download = Command::new("apt-get");
    download.args(["-q", "-o", "Acquire::Retries=3", "download", kernel]);
    say(download.args(TOOL_PACKAGES).current_dir(packages))?;
    let listed = std::fs::read_dir(packages)
        .map_err(|error| Failure::file("list", packages, &error))?
        .flatten();
    Ok(listed.map(|entry| entry.path()).collect())
}

/// The kernel's own package in what `apt-cache depends` prints of the one that stands for the newest.
fn kernel_package(printed: &str) -> Option<&str> {
    let mut names = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.find(|name| name.starts_with("linux-image-"))
}

fn unpacking(package: &Path, root: &Path) -> Command {
    let mut command = Command::new("dpkg-deb");
    command.arg("--extract").args([package, root]);
    command
}

fn has_prefix(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(prefix)
}

/// Links a program that was unpacked into `bin`, by the name it is called by.
fn link(home: &Path, name: &str, program: &str) -> Outcome<()> {
    let places = ["root/usr/bin", "root/bin"].map(|place| home.join(place).join(program));
    let found = places.iter().find(|place| place.exists());
    let found = found.ok_or_else(|| Failure::new(format!("no {program} in its package")))?;
    let link = home.join("bin").join(name);
    std::os::unix::fs::symlink(found, &link).map_err(|error| Failure::file("make", &link, &error))
}

/// The kernel as banger boots it: uncompressed, because an emulated processor needs seconds to unpack it. It lies
/// where virtme-ng finds the modules beside it.
fn vmlinux(home: &Path, package: &Path, binaries: &Path) -> Outcome<()> {
    let state = home.join("banger");
    let owner = Owner::new(binaries, state.clone())?;
    let package = package.to_string_lossy();
    owner.run(&["kernel", "import", KERNEL, "--package", &package])?;
    let from = state
        .join("state/banger/kernels")
        .join(KERNEL)
        .join("vmlinux");
    let to = home.join("root/boot/vmlinux");
    let copied = std::fs::copy(&from, &to);
    copied.map_err(|error| Failure::file("copy", &from, &error))?;
    // The disk with its modules is as large as all that was unpacked.
    owner.run(&["kernel", "rm", KERNEL])
}

/// Runs a command, having said which: some take a while.
fn say(command: &mut Command) -> Outcome<String> {
    eprintln!("bench │ {}", command::shown(command));
    command::capture(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(line: &str) -> bool {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        is_wanted(&words)
    }

    #[test]
    fn only_who_measures_runs_waits_for_it() {
        for line in ["", "--json", "-n 3", "fork", "start runs -n 1"] {
            assert!(asks(line), "{line}");
        }
        for line in ["start", "undo wake --json", "memory -n 5"] {
            assert!(!asks(line), "{line}");
        }
    }

    #[test]
    fn the_kernel_is_what_the_package_of_the_newest_depends_on() {
        let printed = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  \
                       Conflicts: <linux-latest-modules-2.6>\n";
        assert_eq!(kernel_package(printed), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(kernel_package("linux-image-amd64\n"), None);
    }

    #[test]
    fn virtme_ng_comes_by_name_and_version_into_an_environment_of_its_own() {
        let lines = python(Path::new("/t/virtme")).map(|command| command::shown(&command));
        assert_eq!(
            lines,
            [
                "python3 -m venv /t/virtme/python",
                "/t/virtme/python/bin/pip install --quiet --disable-pip-version-check --no-input \
                 virtme-ng==1.42"
            ]
        );
    }

    #[test]
    fn what_is_complete_is_kept_and_what_is_not_begins_anew() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("virtme");
        let made = |name: &'static str| {
            std::fs::create_dir_all(&home).unwrap();
            std::fs::write(home.join(name), "").unwrap();
        };
        let broken = || {
            made("half");
            Err(Failure::new("no network"))
        };
        assert_eq!(prepare_in(&home, broken), Err(Failure::new("no network")));
        let whole = || {
            assert!(!home.join("half").exists(), "nothing of the first attempt");
            made("all");
            Ok(())
        };
        assert_eq!(prepare_in(&home, whole), Ok(()));
        assert_eq!(prepare_in(&home, || panic!("made again")), Ok(()));
        std::fs::write(home.join("complete"), "virtme-ng==1.0\n").unwrap();
        let newer = || {
            made("newer");
            Ok(())
        };
        assert_eq!(prepare_in(&home, newer), Ok(()));
        assert!(home.join("newer").exists() && !home.join("all").exists());
    }

    #[test]
    fn a_program_is_found_in_a_merged_root_and_in_a_parted_one() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path();
        for directory in ["bin", "root/bin", "root/usr/bin"] {
            std::fs::create_dir_all(home.join(directory)).unwrap();
        }
        std::fs::write(home.join("root/bin/kmod"), "").unwrap();
        std::fs::write(home.join("root/usr/bin/busybox"), "").unwrap();
        link(home, "modprobe", "kmod").unwrap();
        link(home, "busybox", "busybox").unwrap();
        assert!(home.join("bin/modprobe").exists() && home.join("bin/busybox").exists());
        let failure = link(home, "udevadm", "udevadm").unwrap_err().to_string();
        assert!(failure.contains("no udevadm"), "{failure}");
    }
}
