use super::*;
use std::path::Path;
use std::sync::Arc;

fn shell<'a>(arguments: &'a [&'a str], limit: Duration) -> Program<'a> {
    Program {
        path: "/bin/sh",
        arguments,
        environment: &[("BANGER_NAME", "box")],
        limit,
    }
}

const LONG: Duration = Duration::from_secs(20);

fn root() -> Root {
    Root::host(Path::new("/")).expect("opened")
}

fn failed(why: &str) -> Result<(), Failure> {
    Err(Failure::Failed(why.to_owned()))
}

#[test]
fn a_program_has_its_environment_and_its_failure_is_described() {
    let background = Background::default();
    let turn = background.interrupt();
    let work = background.work(turn).expect("nothing else began");
    let run = |script| work.run(&root(), &shell(&["-c", script], LONG));
    assert_eq!(run("test \"$BANGER_NAME $HOME\" = 'box /root'"), Ok(()));
    assert_eq!(run("exit 3"), failed("/bin/sh exited with 3"));
    assert_eq!(run("kill -9 $$"), failed("/bin/sh was ended by signal 9"));
    let nothing = Program {
        path: "/nowhere/hook",
        ..shell(&[], LONG)
    };
    let expected = failed("cannot run /nowhere/hook: no such file or directory");
    assert_eq!(work.run(&root(), &nothing), expected);
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_its_children() {
    let background = Background::default();
    let turn = background.interrupt();
    let work = background.work(turn).expect("nothing else began");
    let temp = tempfile::tempdir().expect("temp");
    let fifo = temp.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("made");
    // Its child has the other end for as long as it lives.
    let script = format!("exec 3<>{0}; sleep 60 & wait", fifo.display());
    let limit = Duration::from_millis(300);
    let outcome = work.run(&root(), &shell(&["-c", &script], limit));
    assert_eq!(outcome, failed("/bin/sh took longer than 0 s"));
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    crate::t1::eventually("the end of the child", || {
        let opened = rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty());
        opened.err() == Some(rustix::io::Errno::NXIO)
    });
}

#[test]
fn another_turn_ends_what_runs_and_nothing_of_the_earlier_one_follows() {
    let background = Arc::new(Background::default());
    let turn = background.interrupt();
    let temp = tempfile::tempdir().expect("temp");
    let started = temp.path().join("started");
    let script = format!(": > {}; sleep 60", started.display());
    let behind = Arc::clone(&background);
    let worker = std::thread::spawn(move || {
        let work = behind.work(turn).expect("nothing else began");
        let first = work.run(&root(), &shell(&["-c", &script], LONG));
        (first, work.run(&root(), &shell(&["-c", ":"], LONG)))
    });
    crate::t1::eventually("the program's start", || started.exists());
    let next = background.interrupt();
    assert!(background.work(turn).is_none(), "its turn is over");
    let interrupted = Err(Failure::Interrupted);
    let outcomes = worker.join().expect("not panicked");
    assert_eq!(outcomes, (interrupted, Err(Failure::Interrupted)));
    let work = background.work(next).expect("it is its turn");
    assert_eq!(work.run(&root(), &shell(&["-c", ":"], LONG)), Ok(()));
}
