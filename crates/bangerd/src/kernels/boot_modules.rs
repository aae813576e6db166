//! What is read of each module, and which of them a guest needs before it can see its disks.

use super::{
    KernelError,
    compression::Format,
    module_info::ModuleInfo,
    module_set::{Module, ModuleSet, name_of},
    source_files::Content,
};
use crate::{disks::DiskError, progress::Progress};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// What a guest needs to see its devices and to mount its disks, in the order in which it needs them:
/// the agent's port first, so that it answers early, the network last.
const ROOTS: [&str; 7] = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "overlay",
    "ext4",
    "virtio_rng",
    "virtio_net",
];

/// The longest module, in bytes, compressed or not; with debug information, the largest have 100 MiB.
const LONGEST_MODULE: u64 = 256 << 20;

/// The longest of the kernel's own lists, in bytes.
const LONGEST_LIST: u64 = 16 << 20;

/// A module's bytes as the kernel loads them.
fn plain(path: &str, content: &Content) -> Result<Vec<u8>, KernelError> {
    let bytes = content
        .read(LONGEST_MODULE)
        .map_err(DiskError::io("read", Path::new(path)))?;
    match Format::of_name(path) {
        Some(format) => format
            .unpack(&bytes, LONGEST_MODULE)
            .map_err(KernelError::unpacking(path)),
        None => Ok(bytes),
    }
}

/// Reads what all modules of a tree say of themselves.
pub(super) fn survey(
    files: &BTreeMap<String, Content>,
    progress: &Progress,
) -> Result<ModuleSet, KernelError> {
    let mut modules = Vec::new();
    for (done, (path, content)) in files.iter().enumerate() {
        progress.check()?;
        progress.amount(done as u64, files.len() as u64);
        if name_of(path).is_some() {
            let file = plain(path, content)?;
            modules.push(Module {
                path: path.clone(),
                info: ModuleInfo::of_module(&file).map_err(KernelError::parsing(path))?,
            });
        }
    }
    let builtin = match files.get("modules.builtin") {
        Some(list) => list
            .read(LONGEST_LIST)
            .map_err(DiskError::io("read", Path::new("modules.builtin")))?,
        None => Vec::new(),
    };
    Ok(ModuleSet::new(modules, &String::from_utf8_lossy(&builtin)))
}

/// Writes the modules that a guest loads first as `NN-name.ko`, uncompressed, in the order of
/// their numbers.
pub(super) fn write(
    directory: &Path,
    set: &ModuleSet,
    files: &BTreeMap<String, Content>,
    progress: &Progress,
) -> Result<(), KernelError> {
    let order = set.load_order(&ROOTS, true);
    for missing in &order.missing {
        // Without a random number device a guest only starts with less entropy.
        if missing != "virtio_rng" {
            progress.note(format!(
                "this kernel has no {missing}, built in or as a module: guests may not come up with it"
            ));
        }
    }
    fs::create_dir(directory).map_err(DiskError::io("create", directory))?;
    for (number, module) in order.modules.iter().enumerate() {
        let (Some(name), Some(content)) = (name_of(&module.path), files.get(&module.path)) else {
            continue;
        };
        progress.check()?;
        let path = directory.join(format!("{number:02}-{name}.ko"));
        let bytes = plain(&module.path, content)?;
        File::create(&path)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .map_err(DiskError::io("write", &path))?;
    }
    Ok(())
}

/// The number that a boot module's file name begins with.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".ko")?.split_once('-')?.0.parse().ok()
}

/// Lists what [`write`] wrote, in load order; nothing where it was not called.
pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(DiskError::io("list", directory))?,
    };
    let mut modules = Vec::new();
    for entry in listed {
        let path = entry.map_err(DiskError::io("list", directory))?.path();
        modules.extend(number(&path).map(|number| (number, path)));
    }
    modules.sort();
    Ok(modules.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn tree(files: &[(&str, Vec<u8>)]) -> BTreeMap<String, Content> {
        let of =
            |(path, bytes): &(&str, Vec<u8>)| ((*path).to_owned(), Content::memory(bytes.clone()));
        files.iter().map(of).collect()
    }

    #[test]
    fn a_damaged_module_is_named() {
        for (path, bytes) in [
            ("kernel/a.ko", b"text".to_vec()),
            ("kernel/a.ko.xz", b"text".to_vec()),
            ("kernel/a.ko.zst", fixtures::zstd(b"text")),
        ] {
            let error = survey(&tree(&[(path, bytes)]), &Progress::silent()).expect_err(path);
            assert!(error.to_string().contains(path), "{error}");
        }
    }

    mod t1 {
        use super::*;
        use std::sync::{Arc, Mutex};

        #[test]
        fn modules_are_numbered_in_load_order_and_unpacked() {
            let ring = fixtures::module("depends=virtio\0");
            let files = tree(&[
                ("kernel/virtio.ko", fixtures::module("depends=\0")),
                ("kernel/virtio_ring.ko.gz", fixtures::gzip(&ring)),
                (
                    "kernel/virtio_pci.ko",
                    fixtures::module("depends=virtio_ring\0"),
                ),
                ("kernel/unrelated.ko", fixtures::module("depends=\0")),
                (
                    "modules.builtin",
                    b"kernel/virtio_blk.ko\nkernel/ext4.ko\n".to_vec(),
                ),
            ]);
            let place = tempfile::tempdir().expect("a directory");
            let directory = place.path().join("boot-modules");
            let told = Arc::new(Mutex::new(Vec::new()));
            let listener = told.clone();
            let progress = Progress::to(move |event| listener.lock().expect("locks").push(event));
            let set = survey(&files, &Progress::silent()).expect("is read");
            write(&directory, &set, &files, &progress).expect("is written");
            let listed = list(&directory).expect("lists");
            let names: Vec<_> = listed.iter().filter_map(|path| path.file_name()).collect();
            assert_eq!(
                names,
                ["00-virtio.ko", "01-virtio_ring.ko", "02-virtio_pci.ko"]
            );
            assert_eq!(fs::read(&listed[1]).expect("reads"), ring);
            let told = format!("{:?}", told.lock().expect("locks"));
            assert!(
                told.contains("no overlay") && !told.contains("no ext4"),
                "{told}"
            );
        }

        #[test]
        fn a_hundred_modules_stay_in_order() {
            let place = tempfile::tempdir().expect("a directory");
            for name in ["99-a.ko", "100-b.ko", "07-c.ko", "x-d.ko", "notes"] {
                fs::write(place.path().join(name), "").expect("writes");
            }
            let listed = list(place.path()).expect("lists");
            let names: Vec<_> = listed.iter().filter_map(|path| path.file_name()).collect();
            assert_eq!(names, ["07-c.ko", "99-a.ko", "100-b.ko"]);
            assert!(
                list(&place.path().join("absent"))
                    .expect("lists")
                    .is_empty()
            );
        }
    }
}
