//! A kernel in Debian packages: an `ar` archive with a compressed tar. The tar is unpacked into one
//! file beside and its entries are then read in place; nothing of it is ever written by its name.

use super::{
    KernelError,
    compression::Format,
    source_files::{Content, MOST_BYTES, MOST_FILES, SourceFiles, belongs_to_modules},
};
use crate::disks::{DiskError, space};
use crate::progress::Progress;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

/// Directories of a package in which modules lie, one directory below for each version.
const MODULE_DIRECTORIES: [&str; 2] = ["lib/modules/", "usr/lib/modules/"];

/// The files of interest of one or more packages.
#[derive(Debug, Default)]
struct Found {
    images: BTreeMap<String, Content>,
    /// By version, then by path below it.
    modules: BTreeMap<String, BTreeMap<String, Content>>,
}

/// What a file of a package is to us.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Image,
    Module { version: &'a str, path: &'a str },
}

/// A path as it stands in a package, without `./`; none for one that leaves it.
fn clean(path: &[u8]) -> Option<&str> {
    let path = std::str::from_utf8(path).ok()?;
    let path = path.trim_start_matches("./").trim_start_matches('/');
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_plain).then_some(path)
}

fn classify(path: &str) -> Option<Part<'_>> {
    if path.starts_with("boot/vmlinuz-") || path.starts_with("boot/vmlinux-") {
        return Some(Part::Image);
    }
    let below = MODULE_DIRECTORIES
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))?;
    let (version, path) = below.split_once('/')?;
    if path == "vmlinuz" {
        return Some(Part::Image);
    }
    belongs_to_modules(path).then_some(Part::Module { version, path })
}

fn problem<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> KernelError {
    let path = path.to_owned();
    move |problem| KernelError::Source {
        path: path.clone(),
        problem: problem.to_string(),
    }
}

/// Unpacks the package's `data.tar` into a file.
fn spool(package: &Path, spool: &Path, progress: &Progress) -> Result<(), KernelError> {
    let file = File::open(package).map_err(DiskError::io("open", package))?;
    let mut archive = ar::Archive::new(BufReader::new(file));
    let not_a_package =
        |error: io::Error| problem(package)(format!("it is not a whole Debian package ({error})"));
    while let Some(entry) = archive.next_entry() {
        let entry = entry.map_err(not_a_package)?;
        let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
        let name = name.trim_end_matches('/');
        if name != "data.tar" && !name.starts_with("data.tar.") {
            continue;
        }
        let plain: Box<dyn Read> = match Format::of_name(name) {
            Some(format) => format
                .reader(BufReader::new(entry))
                .map_err(not_a_package)?,
            None if name == "data.tar" => Box::new(entry),
            None => {
                return Err(problem(package)(format!(
                    "its {name} is packed in an unknown way"
                )));
            }
        };
        return copy(plain, spool, package, progress);
    }
    Err(problem(package)(
        "it is not a Debian package: it has no data.tar",
    ))
}

/// Copies a stream into a file; telling a damaged package from a full disk.
fn copy(
    mut plain: Box<dyn Read + '_>,
    spool: &Path,
    package: &Path,
    progress: &Progress,
) -> Result<(), KernelError> {
    let mut file = File::create(spool).map_err(DiskError::io("create", spool))?;
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        progress.check()?;
        let read = match plain.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let words = format!("it is damaged or cut short ({error})");
                return Err(problem(package)(words));
            }
        };
        copied += read as u64;
        if copied > MOST_BYTES {
            let most = banger_model::size::show_bytes(MOST_BYTES);
            return Err(problem(package)(format!("it unpacks to more than {most}")));
        }
        let chunk = buffer.get(..read).unwrap_or_default();
        io::Write::write_all(&mut file, chunk).map_err(DiskError::io("write", spool))?;
    }
}

/// Notes where the files of interest lie in an unpacked tar.
fn index(package: &Path, spool: &Path, found: &mut Found) -> Result<(), KernelError> {
    let damaged = |error: io::Error| problem(package)(format!("its tar is damaged ({error})"));
    let file = File::open(spool).map_err(DiskError::io("open", spool))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let mut count = 0_usize;
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        count += 1;
        if count > MOST_FILES {
            return Err(problem(package)(format!(
                "it has more than {MOST_FILES} files"
            )));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path_bytes();
        let Some(path) = clean(&path) else { continue };
        let content = || Content::part(spool.to_owned(), entry.raw_file_position(), entry.size());
        match classify(path) {
            Some(Part::Image) => drop(found.images.insert(path.to_owned(), content())),
            Some(Part::Module { version, path }) => {
                let tree = found.modules.entry(version.to_owned()).or_default();
                tree.insert(path.to_owned(), content());
            }
            None => {}
        }
    }
    Ok(())
}

/// The kernel in the packages, which belong together.
fn choose(package: &Path, mut found: Found) -> Result<SourceFiles, KernelError> {
    let names = |names: Vec<&String>| {
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        names.join(", ")
    };
    if found.images.len() > 1 {
        let names = names(found.images.keys().collect());
        return Err(problem(package)(format!(
            "it has more than one kernel: {names}"
        )));
    }
    if found.modules.len() > 1 {
        let names = names(found.modules.keys().collect());
        return Err(problem(package)(format!(
            "it has modules of more than one kernel: {names}"
        )));
    }
    let Some((image_name, image)) = found.images.pop_first() else {
        return Err(problem(package)(
            "it has no boot/vmlinuz: name the package of the kernel itself, not one that depends on it",
        ));
    };
    let (modules_version, modules) = found.modules.pop_first().unzip();
    Ok(SourceFiles {
        image,
        image_name: format!("{image_name} of {}", package.display()),
        modules: modules.unwrap_or_default(),
        modules_version,
    })
}

/// Finds the kernel and the modules in one package, or in several that belong together. `staging`
/// must outlive what is returned: the bytes lie there.
pub(super) fn collect(
    packages: &[PathBuf],
    staging: &Path,
    progress: &Progress,
) -> Result<SourceFiles, KernelError> {
    let mut found = Found::default();
    for (number, package) in packages.iter().enumerate() {
        let size = package
            .metadata()
            .map_err(DiskError::io("read", package))?
            .len();
        // Kernels shrink to between a third and a seventh.
        space::require(staging, size.saturating_mul(7))?;
        let tar = staging.join(format!("data-{number}.tar"));
        spool(package, &tar, progress)?;
        index(package, &tar, &mut found)?;
    }
    let first = packages.first().map_or(Path::new(""), PathBuf::as_path);
    choose(first, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernel_and_its_modules_are_taken() {
        assert_eq!(classify("boot/vmlinuz-6.1"), Some(Part::Image));
        assert_eq!(classify("usr/lib/modules/6.1/vmlinuz"), Some(Part::Image));
        let (version, path) = ("6.1", "kernel/a.ko");
        assert_eq!(
            classify("lib/modules/6.1/kernel/a.ko"),
            Some(Part::Module { version, path })
        );
        for path in [
            "boot/config-6.1",
            "lib/modules/6.1",
            "lib/modules/6.1/build/x",
            "etc/passwd",
        ] {
            assert_eq!(classify(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_package_is_not_a_path() {
        assert_eq!(clean(b"./boot/x"), Some("boot/x"));
        assert_eq!(clean(b"/boot/x"), Some("boot/x"));
        for path in [&b"./lib/../../x"[..], b"lib//x", b"..", b"\xff", b""] {
            assert_eq!(clean(path), None, "{path:?}");
        }
    }

    mod t1 {
        use super::super::super::fixtures;
        use super::*;

        fn collected(bytes: &[u8]) -> Result<SourceFiles, KernelError> {
            let place = tempfile::tempdir().expect("a directory");
            let package = place.path().join("p.deb");
            std::fs::write(&package, bytes).expect("writes");
            collect(&[package], place.path(), &Progress::silent())
        }

        fn refusal(bytes: &[u8]) -> String {
            collected(bytes).expect_err("is refused").to_string()
        }

        #[test]
        fn every_packing_of_a_package_is_read() {
            let files = [
                ("./boot/vmlinuz-6", b"k".to_vec()),
                ("usr/lib/modules/6/a.ko", b"m".to_vec()),
            ];
            let tar = fixtures::tar(&files);
            for (member, data) in [
                ("data.tar", tar.clone()),
                ("data.tar.gz", fixtures::gzip(&tar)),
                ("data.tar.xz", fixtures::xz(&tar)),
                ("data.tar.zst", fixtures::zstd(&tar)),
            ] {
                let found = collected(&fixtures::deb(member, &data)).expect(member);
                assert_eq!(found.image.size, 1);
                assert_eq!(found.modules_version.as_deref(), Some("6"));
                assert_eq!(found.modules.keys().collect::<Vec<_>>(), ["a.ko"]);
            }
        }

        #[test]
        fn what_is_not_a_kernel_package_says_why() {
            let whole = fixtures::kernel_package("6.1");
            assert!(refusal(b"hello").contains("not a whole Debian package"));
            assert!(refusal(&whole[..whole.len() / 2]).contains("damaged or cut short"));
            let none = fixtures::deb("data.tar", &fixtures::tar(&[("a", vec![])]));
            assert!(refusal(&none).contains("no boot/vmlinuz"));
            assert!(refusal(&fixtures::deb("data.tar.lzma", b"")).contains("unknown way"));
            assert!(refusal(&fixtures::deb("other", b"")).contains("no data.tar"));
            let two = [("boot/vmlinuz-1", vec![]), ("boot/vmlinuz-2", vec![])];
            let two = fixtures::deb("data.tar", &fixtures::tar(&two));
            assert!(refusal(&two).contains("more than one kernel"));
        }

        #[test]
        fn a_package_that_is_not_there_is_named() {
            let place = tempfile::tempdir().expect("a directory");
            let package = place.path().join("absent.deb");
            let error = collect(&[package], place.path(), &Progress::silent());
            let error = error.expect_err("is absent");
            assert!(error.to_string().contains("absent.deb"), "{error}");
        }
    }
}
