//! Standard input: which is sent, and the thread that reads it.

use std::fs::FileType;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use tokio::sync::mpsc;

/// What standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A terminal.
    Terminal,
    /// A pipe, a socket or a regular file.
    Data,
    /// Nothing worth sending: closed, `/dev/null`, another device.
    Nothing,
}

/// What the user said about input and terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// `-i`
    pub interactive: bool,
    /// `-t`
    pub terminal: bool,
    /// `-n`
    pub no_stdin: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Input is sent.
    pub stdin: bool,
    /// The command gets a terminal.
    pub terminal: bool,
}

/// The rule, as `docs/cli.md` and the help have it: a pipe, a socket or a file is always sent, a
/// terminal when the command gets one or with `-i`, `/dev/null` and a closed input only with `-i`.
/// A command gets a terminal with `-t`, or when both input and output are terminals and neither
/// `-i` nor `-n` is given.
#[must_use]
pub fn choose(wish: Wish, source: Source, output_is_terminal: bool) -> Choice {
    let both = source == Source::Terminal && output_is_terminal;
    let terminal = wish.terminal || (both && !wish.interactive && !wish.no_stdin);
    let stdin = !wish.no_stdin
        && match source {
            Source::Data => true,
            Source::Terminal => terminal || wish.interactive,
            Source::Nothing => wish.interactive,
        };
    Choice { stdin, terminal }
}

/// What this process's standard input is.
#[must_use]
pub fn survey() -> Source {
    let stdin = std::io::stdin();
    if rustix::termios::isatty(&stdin) {
        return Source::Terminal;
    }
    duplicate()
        .ok()
        .and_then(|fd| std::fs::File::from(fd).metadata().ok())
        .map_or(Source::Nothing, |found| classify(found.file_type()))
}

fn classify(file_type: FileType) -> Source {
    if file_type.is_fifo() || file_type.is_socket() || file_type.is_file() {
        Source::Data
    } else {
        Source::Nothing
    }
}

fn duplicate() -> std::io::Result<OwnedFd> {
    std::io::stdin().as_fd().try_clone_to_owned()
}

/// Reads standard input on a thread of its own: a read cannot be cancelled, and making a shared
/// terminal non-blocking would change it for everybody. The receiver ends with the input.
#[must_use]
pub fn read() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    if let Ok(fd) = duplicate() {
        let mut file = std::fs::File::from(fd);
        std::thread::spawn(move || {
            let mut buffer = vec![0; super::session::CHUNK];
            while let Some(bytes) = next(&mut file, &mut buffer) {
                if sender.blocking_send(bytes).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// An input that fails, as a terminal that has gone, ends.
fn next(file: &mut impl Read, buffer: &mut [u8]) -> Option<Vec<u8>> {
    loop {
        match file.read(buffer) {
            Ok(0) => return None,
            Ok(count) => return buffer.get(..count).map(<[u8]>::to_vec),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Wish = Wish {
        interactive: false,
        terminal: false,
        no_stdin: false,
    };

    #[test]
    fn a_person_at_a_terminal_gets_one_and_a_script_does_not() {
        let at = |source, output| choose(PLAIN, source, output);
        let choice = |stdin, terminal| Choice { stdin, terminal };
        assert_eq!(at(Source::Terminal, true), choice(true, true));
        assert_eq!(at(Source::Terminal, false), choice(false, false));
        assert_eq!(at(Source::Data, true), choice(true, false));
        assert_eq!(at(Source::Data, false), choice(true, false));
        assert_eq!(at(Source::Nothing, true), choice(false, false));
    }

    #[test]
    fn the_options_decide_where_they_are_given() {
        let wish = |i, t, n| Wish {
            interactive: i,
            terminal: t,
            no_stdin: n,
        };
        for source in [Source::Terminal, Source::Data, Source::Nothing] {
            for output in [false, true] {
                let of = |wish| choose(wish, source, output);
                assert!(of(wish(true, false, false)).stdin, "-i");
                assert!(!of(wish(true, false, false)).terminal, "-i alone");
                assert!(of(wish(false, true, false)).terminal, "-t");
                assert!(!of(wish(false, false, true)).stdin, "-n");
                assert!(!of(wish(false, false, true)).terminal, "-n");
            }
        }
    }

    #[test]
    fn the_null_device_is_nothing_and_a_file_is_data() {
        let of = |path: &std::path::Path| {
            let found = std::fs::metadata(path).expect("there");
            classify(found.file_type())
        };
        assert_eq!(of("/dev/null".as_ref()), Source::Nothing);
        let file = tempfile::NamedTempFile::new().expect("file");
        assert_eq!(of(file.path()), Source::Data);
    }

    #[test]
    fn an_input_that_fails_ends() {
        struct Gone;
        impl Read for Gone {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        assert_eq!(next(&mut Gone, &mut [0; 8]), None);
        assert_eq!(next(&mut &b"ab"[..], &mut [0; 8]), Some(b"ab".to_vec()));
    }
}
