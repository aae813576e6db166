//! From this host into a guest.

use super::guest::GuestFiles;
use super::target::{Found, Goes, decide, join, last_component};
use crate::show::Show;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::file::PutRequest;
use futures_util::{StreamExt, TryStreamExt};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many files are under way at once.
const AT_ONCE: usize = 4;

/// Copies a stream into one file.
///
/// # Errors
/// The daemon's fault.
pub async fn stream(guest: &GuestFiles<'_>, target: &[u8]) -> Result<(), Fault> {
    let request = PutRequest {
        path: target.into(),
        mode: 0o644,
        modified: None,
    };
    guest.put(&request, io::stdin(), u64::MAX).await
}

/// Copies files and directories.
///
/// # Errors
/// The first fault; what was copied before stays.
pub async fn copy(
    guest: &GuestFiles<'_>,
    show: Show,
    sources: &[PathBuf],
    target: &[u8],
) -> Result<(), Fault> {
    let found = guest.found(target).await?;
    for source in sources {
        let metadata = source.symlink_metadata().map_err(unreadable(source))?;
        let name = source.as_os_str().as_bytes();
        let to = match decide(name, metadata.is_dir(), sources.len(), target, found)? {
            Goes::Inside => join(target, last_component(name).unwrap_or_default()),
            Goes::There => target.to_vec(),
        };
        let files = tree(guest, show, source, &metadata, to, found).await?;
        futures_util::stream::iter(files)
            .map(|(from, to)| file(guest, from, to))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

/// Makes directories and links, and returns the files that are to be sent.
async fn tree(
    guest: &GuestFiles<'_>,
    show: Show,
    source: &Path,
    metadata: &Metadata,
    to: Vec<u8>,
    found: Found,
) -> Result<Vec<(PathBuf, Vec<u8>)>, Fault> {
    let mut files = Vec::new();
    let mut waiting = vec![(source.to_path_buf(), metadata.clone(), to)];
    let merges =
        found == Found::Directory && last_component(source.as_os_str().as_bytes()).is_none();
    let mut first = true;
    while let Some((from, metadata, to)) = waiting.pop() {
        let kind = metadata.file_type();
        if kind.is_dir() {
            if !(first && merges) {
                guest.make_directory(&to, metadata.mode() & 0o7777).await?;
            }
            for entry in std::fs::read_dir(&from).map_err(unreadable(&from))? {
                let entry = entry.map_err(unreadable(&from))?;
                let path = entry.path();
                let metadata = entry.metadata().map_err(unreadable(&path))?;
                let to = join(&to, entry.file_name().as_bytes());
                waiting.push((path, metadata, to));
            }
        } else if kind.is_symlink() {
            let says = std::fs::read_link(&from).map_err(unreadable(&from))?;
            guest
                .make_symlink(&to, &says.into_os_string().into_vec())
                .await?;
        } else if kind.is_file() {
            files.push((from, to));
        } else {
            show.note(&format!("{} is not a file: left out", from.display()));
        }
        first = false;
    }
    Ok(files)
}

async fn file(guest: &GuestFiles<'_>, from: PathBuf, to: Vec<u8>) -> Result<(), Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, &from, flags, Mode::empty())
        .map(File::from)
        .map_err(|error| unreadable(&from)(error.into()))?;
    let metadata = file.metadata().map_err(unreadable(&from))?;
    let request = PutRequest {
        path: to.into(),
        mode: metadata.mode() & 0o7777,
        modified: Some(metadata.mtime()),
    };
    guest.put(&request, file, metadata.len()).await
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Fault {
    let path = path.display().to_string();
    move |error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => FaultCode::NotFound,
            _ => FaultCode::Failed,
        };
        Fault::new(code, format!("cannot read {path}: {error}"))
    }
}
