//! File systems that want to harm whoever reads them. Without sums, so that what is written is read.

use super::fixtures::{Place, debugfs, flip, lines, run, system, work};
use super::{Changes, DiffError, Disks};
use std::path::{Path, PathBuf};

fn image(place: &Place) -> PathBuf {
    place.disk("image", &[("etc/hosts", "x"), ("etc/bomb", "12345678")])
}

fn of_work(image: &Path, disk: &Path) -> Result<Changes, DiffError> {
    run(image, &Disks::default(), &work(disk))
}

/// Replaces bytes of a directory.
fn replace(disk: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = std::fs::read(disk).expect("read");
    let mut count = 0;
    for block in bytes.chunks_mut(4096).filter(|block| block[0] != 0) {
        let place = block.windows(from.len()).position(|part| part == from);
        if let Some(place) = place {
            block[place..place + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    assert_eq!(count, 1, "{}", from.escape_ascii());
    std::fs::write(disk, bytes).expect("written");
}

#[test]
fn a_directory_that_contains_itself_comes_to_an_end() {
    let place = Place::new();
    let disk = place.unsummed("work", &[("a/b/", "")]);
    debugfs(&disk, "ln a a/b/again\n");
    let error = of_work(&image(&place), &disk).expect_err("endless");
    assert!(error.to_string().contains("without end"), "{error}");
}

#[test]
fn names_that_lead_elsewhere_are_damage_and_odd_ones_are_told_as_they_are() {
    let place = Place::new();
    let image = image(&place);
    for (number, name) in [b"../up", b"a/../", b"a\0xxx"].iter().enumerate() {
        let disk = place.unsummed(&format!("work-{number}"), &[("evils", "")]);
        replace(&disk, b"evils", *name);
        let error = of_work(&image, &disk).expect_err("no name");
        assert!(
            error.to_string().contains("a name in it cannot be"),
            "{error}"
        );
    }
    let disk = place.disk("odd", &[("a\nb\u{1b}[2J", "x")]);
    let found = of_work(&image, &disk).expect("read");
    assert_eq!(found.listed[0].path, b"/root/a\nb\x1b[2J");
}

#[test]
fn names_that_are_there_twice_are_damage() {
    let place = Place::new();
    let disk = place.unsummed("work", &[("one", ""), ("two", "")]);
    replace(&disk, b"\x03\x01two", b"\x03\x01one");
    let error = of_work(&image(&place), &disk).expect_err("twice");
    assert!(error.to_string().contains("twice"), "{error}");
}

/// Each of five blocks has 340 entries that lead to the next one: 340 to the fourth blocks are to be read.
#[test]
fn a_small_file_that_leads_to_billions_of_blocks_is_given_up() {
    let place = Place::new();
    let marks = ["level-one", "level-two", "level-three", "level-four"];
    let files: Vec<_> = marks.iter().map(|mark| (*mark, *mark)).collect();
    let bomb = [("etc/bomb", "87654321")];
    let disk = place.unsummed("system", &[]);
    drop(disk);
    let over: Vec<_> = files
        .iter()
        .map(|(name, content)| (format!("upper/{name}"), *content))
        .chain(bomb.map(|(name, content)| (format!("upper/{name}"), content)))
        .collect();
    let over: Vec<_> = over
        .iter()
        .map(|(name, content)| (name.as_str(), *content))
        .collect();
    let disk = place.unsummed("bombed", &over);
    let mut bytes = std::fs::read(&disk).expect("read");
    let blocks = marks.map(|mark| {
        let mut all = bytes.chunks(4096);
        all.position(|block| block.starts_with(mark.as_bytes()) && block[mark.len()] == 0)
            .expect("its block")
    });
    for (level, block) in blocks.iter().enumerate() {
        let next = blocks.get(level + 1).copied().unwrap_or(1);
        let depth = u16::try_from(3 - level).expect("small");
        let node = node(depth, next);
        bytes[block * 4096..][..4096].copy_from_slice(&node);
    }
    std::fs::write(&disk, bytes).expect("written");
    let root = format!(
        "sif upper/etc/bomb block[0] {}\nsif upper/etc/bomb block[1] {}\nsif upper/etc/bomb block[3] 0\n\
         sif upper/etc/bomb block[4] {}\nsif upper/etc/bomb block[5] 0\n",
        0xf30a | 1 << 16,
        4 | 4 << 16,
        blocks[0]
    );
    debugfs(&disk, &root);
    let error = run(&image(&place), &Disks::default(), &system(&disk)).expect_err("too much");
    assert!(matches!(error, DiffError::TooMuch { .. }), "{error}");
}

fn node(depth: u16, next: usize) -> Vec<u8> {
    let mut node = vec![];
    for number in [0xf30a, 340, 340, depth, 0, 0] {
        node.extend(u16::to_le_bytes(number));
    }
    for entry in 0..340_u32 {
        node.extend(entry.to_le_bytes());
        let next = u32::try_from(next).expect("small");
        // Of a leaf: length, and the block; else the block, and nothing.
        let (first, second) = if depth == 0 { (1, next) } else { (next, 0) };
        node.extend(first.to_le_bytes());
        node.extend(second.to_le_bytes());
    }
    node.resize(4096, 0);
    node
}

#[test]
fn a_file_of_exabytes_of_holes_takes_no_time() {
    let place = Place::new();
    let disk = place.unsummed("work", &[("file", "x")]);
    debugfs(&disk, "sif file size 0x7fffffffffffffff\n");
    let was = place.copy(&disk, "was");
    debugfs(&disk, "sif file mode 0100600\n");
    let changes = run(&image(&place), &work(&was), &work(&disk)).expect("read");
    assert_eq!(lines(&changes), ["M /root/file Mode"]);
}

#[test]
fn what_is_no_file_system_of_ours_is_said_to_be_none() {
    let place = Place::new();
    let image = image(&place);
    for (number, bytes) in [vec![], vec![7; 1500], vec![0; 1 << 20], vec![0xff; 1 << 20]]
        .into_iter()
        .enumerate()
    {
        let path = place.file(&format!("file-{number}"), &bytes);
        let error = of_work(&image, &path).expect_err("none");
        assert!(matches!(error, DiffError::Damaged { .. }), "{error}");
    }
    let cut = place.disk("cut", &[]);
    let file = std::fs::File::options()
        .write(true)
        .open(&cut)
        .expect("there");
    file.set_len(8 << 20).expect("cut");
    let error = of_work(&image, &cut).expect_err("cut off");
    assert!(error.to_string().contains("it is cut off"), "{error}");
    let link = place.at("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).expect("linked");
    let error = of_work(&image, &link).expect_err("a link");
    assert!(matches!(error, DiffError::Io { .. }), "{error}");
}

#[test]
fn a_flipped_bit_of_metadata_is_noticed() {
    let place = Place::new();
    let image = image(&place);
    let disk = place.disk("work", &[("dir/file", "content")]);
    let bytes = std::fs::read(&disk).expect("read");
    let names = bytes.chunks(4096).position(|block| {
        block.windows(4).any(|part| part == b"file") && !block.starts_with(b"content")
    });
    flip(
        &disk,
        u64::try_from(names.expect("a block")).expect("small") * 4096 + 24,
        1,
    );
    let error = of_work(&image, &disk).expect_err("damaged");
    assert!(error.to_string().contains("checksum"), "{error}");
}

/// Bytes anywhere in the metadata: an answer or an error, and never an end of the thread.
#[test]
fn whatever_is_written_to_a_disk_reading_it_comes_to_an_end_without_a_panic() {
    let place = Place::new();
    let image = image(&place);
    let files = [
        ("upper/etc/hosts", "y"),
        ("upper/a/b/c", "1"),
        ("upper/link", "->a"),
    ];
    let good = place.unsummed("good", &files);
    let bytes = std::fs::read(&good).expect("read");
    // Superblock, descriptors, and what is not zeros of the rest but the journal.
    let used: Vec<_> = bytes
        .chunks(64)
        .enumerate()
        .filter(|(_, part)| part.iter().any(|byte| *byte != 0))
        .map(|(number, _)| number * 64)
        .collect();
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 20).expect("64 bits")
    };
    let bad = place.copy(&good, "bad");
    let file = std::fs::File::options()
        .write(true)
        .open(&bad)
        .expect("there");
    use std::os::unix::fs::FileExt;
    for _ in 0..400 {
        let place = used[next() % used.len()] + next() % 64;
        let byte = u8::try_from(next() % 256).expect("a byte");
        let at = place as u64;
        file.write_all_at(&[byte], at).expect("written");
        let panicked =
            std::panic::catch_unwind(|| drop(run(&image, &Disks::default(), &system(&bad))));
        assert!(panicked.is_ok(), "byte {byte} at {place}");
        file.write_all_at(&bytes[place..=place], at)
            .expect("written");
    }
}
