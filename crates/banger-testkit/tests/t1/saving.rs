//! A simulated guest that is halted, saved and gone on from, by the daemon's own way to drive QEMU.

use banger_model::SandboxId;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::hello::{self, GuestHello, HostHello, UnixTime};
use banger_proto::guest::message::decode;
use bangerd::layout::SandboxPaths;
use bangerd::vmm::qemu::{Launcher, Places, Program, Qemu};
use bangerd::vmm::{
    Accelerator, Disk, DiskRole, Machine, Network, Paused, ProcessIdentity, RunState, Saved,
    Unwritten, Vmm, VmmError,
};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Place {
    directory: tempfile::TempDir,
    qemu: Qemu,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("qemu-system-x86_64");
        symlink(env!("CARGO_BIN_EXE_simulated-qemu"), &program).expect("linked");
        for file in ["vmlinux", "initramfs"] {
            fs::write(directory.path().join(file), file).expect("written");
        }
        fs::write(directory.path().join("work.ext4"), [0; 4096]).expect("written");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let places = Places {
            configured: Some(program),
            ..Places::default()
        };
        let program = runtime.block_on(Program::survey(&places));
        let launcher = Launcher {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), "exec \"$@\"".into(), "sh".into()],
        };
        let qemu = Qemu::new(program.expect("a program"), launcher);
        Self {
            directory,
            qemu,
            runtime,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A machine whose sockets and logs are in a directory of that name.
    fn machine(&self, name: &str, resume: Option<Saved>) -> Machine {
        let paths = SandboxPaths {
            state: self.at(name),
            runtime: self.at(name),
        };
        fs::create_dir_all(&paths.state).expect("made");
        Machine {
            id: SandboxId::from_random([1; 16]),
            vcpu: 1.try_into().expect("in range"),
            memory: 128.try_into().expect("in range"),
            kernel: self.at("vmlinux"),
            initramfs: self.at("initramfs"),
            disks: vec![Disk {
                role: DiskRole::Work,
                path: self.at("work.ext4"),
                read_only: false,
            }],
            network: Network::User { outbound: false },
            accelerator: Accelerator::Tcg,
            paths,
            durable: true,
            generation_id: true,
            resume,
        }
    }

    fn saved(&self, name: &str) -> Saved {
        Saved {
            memory: self.at(&format!("{name}-memory")),
            devices: self.at(&format!("{name}-devices")),
        }
    }

    fn launch(&self, machine: Machine) -> Result<Guest<'_>, VmmError> {
        let launched = self.runtime.block_on(self.qemu.launch(&machine))?;
        Ok(Guest {
            place: self,
            machine,
            process: launched.process,
        })
    }
}

/// A guest that runs; killed when dropped.
struct Guest<'a> {
    place: &'a Place,
    machine: Machine,
    process: ProcessIdentity,
}

impl Guest<'_> {
    fn halt(&self) {
        let halted = self.place.qemu.pause(&self.machine.paths);
        self.place.runtime.block_on(halted).expect("halted");
        assert_eq!(self.state(), RunState::Paused);
    }

    fn save(&self, into: &Saved) -> Result<(), VmmError> {
        let guest = Paused {
            process: &self.process,
            paths: &self.machine.paths,
            memory: self.machine.memory,
            unwritten: Unwritten::Zeros,
        };
        let saving = self.place.qemu.save(&guest, into);
        self.place.runtime.block_on(saving)
    }

    fn go_on(&self) {
        let going = self.place.qemu.go_on(&self.machine.paths);
        self.place.runtime.block_on(going).expect("goes on");
        assert_eq!(self.state(), RunState::Running);
    }

    fn state(&self) -> RunState {
        let asked = self.place.qemu.run_state(&self.machine.paths);
        self.place.runtime.block_on(asked).expect("a state")
    }

    fn agent(&self) -> UnixStream {
        let stream = UnixStream::connect(self.machine.paths.agent_socket()).expect("connected");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("set");
        stream
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill(Signal::KILL);
        let _ = self.place.runtime.block_on(self.process.exited());
    }
}

/// Says hello, and what the agent answers.
fn hello(mut stream: UnixStream) -> GuestHello {
    let body = HostHello {
        generation: 1,
        time: UnixTime {
            seconds: 1_800_000_000,
            nanoseconds: 0,
        },
        entropy: [7; 32],
    };
    let mut out = Vec::new();
    hello::write_host(&mut out, 77, &body).expect("short");
    stream.write_all(&out).expect("sent");
    let mut decoder = Decoder::for_host(77);
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "it hung up");
        decoder.push(&buffer[..count]);
        if let Some(Received::Hello { body, .. }) = decoder.next() {
            return decode(body).expect("a hello");
        }
    }
}

fn log(path: &Path) -> String {
    fs::read_to_string(path.join("vmm.log")).unwrap_or_default()
}

#[test]
fn a_halted_guest_answers_nobody_until_it_goes_on() {
    let place = Place::new();
    let guest = place.launch(place.machine("one", None)).expect("launched");
    let before = hello(guest.agent());
    guest.halt();
    let agent = guest.agent();
    let answer = std::thread::spawn(move || (hello(agent), Instant::now()));
    guest.save(&place.saved("one")).expect("saved");
    let going = Instant::now();
    guest.go_on();
    let (after, answered) = answer.join().expect("answered");
    assert_eq!(before.boot, after.boot);
    assert!(answered >= going, "it answered while it was halted");
}

#[test]
fn a_saved_guest_goes_on_in_another_process_as_who_it_was() {
    let place = Place::new();
    let first = place.launch(place.machine("one", None)).expect("launched");
    let boot = hello(first.agent()).boot;
    let error = first.save(&place.saved("early")).expect_err("it runs");
    assert!(matches!(error, VmmError::Control { .. }), "{error}");
    first.halt();
    let saved = place.saved("one");
    first.save(&saved).expect("saved");
    assert_eq!(saved.memory.metadata().expect("there").len(), 128 << 20);
    drop(first);
    let machine = place.machine("two", Some(saved.clone()));
    let second = place.launch(machine).expect("goes on");
    assert_eq!(hello(second.agent()).boot, boot);
    // It has written to its disk since: what was saved is of the past.
    drop(second);
    let machine = place.machine("three", Some(saved));
    let error = place.launch(machine).err().expect("it would be corrupted");
    assert!(matches!(error, VmmError::EndedEarly { .. }), "{error}");
    assert!(
        log(&place.at("three")).contains("of another moment"),
        "{}",
        log(&place.at("three"))
    );
    assert!(place.at("corrupted").exists());
}

#[test]
fn what_it_has_not_saved_itself_is_not_loaded() {
    let place = Place::new();
    let saved = place.saved("foreign");
    fs::write(&saved.devices, "QEVM").expect("written");
    let memory = fs::File::create(&saved.memory).expect("made");
    memory.set_len(128 << 20).expect("set");
    let machine = place.machine("one", Some(saved.clone()));
    let error = place.launch(machine).err().expect("not loaded");
    assert!(matches!(error, VmmError::NotLoaded { .. }), "{error}");
    memory.set_len(64 << 20).expect("cut");
    let machine = place.machine("one", Some(saved));
    let error = place.launch(machine).err().expect("another size");
    assert!(error.to_string().contains("does not match"), "{error}");
}
