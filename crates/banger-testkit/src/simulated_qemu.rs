//! A program that takes QEMU's arguments, answers on its control socket, and serves the real agent on
//! the guest's port. Commands of that "guest" run on the host as the test's user.
//!
//! How it behaves is in the file `scenario` beside the program (a link, in a test's own directory):
//!
//! | scenario | what it does |
//! |---|---|
//! | (none) | a guest that works |
//! | `refuses` | ends at once with QEMU's words for a locked disk |
//! | `dies` | ends as soon as the host says hello |
//! | `silent` | takes the connection and never answers |
//! | `garbage` | answers the hello with endless garbage |
//! | `endless-frame` | answers the hello, then begins a frame and drips its bytes |
//! | `waits` | works once there is a file `go-on` beside the program |
//! | `lingers` | works, and powers off once there is that file |
//! | `deaf` | works, but does not power off: neither when asked nor by its button |
//! | `fixed-disks` | works, but makes no disk larger |
//! | `old-agent` | works as far as an agent of generation 1 does that runs no commands |
//! | `lying-dial` | connects to every port, and announces a datagram that is too long |
//! | `memory-hog` | answers the hello, then sends without credit |
//!
//! While there is a file `io-error` beside the program its guests are paused, as after a write that
//! found no room; letting one go on removes it.

use crate::scripted_agent::{self, Dials};
use crate::simulated_disks::SimulatedDisks;
use banger_agent::{Machine, Root, World};
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::frame::{self, Kind};
use banger_proto::guest::hello::{self, GUEST_MAGIC, GuestHello, HostHello};
use banger_proto::guest::message::{
    Configure, Configured, GrowDisk, GuestFault, InitState, Resumed,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The program: `arguments` without the program's name.
///
/// # Panics
/// When the arguments are none that the real one would take.
#[must_use]
pub fn main(program: &Path, arguments: &[String]) -> ExitCode {
    if arguments
        .iter()
        .any(|argument| argument == "--version" || argument == "-version")
    {
        println!("QEMU emulator version 10.0.2 (simulated)");
        return ExitCode::SUCCESS;
    }
    let file = program.parent().expect("a directory").join("scenario");
    let scenario = std::fs::read_to_string(file)
        .unwrap_or_default()
        .trim()
        .to_owned();
    if scenario == "refuses" {
        eprintln!("qemu: Failed to get \"write\" lock\nIs another process using the image?");
        return ExitCode::FAILURE;
    }
    let sockets = socket_paths(arguments);
    let agent = UnixListener::bind(sockets.agent).expect("the agent's port");
    let control = UnixListener::bind(sockets.control).expect("the control socket");
    let go_on = program.with_file_name("go-on");
    let end = match scenario.as_str() {
        "deaf" => End::Never,
        "lingers" => End::Once(go_on.clone()),
        _ => End::AtOnce,
    };
    let disks = Arc::new(SimulatedDisks::of(arguments, scenario == "fixed-disks"));
    let told = Told {
        paused: program.with_file_name("io-error"),
        asked: end.clone(),
        disks: Arc::clone(&disks),
    };
    std::thread::spawn(move || serve_control(&control, &told));
    match scenario.as_str() {
        "waits" => {
            until_there(&go_on);
            serve_agent(agent, end, disks);
        }
        "" | "deaf" | "lingers" | "fixed-disks" => serve_agent(agent, end, disks),
        "old-agent" => serve_script(&agent, Dials::Unknown),
        "lying-dial" => serve_script(&agent, Dials::Absurdly),
        other => misbehave(&agent, other),
    }
    ExitCode::SUCCESS
}

struct Sockets {
    agent: PathBuf,
    control: PathBuf,
}

/// Finds both sockets among the options, wherever the driver put them.
fn socket_paths(arguments: &[String]) -> Sockets {
    let path_in = |mark: &str| {
        let paths = arguments.iter().flat_map(|argument| {
            argument
                .replace(",,", "\u{1}")
                .split(',')
                .map(|o| o.replace('\u{1}', ","))
                .collect::<Vec<_>>()
        });
        let strip = |option: &str| {
            let path = option
                .strip_prefix("path=")
                .or(option.strip_prefix("unix:"))?;
            path.ends_with(mark).then(|| PathBuf::from(path))
        };
        let found = paths.filter_map(|option| strip(&option)).next();
        found.unwrap_or_else(|| panic!("no socket {mark} in {arguments:?}"))
    };
    Sockets {
        agent: path_in("agent.sock"),
        control: path_in("qmp.sock"),
    }
}

/// What commands on the control socket are about.
struct Told {
    /// The guest is paused while there is this file.
    paused: PathBuf,
    asked: End,
    disks: Arc<SimulatedDisks>,
}

fn serve_control(listener: &UnixListener, told: &Told) {
    std::thread::scope(|scope| {
        for connection in listener.incoming().flatten() {
            // A client that leaves ends its connection.
            scope.spawn(|| drop(answer_control(connection, told)));
        }
    });
}

fn answer_control(mut connection: UnixStream, told: &Told) -> std::io::Result<()> {
    let paused = &told.paused;
    let version = r#"{"qemu":{"micro":2,"minor":0,"major":10},"package":"simulated"}"#;
    writeln!(
        connection,
        r#"{{"QMP":{{"version":{version},"capabilities":[]}}}}"#
    )?;
    for line in BufReader::new(connection.try_clone()?).lines() {
        let command: serde_json::Value = serde_json::from_str(&line?)?;
        let id = command
            .get("id")
            .map(|id| format!(r#","id":{id}"#))
            .unwrap_or_default();
        let answer = match command["execute"].as_str() {
            Some("query-status") if paused.exists() => r#"{"status":"io-error","running":false}"#,
            Some("query-status") => r#"{"status":"running","running":true}"#,
            Some("query-version") => version,
            Some("block_resize") => match told.disks.resize(&command["arguments"]) {
                Ok(()) => "{}",
                Err(why) => {
                    let error = serde_json::json!({ "class": "GenericError", "desc": why });
                    writeln!(connection, r#"{{"error":{error}{id}}}"#)?;
                    continue;
                }
            },
            _ => "{}",
        };
        writeln!(connection, r#"{{"return":{answer}{id}}}"#)?;
        match command["execute"].as_str() {
            Some("system_powerdown") if matches!(told.asked, End::AtOnce) => end(),
            Some("quit") => end(),
            Some("cont") if paused.exists() => std::fs::remove_file(paused)?,
            _ => {}
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a VMM ends at once, whatever its threads do"
)]
fn end() -> ! {
    std::process::exit(0)
}

/// When a guest ends that is asked to.
#[derive(Debug, Clone)]
pub(crate) enum End {
    AtOnce,
    Once(PathBuf),
    Never,
}

fn until_there(file: &Path) {
    while !file.exists() {
        pause();
    }
}

/// The host as a guest: nothing of it is changed.
struct Host {
    end: End,
    disks: Arc<SimulatedDisks>,
}

impl Machine for Host {
    fn greet(&self, _: &HostHello) {}

    fn configure(&self, _: &Root, wanted: &Configure) -> Result<Configured, GuestFault> {
        println!("simulated guest {} is configured", wanted.hostname);
        Ok(Configured {
            init_started: false,
            kernel_release: "0.0.0-simulated".into(),
            warnings: vec![],
        })
    }

    fn resume(&self, _: &Root, wanted: &Resumed) -> Result<Configured, GuestFault> {
        println!("simulated guest {} goes on", wanted.configure.hostname);
        Ok(Configured {
            init_started: false,
            kernel_release: "0.0.0-simulated".into(),
            warnings: vec![],
        })
    }

    fn settle(&self, _: &Root) {}

    fn init_state(&self, _: &Root) -> InitState {
        InitState::None
    }

    fn grow(&self, _: &Root, disk: GrowDisk) -> Result<u64, GuestFault> {
        Ok(self.disks.look(disk))
    }

    fn sync(&self) {}

    fn power_off(&self) {
        match &self.end {
            End::AtOnce => end(),
            End::Never => {}
            End::Once(file) => {
                until_there(file);
                end();
            }
        }
    }
}

pub(crate) fn serve_agent(listener: UnixListener, end: End, disks: Arc<SimulatedDisks>) {
    let root = Root::host(Path::new("/")).expect("the host's root");
    let host = Arc::new(Host { end, disks });
    let served = banger_agent::serve_on(listener, World::new(root, host));
    served.expect("connections");
}

fn serve_script(listener: &UnixListener, dials: Dials) {
    for mut connection in listener.incoming().flatten() {
        // A host that leaves ends its connection.
        if let Ok(true) = scripted_agent::serve(&mut connection, dials) {
            end();
        }
    }
}

/// Plays a guest that breaks the rules, in every connection.
fn misbehave(listener: &UnixListener, scenario: &str) {
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else {
            continue;
        };
        let Some(nonce) = read_hello(&mut connection) else {
            continue;
        };
        if scenario == "dies" {
            eprintln!("simulated guest: panic");
            return;
        }
        // The host gives a guest like this up: its end of the connection breaks.
        let _broken = play(&mut connection, scenario, nonce);
    }
}

fn read_hello(connection: &mut UnixStream) -> Option<u64> {
    let mut decoder = Decoder::for_guest();
    let mut bytes = [0; 4096];
    loop {
        let count = connection
            .read(&mut bytes)
            .ok()
            .filter(|count| *count > 0)?;
        decoder.push(&bytes[..count]);
        if let Some(Received::Hello { nonce, .. }) = decoder.next() {
            return Some(nonce);
        }
    }
}

fn play(connection: &mut UnixStream, scenario: &str, nonce: u64) -> std::io::Result<()> {
    let garbage = [0x55; 65_536];
    match scenario {
        "garbage" => loop {
            connection.write_all(&garbage)?;
        },
        "endless-frame" => {
            connection.write_all(&hello(nonce))?;
            connection.write_all(&[
                frame::MARKER,
                Kind::Answer as u8,
                0xff,
                0xff - 16,
                1,
                0,
                0,
                0,
            ])?;
            loop {
                connection.write_all(&[0])?;
                pause();
            }
        }
        "memory-hog" => {
            connection.write_all(&hello(nonce))?;
            let mut flood = Vec::new();
            for _ in 0..16 {
                frame::write(
                    &mut flood,
                    hello::epoch(nonce),
                    1,
                    Kind::Data,
                    &[&[1], &garbage[..60_000]],
                )
                .map_err(std::io::Error::other)?;
            }
            loop {
                connection.write_all(&flood)?;
            }
        }
        // Silent: keeps the connection and says nothing.
        _ => loop {
            pause();
        },
    }
}

fn hello(nonce: u64) -> Vec<u8> {
    let hello = GuestHello {
        generation: 1,
        version: "liar".into(),
        boot: [0; 16],
        configured: true,
    };
    let mut bytes = Vec::new();
    hello::write(&mut bytes, GUEST_MAGIC, nonce, &hello).expect("short");
    bytes
}

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "a slow guest is slow")]
    std::thread::sleep(Duration::from_millis(100));
}
