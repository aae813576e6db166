//! A file that somebody asked for by name, or standard output: the file has its name once it is whole.

use crate::exit::Failure;
use banger_proto::fault::{Fault, FaultCode};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is written to. Dropped before [`OutputFile::finish`], it leaves nothing.
pub struct OutputFile {
    out: Out,
    written: u64,
}

enum Out {
    Standard(io::Stdout),
    File {
        file: File,
        unfinished: PathBuf,
        path: PathBuf,
    },
}

impl OutputFile {
    /// Begins a file for its user alone; `-` is standard output.
    ///
    /// # Errors
    /// Its name is taken, it cannot be made, or standard output is a terminal.
    pub fn begin(path: &Path) -> Result<Self, Failure> {
        let out = match path == Path::new("-") {
            true => standard()?,
            false => file(path)?,
        };
        Ok(Self { out, written: 0 })
    }

    /// Writes more of it; so many bytes have been written afterwards.
    ///
    /// # Errors
    /// There is no room, or nobody reads it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<u64, Failure> {
        match &mut self.out {
            Out::Standard(out) => out.write_all(bytes).map_err(|e| Failure::output(&e))?,
            Out::File { file, path, .. } => {
                let written = file.write_all(bytes);
                written.map_err(|error| unwritable(path, &error))?;
            }
        }
        self.written += bytes.len() as u64;
        Ok(self.written)
    }

    /// It is whole: on the disk, and then under its name.
    ///
    /// # Errors
    /// As [`Self::write`], and when its name was taken meanwhile.
    pub fn finish(mut self) -> Result<(), Failure> {
        match &mut self.out {
            Out::Standard(out) => out.flush().map_err(|error| Failure::output(&error)),
            Out::File {
                file,
                unfinished,
                path,
            } => {
                let synced = file.sync_all();
                synced.map_err(|error| unwritable(path, &error))?;
                name(unfinished, path)
            }
        }
    }
}

fn standard() -> Result<Out, Failure> {
    let out = io::stdout();
    match out.is_terminal() {
        true => Err(Failure::usage(
            "standard output is a terminal",
            "give a file, or pipe it to a program",
        )),
        false => Ok(Out::Standard(out)),
    }
}

fn file(path: &Path) -> Result<Out, Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".unfinished-{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600);
    let file = file.open(&unfinished);
    Ok(Out::File {
        file: file.map_err(|error| unwritable(path, &error))?,
        unfinished,
        path: path.to_owned(),
    })
}

/// Renames onto a name that must be free.
fn name(unfinished: &Path, path: &Path) -> Result<(), Failure> {
    match renameat_with(CWD, unfinished, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(taken(path)),
        // A file system without the flag: it was free when this began.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::rename(unfinished, path).map_err(|error| unwritable(path, &error))
        }
        Err(error) => Err(unwritable(path, &error.into())),
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Out::File { unfinished, .. } = &self.out {
            // It has another name already where it is whole.
            let _ = fs::remove_file(unfinished);
        }
    }
}

fn taken(path: &Path) -> Failure {
    let message = format!("{} is there already", path.display());
    Failure::usage(message, "give another name, or remove it")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    let fault = Fault::new(FaultCode::Failed, message);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => fault
            .with_remedy("make room, or give a file elsewhere")
            .into(),
        _ => fault.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("lists").flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_once_it_is_whole_and_is_its_users_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("dev.banger");
        let mut file = OutputFile::begin(&path).expect("begun");
        assert_eq!(file.write(b"abc").expect("written"), 3);
        assert!(!path.exists());
        file.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("there"), b"abc");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(place.path()), ["dev.banger"]);
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing_and_no_other_is_replaced() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("dev.banger");
        let mut file = OutputFile::begin(&path).expect("begun");
        file.write(b"abc").expect("written");
        drop(file);
        assert_eq!(names(place.path()), [""; 0]);
        let late = OutputFile::begin(&path).expect("begun");
        fs::write(&path, "another").expect("written");
        for refused in [late.finish().err(), OutputFile::begin(&path).err()] {
            let message = refused.expect("taken").fault.message;
            assert!(message.contains("there already"), "{message}");
        }
        assert_eq!(fs::read(&path).expect("there"), b"another");
        assert_eq!(names(place.path()), ["dev.banger"]);
    }

    #[test]
    fn where_nothing_can_be_made_the_place_is_named() {
        let error = OutputFile::begin(Path::new("/no/such/place")).err();
        let message = error.expect("refused").fault.message;
        assert!(message.contains("/no/such/place"), "{message}");
    }

    #[test]
    fn a_full_disk_is_told_with_what_helps() {
        let full = unwritable(Path::new("x"), &io::ErrorKind::StorageFull.into());
        assert!(full.fault.remedy.is_some());
    }
}
