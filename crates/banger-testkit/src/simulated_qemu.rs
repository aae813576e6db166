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
//! | `forgetful` | works, but cannot be told that it has gone on from saved memory |
//! | `old-agent` | works as far as an agent of generation 1 does that runs no commands |
//! | `lying-dial` | connects to every port, and announces a datagram that is too long |
//! | `memory-hog` | answers the hello, then sends without credit |
//!
//! While there is a file `io-error` beside the program its guests are paused, as after a write that
//! found no room; letting one go on removes it.
//!
//! A guest can be halted, saved and gone on from as a real one: its agent stands still, its memory is real
//! memory of this process, and what is saved of its devices is its host name and what its agent knows. What its
//! commands had begun is not saved. See [`machine`].

mod control;
mod devices;
mod machine;
mod memory;
mod moment;
mod options;

use crate::scripted_agent::{self, Dials};
use crate::simulated_disks::SimulatedDisks;
use banger_agent::{Machine, Root, World};
use banger_proto::fault::FaultCode;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::frame::{self, Kind};
use banger_proto::guest::hello::{self, GUEST_MAGIC, GuestHello, HostHello};
use banger_proto::guest::message::{
    Configure, Configured, GrowDisk, GuestFault, InitState, Resumed,
};
use control::Control;
use machine::Simulated;
use memory::Memory;
use options::Options;
use std::io::{Read, Write};
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
    let options = Options::of(arguments);
    let memory = match &options.memory_file {
        None => Ok(Memory::empty(options.memory)),
        Some(file) => Memory::of_file(file, options.memory),
    };
    let memory = match memory {
        Ok(memory) => memory,
        Err(error) => {
            eprintln!("qemu: {error}");
            return ExitCode::FAILURE;
        }
    };
    let agent = UnixListener::bind(options.agent).expect("the agent's port");
    let control = UnixListener::bind(options.control).expect("the control socket");
    let corrupted = program.with_file_name("corrupted");
    let machine = Simulated::new(memory, options.incoming, options.disks, corrupted);
    let machine = Arc::new(machine);
    let go_on = program.with_file_name("go-on");
    let end = match scenario.as_str() {
        "deaf" => End::Never,
        "lingers" => End::Once(go_on.clone()),
        _ => End::AtOnce,
    };
    let disks = Arc::new(SimulatedDisks::of(arguments, scenario == "fixed-disks"));
    let answers = Control {
        machine: Arc::clone(&machine),
        disks: Arc::clone(&disks),
        end: end.clone(),
        no_room: program.with_file_name("io-error"),
    };
    std::thread::spawn(move || answers.serve(&control));
    let host = Host {
        end,
        resumes: scenario != "forgetful",
        machine,
        disks,
    };
    match scenario.as_str() {
        "waits" => {
            until_there(&go_on);
            serve(agent, host);
        }
        "" | "deaf" | "lingers" | "fixed-disks" | "forgetful" => serve(agent, host),
        "old-agent" => serve_script(&agent, Dials::Unknown),
        "lying-dial" => serve_script(&agent, Dials::Absurdly),
        other => misbehave(&agent, other),
    }
    ExitCode::SUCCESS
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
    /// Whether it can be told that it goes on from saved memory.
    resumes: bool,
    machine: Arc<Simulated>,
    disks: Arc<SimulatedDisks>,
}

impl Host {
    fn remembers(&self) -> Result<(), GuestFault> {
        let message = "it has forgotten how".to_owned();
        let code = FaultCode::Failed;
        self.resumes
            .then_some(())
            .ok_or(GuestFault { code, message })
    }
}

impl Machine for Host {
    fn greet(&self, _: &HostHello) {}

    fn configure(&self, _: &Root, wanted: &Configure) -> Result<Configured, GuestFault> {
        println!("simulated guest {} is configured", wanted.hostname);
        self.machine.set_hostname(&wanted.hostname);
        Ok(Configured {
            init_started: false,
            kernel_release: "0.0.0-simulated".into(),
            warnings: vec![],
        })
    }

    fn resume(&self, _: &Root, wanted: &Resumed) -> Result<Configured, GuestFault> {
        let name = &wanted.configure.hostname;
        self.remembers()?;
        println!("simulated guest {name} has resumed");
        self.machine.set_hostname(name);
        Ok(Configured {
            init_started: false,
            kernel_release: "0.0.0-simulated".into(),
            warnings: vec![],
        })
    }

    fn settle(&self, _: &Root) {}

    fn leave_network(&self) -> Result<(), GuestFault> {
        self.remembers()
    }

    fn init_state(&self, _: &Root) -> InitState {
        InitState::None
    }

    fn prepare_to_resume(&self, _: &Root) {}

    fn sync(&self) {}

    fn grow(&self, _: &Root, disk: GrowDisk) -> Result<u64, GuestFault> {
        Ok(self.disks.look(disk))
    }

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

/// Serves a guest that is never halted.
#[cfg(test)]
pub(crate) fn serve_agent(listener: UnixListener, end: End) {
    let host = Host {
        end,
        resumes: true,
        machine: Arc::new(Simulated::without_anything()),
        disks: Arc::default(),
    };
    serve(listener, host);
}

fn serve(listener: UnixListener, host: Host) {
    let root = Root::host(Path::new("/")).expect("the host's root");
    let beginning = host.machine.until_it_runs();
    let beside = Arc::clone(&host.machine);
    let world = World::new(root, Arc::new(host));
    let beside = async move { beside.stand_still_when_asked().await };
    let served = banger_agent::serve_beside(listener, world, beginning, beside);
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
