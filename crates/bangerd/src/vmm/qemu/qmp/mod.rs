//! QEMU's control socket: the machine protocol, as far as it is used.
//!
//! One JSON object per line. The server greets, the client turns capabilities off, then each
//! command gets one answer; events come in between at any time and are passed over, since what
//! they tell is learnt from the process itself. QEMU serves one client at a time: a connection is
//! made for each use and dropped after it.
//!
//! A guest may have taken over its QEMU, so lines are bounded and every exchange has a limit on
//! its time.

mod line;
mod message;

pub use message::{Loading, RunState, Version};

use line::Lines;
use message::{Answer, Incoming};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

pub use line::LONGEST_LINE;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// Nobody listens.
    #[error("nobody answers on {socket}")]
    Connect {
        /// The socket.
        socket: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The other end went away.
    #[error("qemu closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// A line is longer than [`LONGEST_LINE`].
    #[error("qemu sent a line of more than {LONGEST_LINE} bytes")]
    TooLong,
    /// A line is not what the protocol allows there.
    #[error("qemu sent what is not an answer: {0}")]
    Strange(String),
    /// A path is not UTF-8, as JSON is.
    #[error("the path {path} is not UTF-8, in which qemu is told of it")]
    NotText {
        /// The path, as far as it can be shown.
        path: String,
    },
    /// The command was refused.
    #[error("qemu refused {command}: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// What QEMU said.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("qemu did not answer {command} within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The command, or `the greeting`.
        command: &'static str,
        /// The limit.
        limit: Duration,
    },
}

/// A connection on which commands can be given.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines<UnixStream>,
    limit: Duration,
    version: Version,
    last_id: u64,
}

impl Qmp {
    /// Connects to the socket and goes through the greeting. `limit` holds for that, and for each
    /// command after it.
    ///
    /// # Errors
    /// `Connect` when nobody listens; otherwise as the exchange goes wrong.
    pub async fn connect(socket: &Path, limit: Duration) -> Result<Self, QmpError> {
        let stream = UnixStream::connect(socket).await;
        let stream = stream.map_err(|source| QmpError::Connect {
            socket: socket.display().to_string(),
            source,
        })?;
        Self::greet(stream, limit).await
    }

    /// Goes through the greeting on a connection that is there.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn greet(stream: UnixStream, limit: Duration) -> Result<Self, QmpError> {
        let mut lines = Lines::of(stream);
        let version = within(limit, "the greeting", async {
            match Incoming::parse(&lines.next().await?)? {
                Incoming::Greeting(version) => Ok(version),
                other => Err(QmpError::Strange(format!(
                    "{other:?} instead of a greeting"
                ))),
            }
        })
        .await?;
        let mut qmp = Self {
            lines,
            limit,
            version,
            last_id: 0,
        };
        qmp.command("qmp_capabilities").await?;
        Ok(qmp)
    }

    /// The version that the greeting told.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Whether the guest's processors run.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn query_status(&mut self) -> Result<RunState, QmpError> {
        let answer = self.command("query-status").await?;
        RunState::of(&answer).ok_or_else(|| QmpError::Strange(clip(&answer.to_string())))
    }

    /// Presses the power button (ACPI).
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn system_powerdown(&mut self) -> Result<(), QmpError> {
        self.command("system_powerdown").await.map(drop)
    }

    /// Lets the processors run on; writes that paused them are tried again first.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn cont(&mut self) -> Result<(), QmpError> {
        self.command("cont").await.map(drop)
    }

    /// Makes a disk so many bytes large, a multiple of 512: the file of its node is cut or becomes longer,
    /// and the guest is told.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn block_resize(&mut self, node: &str, bytes: u64) -> Result<(), QmpError> {
        let arguments = json!({ "node-name": node, "size": bytes });
        let resized = self.command_with("block_resize", arguments);
        resized.await.map(drop)
    }

    /// Halts the processors; what they wrote to disks is flushed to their files before the answer comes.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn stop(&mut self) -> Result<(), QmpError> {
        self.command("stop").await.map(drop)
    }

    /// What `info ramblock` prints for people: the only way to learn where the guest's memory is.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn ram_blocks(&mut self) -> Result<String, QmpError> {
        let arguments = json!({ "command-line": "info ramblock" });
        let answer = self
            .command_with("human-monitor-command", arguments)
            .await?;
        let text = answer.as_str().map(str::to_owned);
        text.ok_or_else(|| QmpError::Strange(clip(&answer.to_string())))
    }

    /// Writes the state of processors and devices to a file, without the memory; the guest has to stand
    /// still. The command was made for Xen, whose memory is not QEMU's, and is in every build.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn save_devices(&mut self, into: &Path) -> Result<(), QmpError> {
        // Without `live` the machine counts as migrated away.
        let arguments = json!({ "filename": text(into)?, "live": true });
        let saved = self.command_with("xen-save-devices-state", arguments);
        saved.await.map(drop)
    }

    /// Begins to load the state of processors and devices, in a QEMU that was started to expect one.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn load_devices(&mut self, from: &Path) -> Result<(), QmpError> {
        // In parts: in an URI a comma would be the beginning of an offset.
        let address = json!({ "transport": "file", "filename": text(from)?, "offset": 0 });
        let channel = json!({ "channel-type": "main", "addr": address });
        let loading = self.command_with("migrate-incoming", json!({ "channels": [channel] }));
        loading.await.map(drop)
    }

    /// How far the loading is.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn loaded(&mut self) -> Result<Loading, QmpError> {
        let answer = self.command("query-migrate").await?;
        Loading::of(&answer).ok_or_else(|| QmpError::Strange(clip(&answer.to_string())))
    }

    /// Ends the process; it may be gone before its answer arrives.
    ///
    /// # Errors
    /// As the exchange goes wrong.
    pub async fn quit(mut self) -> Result<(), QmpError> {
        match self.command("quit").await {
            Ok(_) | Err(QmpError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives one command without arguments and waits for its answer.
    async fn command(&mut self, command: &'static str) -> Result<Value, QmpError> {
        self.command_with(command, json!({})).await
    }

    /// Gives one command and waits for its answer.
    async fn command_with(
        &mut self,
        command: &'static str,
        arguments: Value,
    ) -> Result<Value, QmpError> {
        self.last_id += 1;
        let id = self.last_id;
        let lines = &mut self.lines;
        within(self.limit, command, async {
            let request = json!({ "execute": command, "arguments": arguments, "id": id });
            let request = format!("{request}\r\n");
            lines
                .stream()
                .write_all(request.as_bytes())
                .await
                .map_err(closed_or_failed)?;
            loop {
                match Incoming::parse(&lines.next().await?)? {
                    Incoming::Event(name) => tracing::trace!(name, "qemu event"),
                    // An answer to a command whose time had run out.
                    Incoming::Answer(answered, _) if answered < id => {}
                    Incoming::Answer(answered, answer) if answered == id => {
                        return answer_of(command, answer);
                    }
                    other => return Err(QmpError::Strange(clip(&format!("{other:?}")))),
                }
            }
        })
        .await
    }
}

/// A path as JSON can say it.
fn text(path: &Path) -> Result<&str, QmpError> {
    path.to_str().ok_or_else(|| {
        let path = path.display().to_string();
        QmpError::NotText { path }
    })
}

fn answer_of(command: &'static str, answer: Answer) -> Result<Value, QmpError> {
    match answer {
        Answer::Return(value) => Ok(value),
        Answer::Error(reason) => Err(QmpError::Refused {
            command,
            reason: clip(&reason),
        }),
    }
}

async fn within<T>(
    limit: Duration,
    command: &'static str,
    exchange: impl Future<Output = Result<T, QmpError>>,
) -> Result<T, QmpError> {
    match timeout_at(Instant::now() + limit, exchange).await {
        Ok(result) => result,
        Err(_) => Err(QmpError::TimedOut { command, limit }),
    }
}

fn closed_or_failed(error: std::io::Error) -> QmpError {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match error.kind() {
        BrokenPipe | ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

/// At most this many characters of what QEMU said go into a message, without control characters.
fn clip(text: &str) -> String {
    const MOST: usize = 200;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MOST).collect()
}

#[cfg(test)]
mod tests;
