//! A kernel from the host's own package manager: apt, which checks what it downloads against its
//! signed lists. Nothing is installed, and no root is needed.

use super::KernelError;
use crate::{
    disks::{DiskError, programs},
    progress::Progress,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Packages that stand for the newest kernel of a distribution, those made for virtual machines
/// first: Debian's, Ubuntu's, then what either has in any case.
const DEFAULTS: [&str; 4] = [
    "linux-image-cloud-amd64",
    "linux-image-virtual",
    "linux-image-amd64",
    "linux-image-generic",
];

/// How many packages may stand for one another before the one with the kernel comes.
const LONGEST_CHAIN: usize = 4;

/// Debian Policy, section 5.6.1; so a name can be neither an option nor a path.
fn is_package_name(name: &str) -> bool {
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '+' | '-' | '.');
    name.len() >= 2
        && name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(is_allowed)
}

/// Whether a package of that name has the kernel itself, and not only depends on it.
fn has_kernel(package: &str) -> bool {
    let rest = package.strip_prefix("linux-image-");
    let rest = rest.map(|rest| rest.strip_prefix("unsigned-").unwrap_or(rest));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The names behind `Depends:` in what `apt-cache depends` prints, virtual packages left out.
fn depends(printed: &str) -> Vec<String> {
    let lines = printed
        .lines()
        .map(|line| line.trim().trim_start_matches('|'));
    let names = lines.filter_map(|line| line.strip_prefix("Depends: "));
    names
        .map(str::trim)
        .filter(|name| is_package_name(name))
        .map(str::to_owned)
        .collect()
}

/// What the lists say that a package depends on; none for a package that they do not have.
fn look_up(package: &str, progress: &Progress) -> Result<Option<Vec<String>>, KernelError> {
    if let Err(error) = programs::find("apt-cache") {
        tracing::debug!(%error, "no kernel from a package manager");
        return Err(KernelError::NoPackageManager);
    }
    let mut show = programs::command("apt-cache")?;
    show.args(["show", "--no-all-versions", "--", package]);
    let shown = programs::output_while_wanted::<KernelError>(show, progress)?;
    if !shown.status.success() || shown.stdout.trim().is_empty() {
        return Ok(None);
    }
    let mut ask = programs::command("apt-cache")?;
    ask.args(["depends", "--", package]);
    let printed = programs::output_while_wanted::<KernelError>(ask, progress)?;
    if !printed.status.success() {
        return Err(printed.failure("apt-cache").into());
    }
    Ok(Some(depends(&printed.stdout)))
}

/// The packages to download for a kernel: the kernel's own, and that of its modules where they
/// are apart. `look_up` says what a package depends on.
fn resolve(
    wanted: &str,
    look_up: impl Fn(&str) -> Result<Option<Vec<String>>, KernelError>,
) -> Result<Vec<String>, KernelError> {
    let absent = || KernelError::NotInLists(wanted.to_owned());
    let mut package = wanted.to_owned();
    for _ in 0..LONGEST_CHAIN {
        let depends = look_up(&package)?.ok_or_else(absent)?;
        if has_kernel(&package) {
            let is_modules = |name: &String| name.starts_with("linux-modules-");
            let mut all = vec![package];
            all.extend(depends.into_iter().filter(is_modules));
            return Ok(all);
        }
        let next = depends
            .into_iter()
            .find(|name| name.starts_with("linux-image-"));
        match next {
            Some(next) => package = next,
            // Not a package of a known kind: it may have a kernel nevertheless.
            None => return Ok(vec![package]),
        }
    }
    Err(absent())
}

/// Downloads a package into the directory; its file.
fn download(package: &str, directory: &Path, progress: &Progress) -> Result<PathBuf, KernelError> {
    let mut command = programs::command("apt-get")?;
    programs::with_proxies(&mut command);
    command
        .args(["-q", "-o", "Acquire::Retries=3", "download", "--", package])
        .current_dir(directory);
    let output = programs::output_while_wanted::<KernelError>(command, progress)?;
    if !output.status.success() {
        let stale = ["Unable to locate package", "404", "Can't select candidate"];
        if stale.iter().any(|words| output.stderr.contains(words)) {
            return Err(KernelError::NotInLists(package.to_owned()));
        }
        return Err(output.failure("apt-get").into());
    }
    let listed = fs::read_dir(directory).map_err(DiskError::io("list", directory))?;
    let prefix = format!("{package}_");
    let mut files = listed.flatten().map(|entry| entry.path());
    let found = files.find(|path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(".deb")
    });
    found.ok_or_else(|| KernelError::NotInLists(package.to_owned()))
}

/// Downloads all packages of a kernel.
fn fetch_all(
    packages: &[String],
    directory: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, KernelError> {
    let mut files = Vec::new();
    for package in packages {
        progress.check()?;
        progress.stage(format!("downloading {package}"));
        files.push(download(package, directory, progress)?);
    }
    Ok(files)
}

/// Downloads the kernel that a package has or depends on; the files of its packages.
pub(super) fn fetch(
    package: &str,
    directory: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, KernelError> {
    if !is_package_name(package) {
        return Err(KernelError::PackageName(package.to_owned()));
    }
    let look_up = |package: &str| look_up(package, progress);
    fetch_all(&resolve(package, look_up)?, directory, progress)
}

/// Downloads the distribution's own kernel for virtual machines; the files of its packages.
pub(super) fn fetch_default(
    directory: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, KernelError> {
    progress.stage("looking for the kernel of this distribution");
    let look_up = |package: &str| look_up(package, progress);
    fetch_all(&resolve_default(look_up)?, directory, progress)
}

fn resolve_default(
    look_up: impl Fn(&str) -> Result<Option<Vec<String>>, KernelError>,
) -> Result<Vec<String>, KernelError> {
    for package in DEFAULTS {
        match resolve(package, &look_up) {
            Err(KernelError::NotInLists(_)) => {}
            other => return other,
        }
    }
    Err(KernelError::NotInLists(DEFAULTS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
    const UBUNTU: &str = "linux-image-6.8.0-31-generic\n  Depends: kmod\n |Depends: <linux-initramfs-tool>\n    \
dracut\n  Depends: linux-base\n  Depends: linux-modules-6.8.0-31-generic\n  Conflicts: x\n";

    /// Lists of a host, by package.
    fn lists(
        known: &'static [(&str, &str)],
    ) -> impl Fn(&str) -> Result<Option<Vec<String>>, KernelError> {
        move |package| {
            let found = known.iter().find(|(name, _)| *name == package);
            Ok(found.map(|(_, printed)| depends(printed)))
        }
    }

    #[test]
    fn a_package_that_stands_for_the_newest_kernel_is_followed() {
        let look_up = lists(&[
            ("linux-image-cloud-amd64", DEBIAN),
            ("linux-image-6.1.0-56-cloud-amd64", "x\n  Depends: kmod\n"),
        ]);
        let packages = resolve_default(look_up).expect("is found");
        assert_eq!(packages, ["linux-image-6.1.0-56-cloud-amd64"]);
    }

    #[test]
    fn modules_that_are_packaged_apart_come_too() {
        let look_up = lists(&[
            (
                "linux-image-virtual",
                "x\n  Depends: linux-image-6.8.0-31-generic\n",
            ),
            ("linux-image-6.8.0-31-generic", UBUNTU),
        ]);
        let packages = resolve_default(look_up).expect("is found");
        let expected = [
            "linux-image-6.8.0-31-generic",
            "linux-modules-6.8.0-31-generic",
        ];
        assert_eq!(packages, expected);
    }

    #[test]
    fn lists_that_are_empty_or_go_in_circles_are_an_error() {
        assert!(matches!(
            resolve_default(lists(&[])),
            Err(KernelError::NotInLists(_))
        ));
        let circle = lists(&[("linux-image-a", "x\n  Depends: linux-image-a\n")]);
        assert!(matches!(
            resolve("linux-image-a", circle),
            Err(KernelError::NotInLists(_))
        ));
    }

    #[test]
    fn a_package_of_another_kind_is_tried_as_it_is() {
        let look_up = lists(&[("my-kernel", "my-kernel\n")]);
        assert_eq!(
            resolve("my-kernel", look_up).expect("is taken"),
            ["my-kernel"]
        );
    }

    #[test]
    fn a_name_can_be_neither_an_option_nor_a_path() {
        assert!(is_package_name("linux-image-6.1.0-56-cloud-amd64"));
        for name in [
            "",
            "-o",
            "a",
            "a/b",
            "../x",
            "a b",
            "A-b",
            "a=1",
            &"a".repeat(129),
        ] {
            assert!(!is_package_name(name), "{name:?}");
            let fetched = fetch(name, Path::new("/nonexistent"), &Progress::silent());
            assert!(matches!(fetched, Err(KernelError::PackageName(_))));
        }
    }

    #[test]
    fn kernels_are_told_from_packages_that_need_one() {
        assert!(has_kernel("linux-image-6.1.0-56-cloud-amd64"));
        assert!(has_kernel("linux-image-unsigned-6.8.0-31-generic"));
        assert!(!has_kernel("linux-image-cloud-amd64") && !has_kernel("linux-headers-6.1"));
    }
}
