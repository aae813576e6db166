//! QMP (the QEMU Machine Protocol) as far as a bare resume needs it: blocking, one command at a time.

use super::super::error::Error;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two questions whether all is loaded, as the daemon asks.
const LOOK: Duration = Duration::from_millis(2);

/// A control connection.
#[derive(Debug)]
pub(super) struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    /// Reads the greeting and leaves negotiation.
    pub(super) fn meet(socket: UnixStream) -> Result<Self, Error> {
        let timed = socket.set_read_timeout(Some(LIMIT));
        timed.map_err(Error::io("set a limit to a socket"))?;
        let mut monitor = Self {
            lines: BufReader::new(socket),
        };
        let _greeting = monitor.line()?;
        monitor.ask("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Loads the state of processors and devices, and lets the guest go on.
    pub(super) fn go_on(&mut self, devices: &Path) -> Result<(), Error> {
        let address = json!({ "transport": "file", "filename": devices, "offset": 0 });
        let channels = json!([{ "channel-type": "main", "addr": address }]);
        self.ask("migrate-incoming", &json!({ "channels": channels }))?;
        let until = Instant::now() + LIMIT;
        loop {
            let answer = self.ask("query-migrate", &json!({}))?;
            match answer["status"].as_str() {
                Some("completed") => break,
                Some("failed") => return Err(Error::wrong(format!("not loaded: {answer}"))),
                _ if Instant::now() >= until => return Err(Error::wrong("it loads for ever")),
                _ => std::thread::park_timeout(LOOK),
            }
        }
        self.ask("cont", &json!({})).map(drop)
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, Error> {
        let request = json!({ "execute": command, "arguments": arguments });
        let sent = writeln!(self.lines.get_mut(), "{request}");
        sent.map_err(Error::io("write to a VMM's control socket"))?;
        loop {
            let line = self.line()?;
            if let Some(error) = line.get("error") {
                return Err(Error::wrong(format!("{command} was refused: {error}")));
            }
            if let Some(answer) = line.get("return") {
                return Ok(answer.clone());
            }
        }
    }

    fn line(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        read.map_err(Error::io("read from a VMM's control socket"))?;
        serde_json::from_str(&line).map_err(|_| Error::wrong(format!("no answer: {line:?}")))
    }
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::thread;

    /// A VMM that answers each line with the next of these.
    fn vmm(answers: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        thread::spawn(move || {
            let mut lines = BufReader::new(theirs);
            for answer in answers {
                writeln!(lines.get_mut(), "{answer}").expect("written");
                lines.read_line(&mut String::new()).expect("read");
            }
        });
        ours
    }

    #[test]
    fn a_guest_goes_on_when_all_is_loaded() {
        let socket = vmm(&[
            r#"{"QMP": {}}"#,
            r#"{"return": {}}"#,
            r#"{"return": {}}"#,
            r#"{"return": {"status": "active"}}"#,
            "{\"event\": \"RESUME\"}\n{\"return\": {\"status\": \"completed\"}}",
            r#"{"return": {}}"#,
        ]);
        let mut monitor = Monitor::meet(socket).expect("met");
        monitor.go_on(Path::new("/devices")).expect("gone on");
    }

    #[test]
    fn what_is_refused_and_what_is_no_answer_is_an_error() {
        let socket = vmm(&[r#"{"QMP": {}}"#, r#"{"error": {"desc": "no"}}"#]);
        let refused = Monitor::meet(socket).expect_err("refused").to_string();
        assert!(
            refused.contains("qmp_capabilities was refused"),
            "{refused}"
        );
        let failed = vmm(&[
            r#"{"QMP": {}}"#,
            r#"{"return": {}}"#,
            r#"{"return": {}}"#,
            r#"{"return": {"status": "failed"}}"#,
        ]);
        let mut monitor = Monitor::meet(failed).expect("met");
        assert!(monitor.go_on(Path::new("/devices")).is_err());
        assert!(Monitor::meet(vmm(&["hello"])).is_err());
    }
}
