//! `dist`: the release as one archive, with its checksum beside it.

use crate::build::{self, BINARIES, Profile};
use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask dist

Builds the release and packs the binaries, LICENSE and README.md into
target/dist/banger-VERSION-ARCHITECTURE-linux.tar.gz, with a SHA256SUMS file beside it.
";

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    command::no_arguments(arguments)?;
    let binaries = build::build(Profile::Release)?;
    let name = format!(
        "banger-{}-{}-linux",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let archive = pack(
        &binaries,
        &workspace::root(),
        &workspace::target().join("dist"),
        &name,
    )?;
    println!("{}", archive.display());
    Ok(())
}

/// Stages the files in a directory of the release's name, and packs it. Owner, order and times
/// are fixed, so that the same files give the same archive.
fn pack(binaries: &Path, root: &Path, dist: &Path, name: &str) -> Outcome<PathBuf> {
    let stage = dist.join(name);
    std::fs::create_dir_all(&stage).map_err(|error| Failure::file("make", &stage, &error))?;
    let from_build = BINARIES.map(|binary| binaries.join(binary));
    let from_root = ["LICENSE", "README.md"].map(|file| root.join(file));
    for file in from_build.iter().chain(&from_root) {
        let place = stage.join(file.file_name().unwrap_or_default());
        std::fs::copy(file, &place).map_err(|error| Failure::file("copy", file, &error))?;
    }
    let archive = format!("{name}.tar.gz");
    let mut tar = Command::new("tar");
    tar.current_dir(dist).env("GZIP", "").args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]);
    tar.args([
        "--mtime=@0",
        "--use-compress-program=gzip -n",
        "-cf",
        &archive,
        name,
    ]);
    command::run(&mut tar)?;
    let sums = command::capture(Command::new("sha256sum").current_dir(dist).arg(&archive))?;
    let file = dist.join("SHA256SUMS");
    std::fs::write(&file, sums).map_err(|error| Failure::file("write", &file, &error))?;
    Ok(dist.join(archive))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in BINARIES.into_iter().chain(["LICENSE", "README.md"]) {
            std::fs::write(directory.path().join(file), file).unwrap();
        }
        directory
    }

    #[test]
    fn the_same_files_give_the_same_archive_and_its_sum_checks() {
        let source = source();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let archives = [&one, &two]
            .map(|dist| pack(source.path(), source.path(), dist.path(), "b-1").unwrap());
        let bytes = archives.map(|archive| std::fs::read(archive).unwrap());
        assert_eq!(bytes[0], bytes[1]);
        let mut check = Command::new("sha256sum");
        assert!(command::capture(check.current_dir(one.path()).args(["-c", "SHA256SUMS"])).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let source = source();
        std::fs::remove_file(source.path().join("LICENSE")).unwrap();
        let dist = tempfile::tempdir().unwrap();
        let failure = pack(source.path(), source.path(), dist.path(), "b-1").unwrap_err();
        assert!(failure.to_string().contains("LICENSE"));
    }
}
