use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn root(path: &Path) -> Root {
    Root::host(path).expect("opened")
}

#[test]
fn a_file_a_link_and_a_directory_are_described() {
    let temp = tempfile::tempdir().expect("temp");
    std::fs::write(temp.path().join("file"), "abc").expect("written");
    symlink("nowhere", temp.path().join("link")).expect("linked");
    let root = root(temp.path());
    let file = stat(&root, b"/file").expect("there");
    assert_eq!((file.file_type, file.size), (FileType::Regular, 3));
    let link = stat(&root, b"/link").expect("not followed");
    assert_eq!(
        (link.file_type, link.target.as_slice()),
        (FileType::Symlink, &b"nowhere"[..])
    );
    assert_eq!(
        stat(&root, b"/").expect("there").file_type,
        FileType::Directory
    );
    let fault = stat(&root, b"/nothing").expect_err("missing");
    assert_eq!(
        fault.message,
        "cannot describe /nothing: no such file or directory"
    );
    assert_eq!(fault.code, FaultCode::NotFound);
}

#[test]
fn directories_are_made_once_with_their_mode_and_not_over_files() {
    let temp = tempfile::tempdir().expect("temp");
    let root = root(temp.path());
    for _ in 0..2 {
        assert_eq!(make_directory(&root, b"/new/", 0o1777), Ok(Answer::Done));
    }
    let mode = std::fs::metadata(temp.path().join("new"))
        .expect("made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o1777);
    assert_eq!(make_directory(&root, b"/", 0o755), Ok(Answer::Done));
    std::fs::write(temp.path().join("file"), "").expect("written");
    let fault = make_directory(&root, b"/file", 0o755).expect_err("a file is there");
    assert_eq!(fault.code, FaultCode::Conflict);
    let fault = make_directory(&root, b"/a/b", 0o755).expect_err("no parent");
    assert_eq!(fault.code, FaultCode::NotFound);
}

#[test]
fn a_link_takes_the_place_of_a_file_and_not_of_a_directory() {
    let temp = tempfile::tempdir().expect("temp");
    let root = root(temp.path());
    std::fs::write(temp.path().join("name"), "").expect("written");
    std::fs::create_dir(temp.path().join("directory")).expect("made");
    assert_eq!(make_symlink(&root, b"/name", b"../to"), Ok(Answer::Done));
    assert_eq!(
        std::fs::read_link(temp.path().join("name")).expect("a link"),
        Path::new("../to")
    );
    let fault = make_symlink(&root, b"/directory", b"to").expect_err("a directory");
    assert_eq!(fault.code, FaultCode::Refused);
    assert_eq!(
        std::fs::read_dir(temp.path()).expect("read").count(),
        2,
        "nothing left behind"
    );
}

#[test]
fn a_long_directory_comes_in_sorted_pages() {
    let temp = tempfile::tempdir().expect("temp");
    let count = 1100;
    for number in 0..count {
        std::fs::write(temp.path().join(format!("{number:05}")), "").expect("written");
    }
    let root = root(temp.path());
    let mut after = Vec::new();
    let mut names = Vec::new();
    loop {
        let Ok(Answer::Entries { entries, more }) = list::list(&root, b"/", &after) else {
            panic!("not listed");
        };
        names.extend(entries.into_iter().map(|entry| entry.name));
        after = names.last().expect("some").clone();
        if !more {
            break;
        }
    }
    assert_eq!(names.len(), count);
    assert!(names.is_sorted());
    let fault = list::list(&root, b"/00001", b"").expect_err("a file");
    assert_eq!(fault.code, FaultCode::Refused);
}

#[test]
fn an_answer_never_grows_beyond_a_message() {
    let temp = tempfile::tempdir().expect("temp");
    let target = "x".repeat(4000);
    for number in 0..400 {
        symlink(&target, temp.path().join(format!("{number:0200}"))).expect("linked");
    }
    let Ok(Answer::Entries { entries, more }) = list::list(&root(temp.path()), b"/", b"") else {
        panic!("not listed");
    };
    assert!(more && !entries.is_empty() && entries.len() < 400);
}
