//! Kernel modules of the initramfs: `NN-name.ko`, loaded in the order of their names.

use crate::fault::io_reason;
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Loads every module of a directory; returns what failed, one line each.
pub(super) fn load(directory: &Path) -> Vec<String> {
    let load = |path: &PathBuf| {
        let failed = |why: String| format!("cannot load the module {}: {why}", path.display());
        let file = File::open(path).map_err(|error| failed(io_reason(&error)))?;
        match rustix::system::finit_module(&file, c"", 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(failed(crate::fault::reason(errno))),
        }
    };
    ordered(directory)
        .iter()
        .filter_map(|path| load(path).err())
        .collect()
}

/// The modules of a directory in the order of their names; none where there is no directory.
fn ordered(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ko"));
    paths.sort();
    paths
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn modules_are_taken_in_order_and_other_files_are_not() {
        let temp = tempfile::tempdir().expect("temp");
        for name in [
            "10-virtio_blk.ko",
            "02-virtio.ko",
            "notes.txt",
            "01-virtio_ring.ko",
        ] {
            fs::write(temp.path().join(name), "not a module").expect("written");
        }
        let names: Vec<_> = ordered(temp.path())
            .iter()
            .map(|path| path.file_name().expect("named").to_owned())
            .collect();
        assert_eq!(
            names,
            ["01-virtio_ring.ko", "02-virtio.ko", "10-virtio_blk.ko"]
        );
        assert_eq!(
            ordered(Path::new("/nonexistent")),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn a_module_that_cannot_be_loaded_is_named_with_the_reason() {
        let temp = tempfile::tempdir().expect("temp");
        fs::write(temp.path().join("01-x.ko"), "not a module").expect("written");
        let failed = load(temp.path());
        assert_eq!(failed.len(), 1);
        assert!(
            failed.iter().all(|line| line.contains("01-x.ko: ")),
            "{failed:?}"
        );
    }
}
