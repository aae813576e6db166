//! A file of lines that is only ever added to, and begun anew beyond a size.

use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// See the module. One writer; whoever reads sees whole lines, or a torn one that a full disk or a power
/// cut left, which the next line does not continue.
#[derive(Debug)]
pub(crate) struct LineFile {
    path: PathBuf,
    /// In bytes.
    limit: u64,
    open: Option<File>,
    /// Whether the file ends within a line.
    torn: bool,
}

impl LineFile {
    /// The file, made with the first line. Beyond `limit` bytes it becomes its own predecessor.
    pub(crate) fn new(path: PathBuf, limit: u64) -> Self {
        Self {
            path,
            limit,
            open: None,
            torn: false,
        }
    }

    /// Makes the file if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn make(&mut self) -> io::Result<()> {
        self.open()
    }

    /// Adds a line, with one write.
    ///
    /// # Errors
    /// When it cannot be opened, or the line is not whole in it.
    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        if !self.is_current() {
            self.open()?;
        }
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if self.torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        let Some(file) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match file.write(&bytes) {
            Ok(written) if written == bytes.len() => {
                self.torn = false;
                Ok(())
            }
            Ok(written) => {
                self.torn |= written > 0;
                Err(io::ErrorKind::StorageFull.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether what is open is what is at the path, and not beyond its size: the owner may have moved or
    /// removed it.
    fn is_current(&self) -> bool {
        let identity = |found: &Metadata| (found.dev(), found.ino());
        let open = self.open.as_ref().and_then(|file| file.metadata().ok());
        let there = std::fs::symlink_metadata(&self.path).ok();
        match (open, there) {
            (Some(open), Some(there)) => {
                identity(&open) == identity(&there) && open.len() < self.limit
            }
            _ => false,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        self.open = None;
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.len() >= self.limit) {
            std::fs::rename(&self.path, predecessor(&self.path))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)?;
        self.torn = ends_within_a_line(&mut file)?;
        self.open = Some(file);
        Ok(())
    }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Where the lines before the newest are.
pub(crate) fn predecessor(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// The lines of the predecessor and of the file, oldest first, at most so many bytes of each. A file that
/// is not there has none.
///
/// # Errors
/// When one is there and cannot be read.
pub(crate) fn lines_of(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    for path in [&predecessor(path), path] {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::symlink;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lines.jsonl");
        (directory, path)
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("read")
    }

    #[test]
    fn lines_are_added_and_the_file_is_the_owners_alone() {
        let (_directory, path) = place();
        for line in ["one", "two"] {
            // Each time as a daemon that was started again.
            LineFile::new(path.clone(), 100)
                .append(line)
                .expect("written");
        }
        assert_eq!(read(&path), "one\ntwo\n");
        let mode = std::fs::metadata(&path).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn beyond_its_size_it_is_begun_anew_and_one_predecessor_is_kept() {
        let (_directory, path) = place();
        let mut file = LineFile::new(path.clone(), 10);
        for line in ["aaaa", "bbbb", "cccc", "dddd", "eeee"] {
            file.append(line).expect("written");
        }
        assert_eq!(read(&path), "eeee\n");
        assert_eq!(read(&predecessor(&path)), "cccc\ndddd\n");
        assert_eq!(lines_of(&path, 100).expect("read"), "cccc\ndddd\neeee\n");
        assert_eq!(
            std::fs::read_dir(_directory.path()).expect("read").count(),
            2
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let (directory, path) = place();
        let mut file = LineFile::new(path.clone(), 100);
        file.append("one").expect("written");
        std::fs::rename(&path, directory.path().join("kept")).expect("moved");
        file.append("two").expect("written");
        assert_eq!(read(&path), "two\n");
        std::fs::remove_file(&path).expect("removed");
        file.append("three").expect("written");
        assert_eq!(read(&path), "three\n");
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_continued() {
        let (_directory, path) = place();
        std::fs::write(&path, "whole\nhal").expect("written");
        let mut file = LineFile::new(path.clone(), 100);
        file.append("next").expect("written");
        file.append("last").expect("written");
        assert_eq!(read(&path), "whole\nhal\nnext\nlast\n");
    }

    #[test]
    fn a_symbolic_link_in_its_place_is_not_written_through() {
        let (directory, path) = place();
        let target = directory.path().join("target");
        symlink(&target, &path).expect("linked");
        assert!(LineFile::new(path, 100).append("one").is_err());
        assert!(!target.exists());
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_next_line_with_room_is_whole() {
        let mut full = LineFile::new("/dev/full".into(), u64::MAX);
        // A device is neither truncated nor renamed; every write to it fails (full(4)).
        let error = full.append("one").expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
