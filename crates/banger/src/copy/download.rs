//! From a guest to this host. Everything that the guest says is checked: see
//! [`super::host_directory`].

use super::guest::GuestFiles;
use super::host_directory::HostDirectory;
use super::target::{Found, Goes, decide, last_component};
use crate::client::request::Unanswered;
use crate::show::Show;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::ByteText;
use banger_proto::owner::file::{Entry, FileStat};
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::target::join;

/// How many files are under way at once.
const AT_ONCE: usize = 4;
/// How deep a guest's tree may be: far deeper than any real one.
const DEEPEST: usize = 256;

/// Copies one file to standard output.
///
/// # Errors
/// The daemon's fault, or when it cannot be written.
pub async fn stream(guest: &GuestFiles<'_>, source: &[u8]) -> Result<(), crate::exit::Failure> {
    let (_stat, mut body) = guest.get(source).await?;
    let mut out = io::stdout().lock();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::from(Unanswered::Lost(error)))?;
        if let Some(data) = frame.data_ref() {
            out.write_all(data)
                .map_err(|error| crate::exit::Failure::output(&error))?;
        }
    }
    out.flush()
        .map_err(|error| crate::exit::Failure::output(&error))
}

/// Copies files and directories.
///
/// # Errors
/// The first fault; what was copied before stays.
pub async fn copy(
    guest: &GuestFiles<'_>,
    show: Show,
    sources: &[Vec<u8>],
    target: &Path,
) -> Result<(), Fault> {
    let found = found(target);
    let text = target.as_os_str().as_bytes();
    for source in sources {
        let stat = guest.stat(source).await?;
        let is_directory = stat.file_type == "directory";
        let goes = decide(source, is_directory, sources.len(), text, found)?;
        let (parent, name) = match (goes, last_component(source)) {
            (Goes::Inside, Some(name)) => (target.to_path_buf(), name),
            (Goes::There, _) if found == Found::Directory => {
                let directory = HostDirectory::open(target).map_err(unwritable(target))?;
                tree(guest, show, source.clone(), directory, None).await?;
                continue;
            }
            _ => {
                let parent = match target.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                let name = target.file_name().unwrap_or_default().as_bytes();
                (parent.to_path_buf(), name)
            }
        };
        let directory = HostDirectory::open(&parent).map_err(unwritable(&parent))?;
        one(guest, show, source, &stat, &directory, name).await?;
    }
    Ok(())
}

async fn one(
    guest: &GuestFiles<'_>,
    show: Show,
    source: &[u8],
    stat: &FileStat,
    directory: &Rc<HostDirectory>,
    name: &[u8],
) -> Result<(), Fault> {
    if stat.file_type != "directory" {
        return leaf(guest, show, source, stat, directory, name).await;
    }
    let label = Path::new(OsStr::from_bytes(name));
    let inner = directory.enter(name).map_err(unwritable(label))?;
    tree(guest, show, source.to_vec(), inner, Some(stat)).await
}

/// Anything but a directory.
async fn leaf(
    guest: &GuestFiles<'_>,
    show: Show,
    source: &[u8],
    stat: &FileStat,
    directory: &Rc<HostDirectory>,
    name: &[u8],
) -> Result<(), Fault> {
    let failed = unwritable(Path::new(OsStr::from_bytes(name)));
    match stat.file_type.as_str() {
        "regular" => file(guest, source, directory, name).await,
        "symlink" => directory.link(name, &stat.target.0).map_err(failed),
        _ => {
            let path = String::from_utf8_lossy(source);
            show.note(&format!("{path} is not a file: left out"));
            Ok(())
        }
    }
}

/// A directory that is to be filled, or was.
enum Work {
    Fill(Vec<u8>, Rc<HostDirectory>, usize),
    Finish(Rc<HostDirectory>, u32, i64),
}

async fn tree(
    guest: &GuestFiles<'_>,
    show: Show,
    source: Vec<u8>,
    directory: Rc<HostDirectory>,
    stat: Option<&FileStat>,
) -> Result<(), Fault> {
    let mut waiting = Vec::new();
    if let Some(stat) = stat {
        waiting.push(Work::Finish(directory.clone(), stat.mode, stat.modified));
    }
    waiting.push(Work::Fill(source, directory, 0));
    while let Some(work) = waiting.pop() {
        match work {
            Work::Finish(directory, mode, modified) => directory
                .finish(mode, modified)
                .map_err(unwritable(Path::new("a directory")))?,
            Work::Fill(path, _, depth) if depth > DEEPEST => {
                let path = String::from_utf8_lossy(&path).into_owned();
                let message = format!("{path} is more than {DEEPEST} directories deep");
                return Err(Fault::new(FaultCode::Guest, message));
            }
            Work::Fill(path, directory, depth) => {
                fill(guest, show, &path, &directory, depth, &mut waiting).await?;
            }
        }
    }
    Ok(())
}

/// Takes over a directory's entries, except for the directories in it, which are left to do.
async fn fill(
    guest: &GuestFiles<'_>,
    show: Show,
    path: &[u8],
    directory: &Rc<HostDirectory>,
    depth: usize,
    waiting: &mut Vec<Work>,
) -> Result<(), Fault> {
    let mut after = ByteText::default();
    loop {
        let (entries, more) = guest.list(path, &after).await?;
        if let Some(last) = entries.last() {
            after = last.name.clone();
        }
        let (directories, others): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.stat.file_type == "directory");
        futures_util::stream::iter(others)
            .map(|entry| async move {
                let source = join(path, &entry.name.0);
                leaf(guest, show, &source, &entry.stat, directory, &entry.name.0).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        for Entry { name, stat } in directories {
            let label = Path::new(OsStr::from_bytes(&name.0));
            let inner = directory.enter(&name.0).map_err(unwritable(label))?;
            waiting.push(Work::Finish(inner.clone(), stat.mode, stat.modified));
            waiting.push(Work::Fill(join(path, &name.0), inner, depth + 1));
        }
        if !more {
            return Ok(());
        }
    }
}

async fn file(
    guest: &GuestFiles<'_>,
    source: &[u8],
    directory: &Rc<HostDirectory>,
    name: &[u8],
) -> Result<(), Fault> {
    let failed = |error| unwritable(Path::new(OsStr::from_bytes(name)))(error);
    let (stat, body) = guest.get(source).await?;
    let mut new = directory.begin().map_err(failed)?;
    write(body, &mut new.file, name).await?;
    new.publish(name, stat.mode, stat.modified).map_err(failed)
}

async fn write(mut body: Incoming, into: &mut impl Write, name: &[u8]) -> Result<(), Fault> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::from(Unanswered::Lost(error)))?;
        if let Some(data) = frame.data_ref() {
            into.write_all(data)
                .map_err(unwritable(Path::new(OsStr::from_bytes(name))))?;
        }
    }
    Ok(())
}

fn found(target: &Path) -> Found {
    match target.metadata() {
        Ok(found) if found.is_dir() => Found::Directory,
        Ok(_) => Found::File,
        // A link that leads nowhere is replaced like a file.
        Err(_) if target.symlink_metadata().is_ok() => Found::File,
        Err(_) => Found::Nothing,
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Fault {
    let path = path.display().to_string();
    move |error| Fault::new(FaultCode::Failed, format!("cannot write {path}: {error}"))
}
