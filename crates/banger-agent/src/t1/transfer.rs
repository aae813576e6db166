use super::exec::noise;
use super::host::{Host, Outcome};
use super::{Guest, Talk, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::frame::Kind;
use banger_proto::guest::message::{Answer, Call, FileType, STDIN, decode};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn put(host: &mut Host, stream: u32, path: &str, bytes: &[u8]) -> Outcome {
    let path = path.as_bytes().to_vec();
    host.call(
        stream,
        &Call::Put {
            path,
            mode: 0o640,
            modified: Some(1_000_000),
        },
    );
    let mut talk = Talk::with_input(bytes);
    talk.feed(host, stream).expect("sent");
    loop {
        match host.next().expect("connected") {
            (_, Kind::Answer, payload) => return decode(&payload).expect("an answer"),
            (_, Kind::Credit, payload) => {
                let credit = banger_proto::guest::flow::Credit::from_bytes(&payload);
                let credit = credit.expect("a credit");
                talk.input
                    .credit(credit.acked, credit.limit)
                    .expect("possible");
                talk.feed(host, stream).expect("sent");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn get(host: &mut Host, stream: u32, path: &str) -> (Outcome, Vec<u8>) {
    host.call(stream, &Call::Get(path.as_bytes().to_vec()));
    let outcome = host.answer(stream);
    let mut talk = Talk::default();
    if outcome.is_ok() {
        talk.open(host, stream).expect("sent");
        while talk.ends < 2 {
            assert!(talk.step(host, stream).expect("connected"));
        }
    }
    (outcome, talk.stdout)
}

#[test]
fn a_file_comes_back_as_it_was_put_with_mode_and_time() {
    let guest = Guest::start();
    let mut host = guest.connect();
    for (stream, size) in [(1, 0), (3, 1), (5, 3 << 20)] {
        let bytes = noise(size);
        assert_eq!(put(&mut host, stream, "/file", &bytes), Ok(Answer::Done));
        let meta = std::fs::metadata(guest.root.path().join("file")).expect("there");
        assert_eq!(
            (meta.permissions().mode() & 0o7777, meta.mtime()),
            (0o640, 1_000_000)
        );
        let (outcome, got) = get(&mut host, stream + 1, "file");
        assert!(got == bytes, "{} of {size} bytes", got.len());
        let Ok(Answer::File(stat)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            (stat.file_type, stat.size),
            (FileType::Regular, size as u64)
        );
    }
}

fn names(guest: &Guest) -> Vec<String> {
    let entries = std::fs::read_dir(guest.root.path()).expect("read");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("read")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_put_that_ends_early_leaves_the_old_file_and_nothing_else() {
    let guest = Guest::start();
    std::fs::write(guest.root.path().join("file"), "old").expect("written");
    let begin = |host: &mut Host| {
        host.call(
            1,
            &Call::Put {
                path: b"/file".to_vec(),
                mode: 0o600,
                modified: None,
            },
        );
        host.send(1, Kind::Data, &[&[STDIN], b"new"]).expect("sent");
        eventually("a temporary file", || names(&guest).len() == 3);
    };
    let mut host = guest.connect();
    begin(&mut host);
    host.send(1, Kind::Close, &[]).expect("sent");
    eventually("its removal after a close", || {
        names(&guest) == ["agent.sock", "file"]
    });
    begin(&mut host);
    drop(host);
    eventually("its removal after a lost connection", || {
        names(&guest) == ["agent.sock", "file"]
    });
    let mut host = guest.connect_as(2, b"");
    begin(&mut host);
    let _again = Host::over(host.stream.try_clone().expect("cloned"), 3, b"");
    eventually("its removal after a new hello", || {
        names(&guest) == ["agent.sock", "file"]
    });
    assert_eq!(
        std::fs::read_to_string(guest.root.path().join("file")).expect("read"),
        "old"
    );
}

#[test]
fn what_cannot_be_put_or_got_is_refused_with_the_reason() {
    let guest = Guest::start();
    std::fs::create_dir(guest.root.path().join("directory")).expect("made");
    let mut host = guest.connect();
    let cases = [
        (
            "/directory",
            FaultCode::Refused,
            "cannot write /directory: is a directory",
        ),
        (
            "/no/file",
            FaultCode::NotFound,
            "cannot write /no/file: no such file or directory",
        ),
        ("", FaultCode::BadRequest, "not a path: \"\""),
    ];
    for (stream, (path, code, message)) in (1..).zip(cases) {
        let fault = put(&mut host, stream, path, b"x").expect_err("refused");
        assert_eq!((fault.code, fault.message.as_str()), (code, message));
    }
    let cases = [
        (
            "/directory",
            FaultCode::Refused,
            "cannot read /directory: it is no regular file",
        ),
        (
            "/agent.sock",
            FaultCode::Refused,
            "cannot read /agent.sock: it is no regular file",
        ),
        (
            "/nothing",
            FaultCode::NotFound,
            "cannot read /nothing: no such file or directory",
        ),
    ];
    for (stream, (path, code, message)) in (10..).zip(cases) {
        let fault = get(&mut host, stream, path).0.expect_err("refused");
        assert_eq!((fault.code, fault.message.as_str()), (code, message));
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_to_its_end() {
    let guest = Guest::start();
    let path = guest.root.path().join("file");
    std::fs::write(&path, vec![1; 2 << 20]).expect("written");
    let mut host = guest.connect();
    host.call(1, &Call::Get(b"/file".to_vec()));
    assert!(host.answer(1).is_ok());
    // No credit yet: at most a window of it was read.
    let mut file = std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("opened");
    std::io::Write::write_all(&mut file, &[2; 1000]).expect("appended");
    let mut talk = Talk::default();
    talk.open(&mut host, 1).expect("sent");
    while talk.ends < 2 {
        assert!(talk.step(&mut host, 1).expect("connected"));
    }
    assert_eq!(talk.stdout.len(), (2 << 20) + 1000);
}
