//! Keeps a guest's console log bounded.
//!
//! QEMU opens the log for appending, so that its next byte goes to the file's present end wherever
//! that is: the file may be made shorter from outside while the guest writes. What a guest prints
//! is thus limited to a little more than the limit, by how much it prints between two calls.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

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

        fn log_of(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
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
        fn a_missing_log_is_fine_and_an_unusable_one_an_error() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let missing = trim(&directory.path().join("none"), 1).expect("no error");
            assert_eq!(missing, Trimmed::WithinLimit);
            assert!(trim(directory.path(), 1).is_err());
        }
    }
}
