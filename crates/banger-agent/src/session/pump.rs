//! Moves bytes between a command's pipes or terminal and its channels.

use super::Session;
use crate::channels::{Channels, Output};
use rustix::io::{Errno, retry_on_intr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// How many frames are offered to one read: together more than a window.
const MOST_FRAMES: usize = 32;
/// How much may come out of a pipe after its command has ended, before what a child that it left
/// behind writes is thrown away: as much as a pipe can hold without privileges.
const REMAINDER: usize = 1024 * 1024;
/// How long a terminal may take to hang up after its leader's end.
const HANGUP: Duration = Duration::from_secs(1);

/// What reading once came to.
enum Step {
    Bytes(usize),
    NothingNow,
    Over,
}

/// How many frames the next read is offered. Bulk is taken in few large reads, because each one
/// wakes the command that waits for room in its pipe; a line of text takes one frame.
fn offer_next(offered: usize, room: usize, read: usize) -> usize {
    match read {
        _ if read == room => (offered * 2).min(MOST_FRAMES),
        _ => (offered * read / room.max(1) + 1).min(MOST_FRAMES),
    }
}

const fn step(result: rustix::io::Result<usize>) -> Step {
    match result {
        Ok(0) => Step::Over,
        Ok(count) => Step::Bytes(count),
        Err(Errno::AGAIN) => Step::NothingNow,
        // A terminal that nobody holds any more gives EIO.
        Err(_) => Step::Over,
    }
}

/// Waits until a file may be read.
async fn readable(file: &AsyncFd<OwnedFd>) {
    if let Ok(mut ready) = file.readable().await {
        ready.clear_ready();
    }
}

/// Reads a command's output for as long as it runs, then what it left behind; after that, what
/// others who hold the pipe write is read and thrown away, so that they neither wait nor die of it.
pub(super) async fn output(session: Rc<Session>, output: Output, file: Rc<AsyncFd<OwnedFd>>) {
    forward(&session, output, &file).await;
    session.channels.finish(output);
    drop(session);
    let mut scratch = [0; 4096];
    loop {
        match step(retry_on_intr(|| {
            rustix::io::read(file.get_ref(), &mut scratch)
        })) {
            Step::Bytes(_) => tokio::task::yield_now().await,
            Step::NothingNow => readable(&file).await,
            Step::Over => return,
        }
    }
}

async fn forward(session: &Session, output: Output, file: &AsyncFd<OwnedFd>) {
    let channels = &session.channels;
    let [stdout_exit, stderr_exit] = &session.exited;
    let exit = if output == Output::Stdout {
        stdout_exit
    } else {
        stderr_exit
    };
    let mut remainder = REMAINDER;
    let mut frames = 1;
    loop {
        let room = channels.room(output);
        if room == 0 {
            channels.wait_for_room(output).await;
            continue;
        }
        let ended = !session.is_running();
        let mut offered = 0;
        let read = channels.produce_with(output, room.min(remainder), frames, |rooms| {
            offered = rooms.iter().map(|room| room.len()).sum();
            retry_on_intr(|| rustix::io::readv(file.get_ref(), rooms))
        });
        if let Ok(count) = read {
            frames = offer_next(frames, offered, count);
        }
        match step(read) {
            Step::Bytes(count) if ended => {
                remainder = remainder.saturating_sub(count);
                if remainder == 0 {
                    return;
                }
            }
            // Lets the link send what there is.
            Step::Bytes(_) => tokio::task::yield_now().await,
            Step::Over => return,
            Step::NothingNow if ended && session.terminal.get().is_none() => return,
            Step::NothingNow if ended => {
                // The terminal's last bytes may still be on their way through its line discipline.
                if tokio::time::timeout(HANGUP, readable(file)).await.is_err() {
                    return;
                }
            }
            Step::NothingNow => tokio::select! {
                () = readable(file) => {}
                () = exit.notified() => {}
            },
        }
    }
}

/// Writes input to a command until it is over, or the command no longer reads.
pub(super) async fn input(channels: Rc<Channels>, file: Rc<AsyncFd<OwnedFd>>, terminal: bool) {
    loop {
        while !channels.has_input() {
            if channels.is_input_over() {
                if terminal {
                    end_of_file(&file).await;
                }
                return;
            }
            channels.input.notified().await;
        }
        match channels.take_input(|bytes| rustix::io::write(file.get_ref(), bytes)) {
            Ok(_) | Err(Errno::INTR) => tokio::task::yield_now().await,
            Err(Errno::AGAIN) => {
                if let Ok(mut ready) = file.writable().await {
                    ready.clear_ready();
                }
            }
            Err(_) => {
                channels.discard_input();
                return;
            }
        }
    }
}

/// Says "no more input" as a terminal says it: by its end-of-file character.
async fn end_of_file(file: &AsyncFd<OwnedFd>) {
    let special = rustix::termios::tcgetattr(file.get_ref());
    let Ok(end) =
        special.map(|attributes| attributes.special_codes[rustix::termios::SpecialCodeIndex::VEOF])
    else {
        return;
    };
    while let Err(Errno::AGAIN | Errno::INTR) = rustix::io::write(file.get_ref(), &[end]) {
        if let Ok(mut ready) = file.writable().await {
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_is_offered_more_and_little_is_offered_little() {
        assert_eq!(offer_next(1, 100, 100), 2);
        assert_eq!(offer_next(MOST_FRAMES, 100, 100), MOST_FRAMES);
        assert_eq!(offer_next(16, 1600, 900), 10);
        assert_eq!(offer_next(16, 1600, 3), 1);
        assert_eq!(offer_next(1, 100, 0), 1);
    }
}
