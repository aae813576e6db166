//! Keeps a guest's console log bounded.
//!
//! QEMU opens the log for appending, so that its next byte goes to the file's present end wherever
//! that is: the file may be made shorter from outside while the guest writes. What a guest prints
//! is thus limited to a little more than the limit, by how much it prints between two calls.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A console's log as if nothing had ever been cut off it: places in it stay what they are. To be used on
/// a thread that may block.
#[derive(Debug)]
pub struct Console {
    log: PathBuf,
    /// Where `cut` is kept for the next daemon.
    memory: PathBuf,
    /// How much was cut off; absent until it is read. Held while the log is read or cut.
    cut: Mutex<Option<u64>>,
}

impl Console {
    /// The log at `log`; what was cut off it is remembered in the file `memory`.
    #[must_use]
    pub const fn new(log: PathBuf, memory: PathBuf) -> Self {
        Self {
            log,
            memory,
            cut: Mutex::new(None),
        }
    }

    fn cut(&self, known: &mut Option<u64>) -> u64 {
        *known.get_or_insert_with(|| {
            let text = fs::read_to_string(&self.memory).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        })
    }

    /// See [`trim`].
    ///
    /// # Errors
    /// When the log cannot be read or written, or it cannot be remembered what was cut.
    pub fn trim(&self, limit: u64) -> io::Result<Trimmed> {
        let mut known = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = self.cut(&mut known);
        let trimmed = trim(&self.log, limit)?;
        if let Trimmed::Cut(more) = trimmed {
            *known = Some(cut + more);
            let new = self.memory.with_extension("cut.new");
            fs::write(&new, (cut + more).to_string())?;
            fs::rename(&new, &self.memory)?;
        }
        Ok(trimmed)
    }

    /// At most so many bytes from a place on, and the place that they are at: a later one when what was
    /// there is cut off.
    ///
    /// # Errors
    /// When the log cannot be read; one that is not there is empty.
    pub fn read(&self, place: u64, most: u64) -> io::Result<(u64, Vec<u8>)> {
        let mut known = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = self.cut(&mut known);
        let place = place.max(cut);
        let mut bytes = Vec::new();
        match File::open(&self.log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                let mut log = opened?;
                log.seek(SeekFrom::Start(place - cut))?;
                log.take(most).read_to_end(&mut bytes)?;
            }
        }
        Ok((place, bytes))
    }
}

/// What [`trim`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trimmed {
    /// The log is within its limit, or there is none.
    WithinLimit,
    /// The oldest bytes, this many, were taken away.
    Cut(u64),
}

/// Cuts a log that is longer than `limit` bytes down to its newest half, beginning with a whole
/// line where there is one.
///
/// The newest half is read, the file is emptied, and what was read is appended again. Bytes that
/// the guest prints in the microseconds between reading and emptying are lost, and what it prints
/// before the appending stands before it; nothing is ever doubled. After a crash in between the log
/// is empty, not wrong. Who follows the log sees it become shorter and begins anew.
///
/// # Errors
/// When the log cannot be read or written.
pub fn trim(path: &Path, limit: u64) -> io::Result<Trimmed> {
    let mut log = match OpenOptions::new().read(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Trimmed::WithinLimit),
        opened => opened?,
    };
    let length = log.metadata()?.len();
    if length <= limit {
        return Ok(Trimmed::WithinLimit);
    }
    let newest = newest(&mut log, length, limit / 2)?;
    log.set_len(0)?;
    log.write_all(&newest)?;
    Ok(Trimmed::Cut(length.saturating_sub(newest.len() as u64)))
}

/// The last `most` bytes and what has come since, from the first beginning of a line on.
fn newest(log: &mut File, length: u64, most: u64) -> io::Result<Vec<u8>> {
    log.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    // A guest that prints faster than this reads must not keep it here.
    log.take(most.saturating_mul(2)).read_to_end(&mut bytes)?;
    if let Some(line_end) = bytes.iter().position(|&byte| byte == b'\n') {
        bytes.drain(..=line_end);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    mod t1 {
        use super::super::*;
        use std::fs;

        fn log_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("console.log");
            fs::write(&path, bytes).expect("written");
            (directory, path)
        }

        #[test]
        fn a_log_within_its_limit_is_left_as_it_is() {
            let (_directory, path) = log_of(b"a\nb\n");
            assert_eq!(trim(&path, 4).expect("trimmed"), Trimmed::WithinLimit);
            assert_eq!(fs::read(&path).expect("read"), b"a\nb\n");
        }

        #[test]
        fn the_newest_whole_lines_are_kept() {
            let text: String = (0..1000).map(|n| format!("line {n:04}\n")).collect();
            let (_directory, path) = log_of(text.as_bytes());
            assert_eq!(trim(&path, 1000).expect("trimmed"), Trimmed::Cut(9510));
            let kept = fs::read_to_string(&path).expect("read");
            assert!(kept.starts_with("line 0951\n") && kept.ends_with("line 0999\n"));
            assert_eq!(trim(&path, 1000).expect("trimmed"), Trimmed::WithinLimit);
        }

        #[test]
        fn one_endless_line_is_cut_as_well() {
            let (_directory, path) = log_of(&[b'x'; 5000]);
            assert_eq!(trim(&path, 1000).expect("trimmed"), Trimmed::Cut(4500));
        }

        #[test]
        fn a_writer_that_appends_goes_on_after_the_kept_part() {
            let (_directory, path) = log_of(&b"old line\n".repeat(500));
            let mut writer = OpenOptions::new().append(true).open(&path).expect("opened");
            trim(&path, 100).expect("trimmed");
            writer.write_all(b"new line\n").expect("written");
            let after = fs::read_to_string(&path).expect("read");
            assert!(after.ends_with("old line\nnew line\n") && after.len() < 100);
            assert!(!after.contains('\0'), "no hole");
        }

        #[test]
        fn a_place_in_the_log_stays_what_it_is_when_its_beginning_is_cut_off() {
            let text: String = (0..1000).map(|n| format!("line {n:04}\n")).collect();
            let (directory, path) = log_of(text.as_bytes());
            let memory = directory.path().join("console.cut");
            let console = Console::new(path.clone(), memory.clone());
            let at = |console: &Console, place| {
                let (place, bytes) = console.read(place, 10).expect("read");
                (place, String::from_utf8(bytes).expect("text"))
            };
            assert_eq!(at(&console, 9900), (9900, "line 0990\n".into()));
            console.trim(1000).expect("trimmed");
            // Another daemon, too.
            for console in [console, Console::new(path.clone(), memory.clone())] {
                assert_eq!(at(&console, 9900), (9900, "line 0990\n".into()));
                assert_eq!(at(&console, 0), (9510, "line 0951\n".into()));
                assert_eq!(at(&console, 10_000), (10_000, String::new()));
            }
            let mut writer = OpenOptions::new().append(true).open(&path).expect("opened");
            writer.write_all(&text.as_bytes()[..2000]).expect("written");
            let console = Console::new(path, memory);
            console.trim(1000).expect("trimmed");
            assert_eq!(at(&console, 11_990), (11_990, "line 0199\n".into()));
        }

        #[test]
        fn a_missing_log_is_fine_and_an_unusable_one_an_error() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let missing = trim(&directory.path().join("none"), 1).expect("no error");
            assert_eq!(missing, Trimmed::WithinLimit);
            assert!(trim(directory.path(), 1).is_err());
        }
    }
}
