//! Requests straight to a world's daemon, without the command line: for what is asked often, or timed.

use crate::World;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long the daemon may take for one answer before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer, and how long it took from before the connection was made.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status line's code.
    pub status: u16,
    /// The body as it came, with its transfer coding taken off.
    pub body: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(io::Error::other)
    }

    /// The last of an operation's events.
    ///
    /// # Errors
    /// When there is none: the daemon went away before the operation ended.
    pub fn last_event(&self) -> io::Result<serde_json::Value> {
        let mut lines = self.body.split(|byte| *byte == b'\n');
        let last = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
        let event: serde_json::Value = serde_json::from_slice(last).map_err(io::Error::other)?;
        match event["event"].as_str() {
            Some("done" | "failed") => Ok(event),
            other => Err(io::Error::other(format!("the last event is {other:?}"))),
        }
    }
}

/// Sends one request with JSON, or without content, over a connection of its own; reads the whole
/// answer.
///
/// # Errors
/// When nobody listens, or the daemon goes away before it has answered.
pub fn request(
    world: &World,
    method: &str,
    path: &str,
    content: Option<&serde_json::Value>,
) -> io::Result<Answer> {
    let content = content.map(ToString::to_string).unwrap_or_default();
    send(world, method, path, content.as_bytes())
}

/// As [`request`], with any content.
///
/// # Errors
/// As [`request`].
pub fn send(world: &World, method: &str, path: &str, content: &[u8]) -> io::Result<Answer> {
    let begun = Instant::now();
    let mut connection = UnixStream::connect(world.socket())?;
    connection.set_read_timeout(Some(LIMIT))?;
    let length = content.len();
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nHost: banger\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )?;
    connection.write_all(content)?;
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes)?;
    let answer = parse(&bytes).ok_or_else(|| {
        let told = String::from_utf8_lossy(&bytes).into_owned();
        io::Error::other(format!("no whole answer: {told:?}"))
    })?;
    Ok(Answer {
        took: begun.elapsed(),
        ..answer
    })
}

/// Asks for something.
///
/// # Errors
/// As [`request`].
pub fn get(world: &World, path: &str) -> io::Result<Answer> {
    request(world, "GET", path, None)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |wanted: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    };
    let rest = &bytes[end + 4..];
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some("chunked"), _) => chunks(rest)?,
        (_, Some(length)) => rest.get(..length.parse().ok()?)?.to_vec(),
        _ => rest.to_vec(),
    };
    Some(Answer {
        status,
        body,
        took: Duration::ZERO,
    })
}

/// What is in chunks (RFC 9112 section 7.1), when the last of them has come.
fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let chunk = rest.get(end + 2..end + 2 + size)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").expect("whole");
        assert_eq!((plain.status, plain.body.as_slice()), (404, &b"{}"[..]));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let whole = format!("{head}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
        assert_eq!(parse(whole.as_bytes()).expect("whole").body, b"abcd");
        for cut in [&whole[..whole.len() - 7], &whole[..20], ""] {
            assert!(parse(cut.as_bytes()).is_none(), "{cut:?}");
        }
    }

    #[test]
    fn an_operation_that_has_no_last_event_has_not_ended() {
        let answer = |body: &str| Answer {
            status: 200,
            body: body.into(),
            took: Duration::ZERO,
        };
        let done = answer("{\"event\":\"stage\"}\n{\"event\":\"done\",\"result\":1}\n\n");
        assert_eq!(done.last_event().expect("ended")["result"], 1);
        assert!(answer("{\"event\":\"stage\"}\n").last_event().is_err());
        assert!(answer("").last_event().is_err());
    }
}
