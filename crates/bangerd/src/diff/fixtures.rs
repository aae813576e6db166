//! Disks with files on them, made by `mke2fs` and changed by `debugfs`: needs no root.

use super::{Changes, DiffError, Disks, Kind, compare};
use crate::disks::programs;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// A directory with disks.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A disk with these files: a name that ends in `/` is a directory, a content that begins with `->` a link.
    pub(super) fn disk(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        self.made(name, files, FEATURES)
    }

    /// The same without sums: whatever is written to it is read.
    pub(super) fn unsummed(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        self.made(name, files, &FEATURES.replace(",metadata_csum", ""))
    }

    fn made(&self, name: &str, files: &[(&str, &str)], features: &str) -> PathBuf {
        let tree = self.at(&format!("{name}.tree"));
        fs::create_dir_all(&tree).expect("made");
        fs::set_permissions(&tree, PermissionsExt::from_mode(0o755)).expect("set");
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().expect("one")).expect("made");
            match content.strip_prefix("->") {
                _ if path.to_string_lossy().ends_with('/') => {
                    fs::create_dir_all(&path).expect("made");
                }
                Some(target) => symlink(target, &path).expect("linked"),
                None => fs::write(&path, content).expect("written"),
            }
        }
        let disk = self.at(name);
        let arguments = [
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-E",
            "root_owner=0:0",
        ];
        let mut command = programs::command("mke2fs").expect("there");
        command.env("MKE2FS_CONFIG", "/dev/null").args(arguments);
        command.args(["-O", features, "-d"]).arg(&tree);
        command.arg(&disk).arg("16M");
        let output = programs::output_of(command).expect("runs");
        assert!(output.status.success(), "{}", output.stderr);
        disk
    }

    /// A system disk with these files laid over the image.
    pub(super) fn system(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let over: Vec<_> = files
            .iter()
            .map(|(path, content)| (format!("upper/{path}"), *content))
            .collect();
        let over: Vec<_> = over
            .iter()
            .map(|(path, content)| (path.as_str(), *content))
            .collect();
        self.disk(
            name,
            &[&[("upper/", ""), ("work/", "")], over.as_slice()].concat(),
        )
    }

    /// A copy, as a snapshot has it.
    pub(super) fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.at(name);
        fs::copy(from, &to).expect("copied");
        to
    }

    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, content).expect("written");
        path
    }
}

/// Has `debugfs` do something to a disk.
pub(super) fn debugfs(disk: &Path, commands: &str) {
    let script = disk.with_extension("debugfs");
    fs::write(&script, commands).expect("written");
    let mut command = programs::command("debugfs").expect("there");
    command.args(["-w", "-f"]).arg(&script).arg(disk);
    let output = programs::output_of(command).expect("runs");
    assert!(output.status.success(), "{}", output.stderr);
    let said = output
        .stderr
        .lines()
        .filter(|line| !line.starts_with("debugfs 1"));
    assert_eq!(said.collect::<Vec<_>>(), [""; 0], "{commands}");
}

/// Flips a bit.
pub(super) fn flip(disk: &Path, at: u64, bit: u8) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(disk)
        .expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("read");
    file.write_all_at(&[byte[0] ^ bit], at).expect("written");
}

pub(super) fn system(disk: &Path) -> Disks {
    Disks {
        system: Some(disk.to_owned()),
        ..Disks::default()
    }
}

pub(super) fn work(disk: &Path) -> Disks {
    Disks {
        work: Some(disk.to_owned()),
        ..Disks::default()
    }
}

pub(super) fn run(image: &Path, before: &Disks, after: &Disks) -> Result<Changes, DiffError> {
    let limit = Duration::from_secs(60);
    compare(image, before, after, limit, CancellationToken::new())
}

/// The differences as lines: `A /path`, `M /path Content Mode`.
pub(super) fn lines(changes: &Changes) -> Vec<String> {
    let line = |change: &super::Change| {
        let letter = match change.kind {
            Kind::Added => 'A',
            Kind::Changed => 'M',
            Kind::Removed => 'D',
        };
        let what: String = change.what.iter().map(|one| format!(" {one:?}")).collect();
        format!("{letter} {}{what}", change.path.escape_ascii())
    };
    changes.listed.iter().map(line).collect()
}
