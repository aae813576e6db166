//! The control socket of the simulated QEMU: each command that the driver gives, with QEMU's answer.

use super::machine::{Runs, Simulated};
use super::{End, end};
use crate::simulated_disks::SimulatedDisks;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What commands are answered from.
pub(super) struct Control {
    pub(super) machine: Arc<Simulated>,
    pub(super) disks: Arc<SimulatedDisks>,
    /// When it ends that is asked to.
    pub(super) end: End,
    /// While this file is there, the guest waits for room.
    pub(super) no_room: PathBuf,
}

impl Control {
    /// Serves everybody who connects.
    pub(super) fn serve(&self, listener: &UnixListener) {
        std::thread::scope(|scope| {
            for connection in listener.incoming().flatten() {
                // A client that leaves ends its connection.
                scope.spawn(|| drop(self.converse(connection)));
            }
        });
    }

    fn converse(&self, mut connection: UnixStream) -> std::io::Result<()> {
        let greeting = json!({ "QMP": { "version": version(), "capabilities": [] } });
        tell(&mut connection, &greeting)?;
        for line in BufReader::new(connection.try_clone()?).lines() {
            let command: Value = serde_json::from_str(&line?)?;
            let name = command["execute"].as_str().unwrap_or_default();
            let mut answer = match self.answer(name, &command["arguments"]) {
                Ok(value) => json!({ "return": value }),
                Err(why) => json!({ "error": { "class": "GenericError", "desc": why } }),
            };
            if let Some(id) = command.get("id") {
                answer["id"] = id.clone();
            }
            tell(&mut connection, &answer)?;
            match name {
                "system_powerdown" if matches!(self.end, End::AtOnce) => end(),
                "quit" => end(),
                _ => {}
            }
        }
        Ok(())
    }

    fn answer(&self, command: &str, arguments: &Value) -> Result<Value, String> {
        let done = |()| json!({});
        match command {
            "query-status" => Ok(self.status()),
            "query-version" => Ok(version()),
            "block_resize" => self.disks.resize(arguments).map(done),
            "stop" => self.machine.halt().map(done),
            "cont" if self.no_room.exists() => {
                let removed = std::fs::remove_file(&self.no_room);
                removed.map(done).map_err(|error| error.to_string())
            }
            "cont" => self.machine.go_on().map(done),
            "human-monitor-command" if arguments["command-line"] == "info ramblock" => {
                Ok(self.machine.ram_blocks().into())
            }
            "xen-save-devices-state" => {
                let into = arguments["filename"].as_str().ok_or("no filename")?;
                self.machine.save(Path::new(into)).map(done)
            }
            "migrate-incoming" => {
                let file = &arguments["channels"][0]["addr"]["filename"];
                let from = file.as_str().ok_or("no filename")?;
                self.machine.load(Path::new(from)).map(done)
            }
            "query-migrate" => Ok(match self.machine.loaded() {
                None => json!({}),
                Some(Ok(())) => json!({ "status": "completed" }),
                Some(Err(why)) => json!({ "status": "failed", "error-desc": why }),
            }),
            _ => Ok(json!({})),
        }
    }

    fn status(&self) -> Value {
        let (word, running) = match self.machine.runs() {
            _ if self.no_room.exists() => ("io-error", false),
            Runs::Expecting => ("inmigrate", false),
            Runs::Paused => ("paused", false),
            Runs::Running => ("running", true),
        };
        json!({ "status": word, "running": running })
    }
}

/// A line at once, as QEMU does: written piece by piece it would wake its reader for each.
fn tell(connection: &mut UnixStream, message: &Value) -> std::io::Result<()> {
    connection.write_all(format!("{message}\n").as_bytes())
}

fn version() -> Value {
    json!({ "qemu": { "micro": 2, "minor": 0, "major": 10 }, "package": "simulated" })
}
