use super::*;
use crate::images::entry::{Extent, Meta};
use proptest::prelude::*;

/// One header with its content, padded.
fn member(
    path: &str,
    kind: EntryType,
    content: &[u8],
    change: impl FnOnce(&mut Header),
) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path(path).expect("fits");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(12);
    header.set_size(content.len() as u64);
    change(&mut header);
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend(content);
    all.resize(all.len().next_multiple_of(BLOCK), 0);
    all
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    member(path, EntryType::Regular, content, |_| {})
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = records
        .iter()
        .flat_map(|(key, value)| crate::images::pax::samples::record(key, value))
        .collect();
    member("pax", EntryType::XHeader, &body, |_| {})
}

fn ended(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = parts.concat();
    all.resize(all.len() + 2 * BLOCK, 0);
    all
}

type Read_ = Result<Vec<(Entry, Vec<u8>)>, ArchiveError>;

fn read(bytes: &[u8]) -> Read_ {
    let mut archive = Archive::new(bytes);
    let mut all = Vec::new();
    while let Some(entry) = archive.next()? {
        let mut content = Vec::new();
        archive.content().read_to_end(&mut content)?;
        all.push((entry, content));
    }
    Ok(all)
}

fn only(parts: &[Vec<u8>]) -> (Entry, Vec<u8>) {
    let mut all = read(&ended(parts)).expect("reads");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn content_that_is_not_read_is_skipped() {
    let bytes = ended(&[file("a", &[1; 700]), file("b", b"two")]);
    let mut archive = Archive::new(&bytes[..]);
    assert_eq!(archive.next().expect("reads").expect("is there").path, b"a");
    assert_eq!(archive.next().expect("reads").expect("is there").path, b"b");
    assert!(archive.next().expect("reads").is_none());
    assert_eq!(archive.entries(), 2);
}

#[test]
fn each_kind_is_read() {
    let device = |header: &mut Header| {
        header.set_device_major(5).expect("fits");
        header.set_device_minor(1).expect("fits");
    };
    let link = |header: &mut Header| header.set_link_name("target").expect("fits");
    let sized = |header: &mut Header| header.set_size(4096);
    let numbers = (5, 1);
    let bytes = ended(&[
        member("d/", EntryType::Directory, b"", sized),
        member("s", EntryType::Symlink, b"", link),
        member("h", EntryType::Link, b"", link),
        member("c", EntryType::Char, b"", device),
        member("b", EntryType::Block, b"", device),
        member("p", EntryType::Fifo, b"", |_| {}),
    ]);
    let kinds: Vec<Kind> = read(&bytes)
        .expect("reads")
        .into_iter()
        .map(|(entry, _)| entry.kind)
        .collect();
    let (major, minor) = numbers;
    let expected = [
        Kind::Directory,
        Kind::Symlink(b"target".into()),
        Kind::Hardlink(b"target".into()),
        Kind::Char { major, minor },
        Kind::Block { major, minor },
        Kind::Fifo,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn an_extended_header_holds_for_the_entry_after_it_only() {
    let long = "d/".repeat(300) + "f";
    let records: &[(&str, &[u8])] = &[
        ("path", long.as_bytes()),
        ("uid", b"4000000000"),
        ("mtime", b"7.25"),
        ("SCHILY.xattr.user.note", b"a\nb"),
    ];
    let all = read(&ended(&[
        pax(records),
        file("short", b"x"),
        file("next", b"y"),
    ]))
    .expect("reads");
    let (first, content) = &all[0];
    assert_eq!(
        (&first.path[..], &content[..]),
        (long.as_bytes(), &b"x"[..])
    );
    assert_eq!(
        (first.meta.uid, first.meta.mtime),
        (4_000_000_000, (7, 250_000_000))
    );
    assert_eq!(
        first.meta.xattrs,
        [("user.note".to_owned(), b"a\nb".to_vec())]
    );
    assert_eq!((&all[1].0.path[..], all[1].0.meta.uid), (&b"next"[..], 0));
}

#[test]
fn a_blank_field_is_zero_and_a_time_may_lie_before_1970() {
    let old = |header: &mut Header| {
        let fields = header.as_old_mut();
        fields.uid = [b' '; 8];
        fields.gid = [0; 8];
        fields.mtime = [0xff; 12];
    };
    let (entry, _) = only(&[member("f", EntryType::Regular, b"", old)]);
    assert_eq!(
        (entry.meta.uid, entry.meta.gid, entry.meta.mtime),
        (0, 0, (-1, 0))
    );
}

#[test]
fn long_names_of_gnu_are_read() {
    let long = "x".repeat(180);
    let name = member(
        "././@LongLink",
        EntryType::GNULongName,
        format!("{long}\0").as_bytes(),
        |_| {},
    );
    let link = member(
        "././@LongLink",
        EntryType::GNULongLink,
        format!("{long}y\0").as_bytes(),
        |_| {},
    );
    let (entry, _) = only(&[name, link, member("cut", EntryType::Symlink, b"", |_| {})]);
    assert_eq!(entry.path, long.as_bytes());
    assert_eq!(entry.kind, Kind::Symlink(format!("{long}y").into_bytes()));
}

fn sparse() -> Kind {
    let data = vec![
        Extent {
            offset: 0,
            length: 3,
        },
        Extent {
            offset: 8192,
            length: 2,
        },
    ];
    Kind::File {
        size: 9000,
        data: Some(data),
    }
}

#[test]
fn sparse_files_of_all_formats_have_the_same_map() {
    let size = ("GNU.sparse.size", &b"9000"[..]);
    let in_records = pax(&[size, ("GNU.sparse.map", b"0,3,8192,2")]);
    let one_by_one = pax(&[
        size,
        ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"8192"),
        ("GNU.sparse.numbytes", b"2"),
    ]);
    for header in [in_records, one_by_one] {
        assert_eq!(
            only(&[header, file("f", b"abcde")]),
            (entry_of("f"), b"abcde".to_vec())
        );
    }
    let leading = pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"f"),
        ("GNU.sparse.realsize", b"9000"),
    ]);
    let mut content = b"2\n0\n3\n8192\n2\n".to_vec();
    content.resize(BLOCK, 0);
    content.extend(b"abcde");
    assert_eq!(
        only(&[leading, file("GNUSparseFile.0/f", &content)]),
        (entry_of("f"), b"abcde".to_vec())
    );
    let old = member("f", EntryType::GNUSparse, b"abcde", |header| {
        let gnu = header.as_gnu_mut().expect("is GNU's");
        gnu.sparse[0].set_offset(0);
        gnu.sparse[0].set_length(3);
        gnu.sparse[1].set_offset(8192);
        gnu.sparse[1].set_length(2);
        gnu.set_real_size(9000);
    });
    assert_eq!(only(&[old]), (entry_of("f"), b"abcde".to_vec()));
}

fn entry_of(path: &str) -> Entry {
    let mut meta = Meta::plain(0o644);
    meta.mtime = (12, 0);
    Entry {
        path: path.into(),
        meta,
        kind: sparse(),
    }
}

#[test]
fn a_sparse_map_that_lies_is_damage() {
    for map in ["0,9", "0,3,2,2", "8999,5", "0,3,8192", "x"] {
        let header = pax(&[
            ("GNU.sparse.size", b"9000"),
            ("GNU.sparse.map", map.as_bytes()),
        ]);
        match read(&ended(&[header, file("f", b"abcde")])) {
            Err(ArchiveError::Damaged { .. }) => {}
            // A map that is none at all makes it a plain file.
            Ok(all) => assert_eq!(
                all[0].0.kind,
                Kind::File {
                    size: 5,
                    data: None
                },
                "{map}"
            ),
            Err(other) => panic!("{map}: {other}"),
        }
    }
}

#[test]
fn a_stream_that_ends_early_is_truncated() {
    let whole = ended(&[file("a", &[7; 900]), file("b", b"x")]);
    for cut in [
        100 + BLOCK,
        3 * BLOCK,
        3 * BLOCK + 100,
        4 * BLOCK + 1,
        5 * BLOCK,
    ] {
        let error = read(&whole[..cut]).expect_err("is cut");
        assert!(
            matches!(error, ArchiveError::Truncated { .. }),
            "{cut}: {error}"
        );
    }
}

#[test]
fn what_is_no_tar_is_said_to_be_what_it_is() {
    let mut ext4 = vec![0; 4096];
    ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let cases: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "zip"),
        (b"hello there", "text"),
        (&[0xff; 600], "unknown binary"),
        (b"\x7fELF\x02", "ELF"),
        (b"QFI\xfb", "qcow2"),
        (&ext4, "ext4"),
    ];
    for (bytes, expected) in cases {
        let error = read(bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    for empty in [&[][..], &[0; 1024]] {
        assert!(matches!(read(empty), Err(ArchiveError::Empty)));
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let mut bad_sum = ended(&[file("a", b"x"), file("b", b"y")]);
    bad_sum[2 * BLOCK] ^= 1;
    let too_long = member("x", EntryType::XHeader, b"", |header| {
        header.set_size(1 << 30);
    });
    let cases = [
        (
            bad_sum,
            "after 1 entries there is a header whose checksum is wrong",
        ),
        (ended(&[too_long]), "too long"),
        (
            ended(&[member("p", EntryType::XHeader, b"nonsense", |_| {})]),
            "malformed",
        ),
        (
            ended(&[member("k", EntryType::new(b'~'), b"", |_| {})]),
            "unknown kind '~'",
        ),
    ];
    for (bytes, expected) in cases {
        let error = read(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0_usize..4096, value: u8, repaired: bool) {
        let header = pax(&[("GNU.sparse.size", b"9000"), ("GNU.sparse.map", b"0,3,8192,2")]);
        let mut bytes = ended(&[header, file("f", b"abcde"), file("g", b"x")]);
        let at = at % bytes.len();
        bytes[at] = value;
        let start = at / BLOCK * BLOCK;
        if repaired {
            // With a right checksum the damage gets as far as the values themselves.
            let mut header = Header::from_byte_slice(&bytes[start..start + BLOCK]).clone();
            header.set_cksum();
            bytes[start..start + BLOCK].copy_from_slice(header.as_bytes());
        }
        let _ = read(&bytes);
    }
}
