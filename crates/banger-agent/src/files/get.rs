//! Reads a file into a channel, as fast as the host takes it and never further ahead.

use super::describe;
use crate::agent::Shared;
use crate::calls::blocking;
use crate::channels::{Channels, Output};
use crate::fault::{failed, fault, shown};
use crate::link::{Reply, ReplyTo};
use crate::root::{Root, checked};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, FileStat, FileType, GuestFault};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

/// How much is read at once.
const CHUNK: usize = 128 * 1024;

/// Gets a file: answers, then sends its bytes up to its end, wherever that is when it is reached
/// (a file may grow or shrink, and those of `/proc` have no size). An error on the way closes the
/// stream without an end.
pub(crate) async fn get(agent: Rc<Shared>, path: Vec<u8>, channels: Rc<Channels>, reply: ReplyTo) {
    match begin(&agent, path).await {
        Err(fault) => reply.send(Reply::Answer(Err(fault))),
        Ok((file, stat)) => {
            channels.finish(Output::Stderr);
            channels.conclude(Vec::new());
            reply.send(Reply::Answer(Ok(Answer::File(stat))));
            if send(file, &channels).await.is_err() {
                reply.send(Reply::Broken);
            }
        }
    }
}

async fn begin(agent: &Shared, path: Vec<u8>) -> Result<(OwnedFd, FileStat), GuestFault> {
    let root = agent.world.root().await?;
    blocking(move || open(&root, &path)).await
}

fn open(root: &Root, path: &[u8]) -> Result<(OwnedFd, FileStat), GuestFault> {
    let path = checked(path)?;
    let open = || {
        // Looks first: opening a device can do things.
        let seen = root.open(path, OFlags::PATH, Mode::empty())?;
        let stat = describe(&rustix::fs::fstat(&seen)?, || Err(Errno::LOOP))?;
        if stat.file_type != FileType::Regular {
            return Ok(None);
        }
        let file = root.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let stat = describe(&rustix::fs::fstat(&file)?, || Err(Errno::LOOP))?;
        Ok(Some((file, stat)))
    };
    let name = shown(path);
    let opened = open().map_err(|errno| failed(format_args!("read {name}"), errno))?;
    let regular = opened.filter(|(_, stat)| stat.file_type == FileType::Regular);
    regular.ok_or_else(|| {
        fault(
            FaultCode::Refused,
            format_args!("cannot read {name}: it is no regular file"),
        )
    })
}

async fn send(file: OwnedFd, channels: &Channels) -> Result<(), GuestFault> {
    let file = Arc::new(file);
    loop {
        let room = channels.room(Output::Stdout).min(CHUNK);
        if room == 0 {
            channels.wait_for_room(Output::Stdout).await;
            continue;
        }
        let file = Arc::clone(&file);
        let chunk = blocking(move || {
            let mut chunk = vec![0; room];
            let count = rustix::io::read(&*file, &mut chunk).map_err(|e| failed("read", e))?;
            chunk.truncate(count);
            Ok(chunk)
        });
        let chunk = chunk.await?;
        if chunk.is_empty() {
            channels.finish(Output::Stdout);
            return Ok(());
        }
        channels.produce(Output::Stdout, &chunk);
    }
}
