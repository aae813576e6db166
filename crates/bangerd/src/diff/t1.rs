//! Real file systems, made by e2fsprogs.

use super::fixtures::{Place, debugfs, lines, run, system, work};
use super::{DiffError, Disks, compare};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn image(place: &Place) -> PathBuf {
    let files = [
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/motd", "hello\n"),
        ("etc/link", "->hosts"),
        ("usr/share/doc/one", "1"),
        ("usr/share/doc/two", "2"),
        ("usr/share/man/three", "3"),
        ("root/.profile", "hidden by the work disk"),
        ("run/", ""),
    ];
    place.disk("image", &files)
}

#[test]
fn a_sandbox_that_has_written_nothing_is_the_image() {
    let place = Place::new();
    let image = image(&place);
    let none = Disks::default();
    assert_eq!(lines(&run(&image, &none, &none).expect("read")), [""; 0]);
    // Made and never started: nothing is laid over the image yet, and `lost+found` is nobody's.
    let after = Disks {
        system: Some(place.disk("system", &[])),
        work: Some(place.disk("work", &[])),
        ..Disks::default()
    };
    assert_eq!(lines(&run(&image, &none, &after).expect("read")), [""; 0]);
}

#[test]
fn what_was_added_changed_and_removed_is_told_with_what_of_it() {
    let place = Place::new();
    let image = image(&place);
    let over = [
        ("etc/hosts", "127.0.0.1 localhosT\n"),
        ("etc/motd", "hello\n"),
        ("etc/link", "->motd"),
        ("etc/new", "new"),
        ("srv/deep/down/file", "x"),
        ("usr/share/", ""),
    ];
    let disk = place.system("system", &over);
    debugfs(
        &disk,
        "sif upper/etc/motd mode 0100600\nsif upper/etc/motd uid 1000\ncd upper/usr/share\nmknod doc c 0 0\n\
         sif doc mode 020000\n",
    );
    let changes = run(&image, &Disks::default(), &system(&disk)).expect("read");
    let expected = [
        "M /etc/hosts Content",
        "M /etc/link Target",
        "M /etc/motd Mode Owner",
        "A /etc/new",
        "A /srv",
        "A /srv/deep",
        "A /srv/deep/down",
        "A /srv/deep/down/file",
        "D /usr/share/doc",
        "D /usr/share/doc/one",
        "D /usr/share/doc/two",
    ];
    assert_eq!(lines(&changes), expected);
    assert_eq!(changes.counts, [5, 3, 3]);
    let hosts = &changes.listed[0];
    assert_eq!((hosts.size_before, hosts.size), (Some(20), Some(20)));
    // The other way round, added and removed change places.
    let back = run(&image, &system(&disk), &Disks::default()).expect("read");
    assert_eq!(back.counts, [3, 3, 5]);
}

#[test]
fn a_directory_that_was_replaced_or_renamed_is_the_one_that_it_is_now() {
    let place = Place::new();
    let image = image(&place);
    let over = [("usr/share/doc/four", "4"), ("usr/books/", "")];
    let disk = place.system("system", &over);
    debugfs(
        &disk,
        "ea_set upper/usr/share/doc trusted.overlay.opaque y\n\
         ea_set upper/usr/books trusted.overlay.redirect /usr/share/man\n\
         cd upper/usr/share\nmknod man c 0 0\nsif man mode 020000\n",
    );
    let changes = run(&image, &Disks::default(), &system(&disk)).expect("read");
    let expected = [
        "A /usr/books",
        "A /usr/books/three",
        "A /usr/share/doc/four",
        "D /usr/share/doc/one",
        "D /usr/share/doc/two",
        "D /usr/share/man",
        "D /usr/share/man/three",
    ];
    assert_eq!(lines(&changes), expected);
}

#[test]
fn a_file_that_became_another_kind_and_one_with_attributes_are_changed() {
    let place = Place::new();
    let image = image(&place);
    let over = [
        ("etc/motd/", ""),
        ("etc/motd/inside", "x"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
    ];
    let disk = place.system("system", &over);
    debugfs(
        &disk,
        "ea_set upper/etc/hosts user.note x\nea_set upper/etc trusted.overlay.origin x\n",
    );
    let changes = run(&image, &Disks::default(), &system(&disk)).expect("read");
    let expected = [
        "M /etc/hosts Attributes",
        "M /etc/motd Type",
        "A /etc/motd/inside",
    ];
    assert_eq!(lines(&changes), expected);
}

#[test]
fn against_a_snapshot_only_what_was_done_since_is_told() {
    let place = Place::new();
    let image = image(&place);
    let was = place.system(
        "was",
        &[("etc/hosts", "one"), ("etc/kept", "k"), ("tmp/gone", "g")],
    );
    let is = place.copy(&was, "is");
    let content = place.file("content", b"two");
    debugfs(
        &is,
        &format!(
            "cd upper/etc\nrm hosts\nwrite {} hosts\nsif hosts mode 0100644\ncd ../tmp\nrm gone\nmkdir new\n",
            content.display()
        ),
    );
    let changes = run(&image, &system(&was), &system(&is)).expect("read");
    let told = lines(&changes);
    assert!(told[0].starts_with("M /etc/hosts Content"), "{told:?}");
    assert_eq!(told[1..], ["D /tmp/gone", "A /tmp/new"]);
    // What the snapshot had over the image is no change since.
    assert_eq!(
        lines(&run(&image, &system(&is), &system(&is)).expect("read")),
        [""; 0]
    );
}

#[test]
fn only_what_is_older_than_the_snapshot_and_has_the_same_metadata_is_not_read() {
    let place = Place::new();
    let image = image(&place);
    let was = place.system("was", &[("etc/secret", "first words")]);
    let is = place.copy(&was, "is");
    // Written to its block, nothing of its metadata tells.
    let mut bytes = std::fs::read(&is).expect("read");
    let mut blocks = bytes.chunks_mut(4096);
    let block = blocks.find(|block| block.starts_with(b"first words"));
    block.expect("its block")[..5].copy_from_slice(b"other");
    std::fs::write(&is, bytes).expect("written");
    for (taken_at, told) in [(0, 1), (1000, 1), (1 << 40, 0)] {
        let was = Disks {
            taken_at,
            ..system(&was)
        };
        let changes = run(&image, &was, &system(&is)).expect("read");
        assert_eq!(changes.listed.len(), told, "{taken_at}: {changes:?}");
    }
}

#[test]
fn the_work_disk_is_compared_with_nothing_or_with_the_one_before() {
    let place = Place::new();
    let image = image(&place);
    let was = place.disk("was", &[("src/main.rs", "fn main() {}"), ("notes", "n")]);
    let changes = run(&image, &Disks::default(), &work(&was)).expect("read");
    let expected = ["A /root/notes", "A /root/src", "A /root/src/main.rs"];
    assert_eq!(lines(&changes), expected);
    let is = place.copy(&was, "is");
    debugfs(&is, "rm notes\nmkdir lost+found/found\n");
    let changes = run(&image, &work(&was), &work(&is)).expect("read");
    assert_eq!(
        lines(&changes),
        ["A /root/lost+found/found", "D /root/notes"]
    );
}

#[test]
fn large_files_and_holes_are_compared_by_their_bytes() {
    use std::os::unix::fs::FileExt;
    let place = Place::new();
    let make = |name: &str, at: u64| {
        let path = place.at("sparse");
        let file = std::fs::File::create(&path).expect("made");
        file.set_len(9_000_001).expect("set");
        file.write_all_at(b"x", at).expect("written");
        file.write_all_at(&[0; 4096], 1 << 20).expect("written");
        let disk = place.disk(name, &[]);
        debugfs(
            &disk,
            &format!("write {} sparse\nsif sparse mode 0100644\n", path.display()),
        );
        disk
    };
    let image = image(&place);
    let [one, same, other, last] = [
        ("1", 5_000_000),
        ("2", 5_000_000),
        ("3", 5_000_001),
        ("4", 9_000_000),
    ]
    .map(|(n, at)| make(n, at));
    let compared = |two| lines(&run(&image, &work(&one), &work(two)).expect("read"));
    assert_eq!(compared(&same), [""; 0]);
    assert_eq!(compared(&other), ["M /root/sparse Content"]);
    assert_eq!(compared(&last), ["M /root/sparse Content"]);
}

#[test]
fn what_only_the_journal_holds_is_read_and_the_disk_is_not_written_to() {
    let place = Place::new();
    let image = image(&place);
    let was = place.disk("was", &[("notes", "before")]);
    let is = place.copy(&was, "is");
    // The new content's blocks go into the journal alone, as those of metadata do.
    let later = place.copy(&was, "later");
    debugfs(&later, "mkdir made-later\n");
    let blocks = differing_blocks(&was, &later);
    assert!(blocks.len() > 3, "{blocks:?}");
    for (number, block) in &blocks {
        let file = place.file(&format!("block-{number}"), block);
        debugfs(
            &is,
            &format!("jo -c\njw -b {number} {}\njc\n", file.display()),
        );
    }
    let bytes = std::fs::read(&is).expect("read");
    let changes = run(&image, &work(&was), &work(&is)).expect("read");
    assert_eq!(lines(&changes), ["A /root/made-later"]);
    assert!(std::fs::read(&is).expect("read") == bytes);
}

/// Blocks of the second disk that are not as in the first.
fn differing_blocks(one: &PathBuf, other: &PathBuf) -> Vec<(usize, Vec<u8>)> {
    let [one, other] = [one, other].map(|path| std::fs::read(path).expect("read"));
    let pairs = one.chunks(4096).zip(other.chunks(4096)).enumerate();
    pairs
        .filter(|(_, (one, other))| one != other)
        .map(|(number, (_, block))| (number, block.to_vec()))
        .collect()
}

#[test]
fn a_comparison_ends_with_its_time_and_with_the_wish() {
    let place = Place::new();
    let image = image(&place);
    let none = Disks::default();
    let over = system(&place.system("system", &[("a", "b")]));
    let token = CancellationToken::new();
    let late = compare(&image, &none, &over, Duration::ZERO, token.clone());
    assert!(matches!(late, Err(DiffError::TooLong { .. })), "{late:?}");
    token.cancel();
    let unwanted = compare(&image, &none, &over, Duration::from_secs(60), token);
    assert!(matches!(unwanted, Err(DiffError::Unwanted)), "{unwanted:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::new();
    let gone = system(&place.at("gone"));
    let error = run(&image(&place), &gone, &gone).expect_err("nothing there");
    assert!(error.to_string().contains("gone"), "{error}");
}
