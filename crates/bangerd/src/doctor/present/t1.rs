//! What is put there on purpose is seen, with what tells whose it is.

use super::*;
use banger_proto::owner::doctor::Kind;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

fn look(directory: &Path) -> Look {
    let at = |name: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(&path).expect("made");
        path
    };
    Look {
        layout: Layout {
            config: at("c"),
            state: at("s"),
            cache: at("k"),
            runtime: at("r"),
        },
        common: vec![at("tmp")],
        own: vec![at("tmp/banger-doctor-own")],
    }
}

fn find<'a>(present: &'a Present, kind: Kind, end: &str) -> Option<&'a Seen> {
    let mut seen = present.seen.iter();
    seen.find(|seen| seen.thing.kind == kind && seen.thing.name.ends_with(end))
}

#[test]
fn files_sockets_ports_and_processes_are_seen_with_their_holders() {
    let directory = tempfile::tempdir().expect("a directory");
    let look = look(directory.path());
    let layout = &look.layout;
    std::fs::create_dir_all(layout.runtime.join("vm/01234567")).expect("made");
    std::fs::create_dir_all(layout.sandboxes().join("abcd")).expect("made");
    std::fs::write(layout.state.join("notes"), "").expect("written");
    std::fs::create_dir(directory.path().join("tmp/banger-doctor-0-ab")).expect("made");
    std::fs::write(directory.path().join("tmp/banger-x"), "").expect("written");
    std::fs::write(directory.path().join("tmp/other"), "").expect("written");
    let _listens = UnixListener::bind(layout.runtime.join("vm/01234567/qmp.sock")).expect("bound");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").to_string();
    let present = look.present();
    let clue = |kind, end| find(&present, kind, end).map(|seen| seen.clue.clone());
    let runtime = Clue::At(Place::Runtime("01234567".into()));
    assert_eq!(clue(Kind::File, "vm/01234567"), Some(runtime.clone()));
    assert_eq!(
        clue(Kind::File, "abcd"),
        Some(Clue::At(Place::Sandbox("abcd".into())))
    );
    assert_eq!(clue(Kind::File, "notes"), Some(Clue::At(Place::Stray)));
    assert_eq!(clue(Kind::File, "banger-doctor-0-ab"), Some(Clue::Named));
    assert_eq!(clue(Kind::File, "banger-x"), Some(Clue::None));
    assert_eq!(clue(Kind::File, "other"), None);
    assert_eq!(clue(Kind::File, "banger-doctor-own"), None);
    let own = std::process::id();
    let path = layout.runtime.join("vm/01234567/qmp.sock");
    let socket = find(&present, Kind::Socket, path.to_str().expect("text")).expect("seen");
    assert_eq!((socket.pid, &socket.clue), (Some(own), &runtime));
    let port = find(&present, Kind::Port, &format!("{port}/tcp")).expect("seen");
    assert_eq!(port.pid, Some(own));
    let this = present
        .seen
        .iter()
        .find(|seen| seen.thing.kind == Kind::Process && seen.pid == Some(own));
    let Clue::Process {
        program, touches, ..
    } = &this.expect("seen").clue
    else {
        panic!("no process")
    };
    // It is none of banger's programs, whatever it has open.
    assert_eq!(*program, None);
    assert!(
        touches.is_empty() || touches.contains(&Place::Kept),
        "{touches:?}"
    );
}

#[test]
fn a_program_of_ours_is_known_by_what_it_was_started_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let look = look(directory.path());
    // A shell under the name of a VMM, with a machine's path among its arguments.
    let program = directory.path().join("qemu-system-x86_64");
    std::os::unix::fs::symlink("/bin/sh", &program).expect("linked");
    let socket = look.layout.runtime.join("vm/01234567/qmp.sock");
    let mut child = std::process::Command::new(&program)
        .args([
            "-c",
            "read line",
            "-qmp",
            &format!("unix:{},server", socket.display()),
        ])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let present = look.present();
    let seen = present
        .seen
        .iter()
        .find(|seen| seen.pid == Some(child.id()));
    let clue = seen.map(|seen| seen.clue.clone());
    drop(child.stdin.take());
    child.wait().expect("ended");
    let Some(Clue::Process {
        parent,
        program,
        touches,
    }) = clue
    else {
        panic!("not seen: {clue:?}")
    };
    assert_eq!((parent, program), (std::process::id(), Some(Program::Vmm)));
    assert_eq!(touches, [Place::Runtime("01234567".into())].into());
}
