//! The list of recorded machines.

use super::error::Error;
use super::figure::{Figure, Unit};
use super::{milliseconds, process, repeat};
use crate::World;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How many there are.
const MACHINES: usize = 50;
/// By this argument the program becomes the bare mechanism: [`get`].
pub const GET_VERB: &str = "__get";

/// Measures it.
///
/// # Errors
/// When a machine is missing in a list.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::real();
    for index in 0..MACHINES {
        let name = format!("recorded-{index}");
        let _ = world
            .run(["vm", "create", "--no-start", "--name", &name])
            .good();
    }
    let (mut running, mut all, mut bare) = (vec![], vec![], vec![]);
    let mut once = |kept: bool| {
        let took = [
            listed(&mut world.banger(["ps"]), 0)?,
            listed(&mut world.banger(["ps", "-a"]), MACHINES)?,
            listed(&mut bare_get(&world)?, MACHINES)?,
        ];
        if kept {
            running.push(took[0]);
            all.push(took[1]);
            bare.push(took[2]);
        }
        Ok(())
    };
    once(false)?;
    repeat("ps", count, |_| once(true))?;
    let running = milliseconds("ps", &running)?;
    let all = milliseconds("ps -a", &all)?;
    let bare = milliseconds("GET", &bare)?;
    let goal = |figure: Figure| figure.with_goal(None, Some(15.0));
    let ms = Unit::Milliseconds;
    Ok(vec![
        goal(Figure::new("ps.50", ms, &running, Some(&bare))),
        goal(Figure::new("ps.50.all", ms, &all, Some(&bare))),
    ])
}

/// Times a list and demands that it names this many of our machines.
///
/// # Errors
/// When it fails or names another number of them.
pub(super) fn listed(command: &mut Command, wanted: usize) -> Result<Duration, Error> {
    let ran = process::run_for_output(command)?;
    let text = String::from_utf8_lossy(&ran.output);
    let named = text.matches("recorded-").count();
    if named != wanted {
        return Err(Error::wrong(format!(
            "{command:?} named {named} machines of {wanted}: {text}"
        )));
    }
    Ok(ran.took)
}

fn bare_get(world: &World) -> Result<Command, Error> {
    let own = std::env::current_exe().map_err(Error::io("find this program"))?;
    let mut command = Command::new(own);
    command
        .arg(GET_VERB)
        .arg(world.socket())
        .arg("/v1/sandboxes");
    Ok(command)
}

/// The bare mechanism: one connection, one request, and what comes back goes to standard output.
///
/// # Errors
/// When the daemon does not answer with 200.
pub fn get(socket: &Path, path: &str) -> Result<(), Error> {
    let mut connection = UnixStream::connect(socket)
        .map_err(Error::io(format!("connect to {}", socket.display())))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: banger\r\nConnection: close\r\n\r\n");
    let written = connection.write_all(request.as_bytes());
    written.map_err(Error::io("ask the daemon"))?;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    read.map_err(Error::io("read the daemon's answer"))?;
    let body = body(&answer).ok_or_else(|| {
        let text = String::from_utf8_lossy(&answer).into_owned();
        Error::wrong(format!("{path} was answered with {text}"))
    })?;
    let printed = std::io::stdout().write_all(body);
    printed.map_err(Error::io("print the answer"))
}

/// The body of an answer that is 200.
fn body(answer: &[u8]) -> Option<&[u8]> {
    let answer = answer.strip_prefix(b"HTTP/1.1 200 ")?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    answer.get(end + 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n[]"), Some(&b"[]"[..]));
        assert_eq!(body(b"HTTP/1.1 404 Not Found\r\n\r\n[]"), None);
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(body(b""), None);
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_list_with_a_machine_missing_is_an_error() {
            let echo = |text: &str| {
                let mut command = Command::new("echo");
                command.arg(text);
                command
            };
            assert!(listed(&mut echo("recorded-1 recorded-2"), 2).is_ok());
            assert!(listed(&mut echo("recorded-1"), 2).is_err());
        }

        #[test]
        fn a_daemon_that_is_not_there_is_an_error() {
            assert!(get(Path::new("/no/such/socket"), "/v1/sandboxes").is_err());
        }
    }
}
