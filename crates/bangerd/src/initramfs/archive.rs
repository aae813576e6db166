//! The archive itself, in the `newc` form of cpio (the kernel's documentation, "initramfs buffer
//! format"), not compressed: a kernel has it unpacked sooner.

use cpio::newc::{Builder, ModeFileType, trailer};
use std::io::{self, Write};

/// Directories that the agent mounts on, or makes things in.
const DIRECTORIES: [&str; 6] = ["dev", "proc", "sys", "run", "newroot", "modules"];

/// The console, which the kernel opens for `/init` before anything is mounted: major 5, minor 1
/// (the kernel's documentation, "Linux allocated devices").
const CONSOLE: (u32, u32) = (5, 1);

/// What is in an initramfs beside what always is.
pub(super) struct Contents<'a> {
    /// The agent.
    pub(super) init: &'a [u8],
    /// Modules by file name, in load order.
    pub(super) modules: &'a [(String, Vec<u8>)],
}

fn file(to: impl Write, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let entry = Builder::new(name)
        .mode(mode)
        .set_mode_file_type(ModeFileType::Regular);
    let mut writer = entry.write(to, size);
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(())
}

fn directory(to: impl Write, name: &str) -> io::Result<()> {
    let entry = Builder::new(name)
        .mode(0o755)
        .nlink(2)
        .set_mode_file_type(ModeFileType::Directory);
    entry.write(to, 0).finish()?;
    Ok(())
}

fn console(to: impl Write) -> io::Result<()> {
    let entry = Builder::new("dev/console")
        .mode(0o600)
        .rdev_major(CONSOLE.0)
        .rdev_minor(CONSOLE.1)
        .set_mode_file_type(ModeFileType::Char);
    entry.write(to, 0).finish()?;
    Ok(())
}

/// Writes the archive; the same contents give the same bytes.
pub(super) fn write(mut to: impl Write, contents: &Contents<'_>) -> io::Result<()> {
    for name in DIRECTORIES {
        directory(&mut to, name)?;
    }
    console(&mut to)?;
    file(&mut to, "init", 0o755, contents.init)?;
    for (name, bytes) in contents.modules {
        file(&mut to, &format!("modules/{name}"), 0o644, bytes)?;
    }
    trailer(&mut to)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;

    #[test]
    fn the_archive_has_what_a_guest_needs_in_load_order() {
        let contents = Contents {
            init: b"agent!",
            modules: &[
                ("00-b.ko".to_owned(), b"first".to_vec()),
                ("01-a.ko".to_owned(), b"second".to_vec()),
            ],
        };
        let mut archive = Vec::new();
        write(&mut archive, &contents).expect("is written");
        let mut rest = archive.as_slice();
        let mut entries = Vec::new();
        loop {
            let mut reader = Reader::new(rest).expect("reads");
            let entry = reader.entry().clone();
            if entry.is_trailer() {
                break;
            }
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut reader, &mut bytes).expect("reads");
            if entry.name() == "dev/console" {
                assert_eq!((entry.rdev_major(), entry.rdev_minor()), CONSOLE);
            }
            entries.push((entry.name().to_owned(), entry.mode(), bytes));
            rest = reader.finish().expect("goes on");
        }
        let entry = |name: &str, mode, bytes: &[u8]| (name.to_owned(), mode, bytes.to_vec());
        let mut expected: Vec<_> = DIRECTORIES.map(|name| entry(name, 0o40755, b"")).into();
        expected.push(entry("dev/console", 0o20600, b""));
        expected.push(entry("init", 0o100_755, b"agent!"));
        expected.push(entry("modules/00-b.ko", 0o100_644, b"first"));
        expected.push(entry("modules/01-a.ko", 0o100_644, b"second"));
        assert_eq!(entries, expected);
    }
}
