//! Writes a file from a channel: under a temporary name, then synced and renamed. A transfer that
//! ends early leaves nothing behind.

use super::{refuse_directory, temporary_name};
use crate::agent::Shared;
use crate::calls::blocking;
use crate::channels::Channels;
use crate::fault::{failed, failed_io, shown};
use crate::root::{Root, checked};
use banger_proto::guest::message::{Answer, GuestFault};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The file that is being written; dropped before it is finished, it removes itself.
#[derive(Debug)]
struct Unfinished {
    parent: OwnedFd,
    temporary: Option<Vec<u8>>,
    name: Vec<u8>,
    shown: String,
    file: File,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Somebody else may have removed it, which is as well.
            let _ = rustix::fs::unlinkat(&self.parent, temporary.as_slice(), AtFlags::empty());
        }
    }
}

/// Puts a file.
pub(crate) async fn put(
    agent: Rc<Shared>,
    path: Vec<u8>,
    mode: u32,
    modified: Option<i64>,
    channels: Rc<Channels>,
) -> Result<Answer, GuestFault> {
    let written = write(&agent, path, &channels).await;
    // What still comes of a file that cannot be written is thrown away.
    channels.discard_input();
    let file = written?;
    blocking(move || file.finish(mode, modified)).await
}

async fn write(
    agent: &Shared,
    path: Vec<u8>,
    channels: &Channels,
) -> Result<Unfinished, GuestFault> {
    let root = agent.world.root().await?;
    let mut file = blocking(move || Unfinished::begin(&root, &path)).await?;
    loop {
        let mut chunk = Vec::new();
        let take = |bytes: &[u8]| {
            chunk.extend_from_slice(bytes);
            Ok::<_, std::convert::Infallible>(bytes.len())
        };
        let _ = channels.take_input(take);
        if !chunk.is_empty() {
            file = blocking(move || file.append(&chunk)).await?;
        } else if channels.is_input_over() {
            return Ok(file);
        } else {
            channels.input.notified().await;
        }
    }
}

impl Unfinished {
    fn begin(root: &Root, path: &[u8]) -> Result<Self, GuestFault> {
        let path = checked(path)?;
        let shown = shown(path);
        let begin = || {
            let (parent, name) = root.open_parent(path)?;
            refuse_directory(&parent, name)?;
            let temporary = temporary_name();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = rustix::fs::openat(&parent, temporary.as_slice(), flags, mode)?;
            Ok((parent, name.to_vec(), temporary, File::from(file)))
        };
        let begun = begin().map_err(|errno| failed(format_args!("write {shown}"), errno));
        let (parent, name, temporary, file) = begun?;
        Ok(Self {
            parent,
            temporary: Some(temporary),
            name,
            shown,
            file,
        })
    }

    fn append(mut self, bytes: &[u8]) -> Result<Self, GuestFault> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| failed_io(format_args!("write {}", self.shown), &error))?;
        Ok(self)
    }

    fn finish(mut self, mode: u32, modified: Option<i64>) -> Result<Answer, GuestFault> {
        let finished = self.place(mode, modified);
        finished.map_err(|errno| failed(format_args!("write {}", self.shown), errno))?;
        Ok(Answer::Done)
    }

    fn place(&mut self, mode: u32, modified: Option<i64>) -> rustix::io::Result<()> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode & 0o7777))?;
        if let Some(seconds) = modified {
            let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
            let times = Timestamps {
                last_access: time(0, UTIME_OMIT),
                last_modification: time(seconds, 0),
            };
            rustix::fs::futimens(&self.file, &times)?;
        }
        rustix::fs::fsync(&self.file)?;
        if let Some(temporary) = &self.temporary {
            let name = self.name.as_slice();
            rustix::fs::renameat(&self.parent, temporary.as_slice(), &self.parent, name)?;
        }
        self.temporary = None;
        Ok(())
    }
}
