use super::super::Making;
use super::super::fixtures::{Place, manifest, writable};
use super::*;
use std::os::unix::fs::FileExt;

fn why(result: Result<impl std::fmt::Debug, SnapshotError>) -> String {
    result.expect_err("it is damaged").to_string()
}

#[test]
fn what_was_saved_is_found_and_as_it_was() {
    let place = Place::new();
    place.published();
    let snapshot = Snapshot::open(&place.target()).expect("readable");
    snapshot.verify(&Verified::default()).expect("whole");
    let saved = snapshot.saved().expect("it ran");
    for (path, name) in [
        (saved.memory, "memory"),
        (saved.devices, "devices"),
        (snapshot.system_disk().expect("one"), "system.ext4"),
        (snapshot.work_disk().expect("one"), "work.ext4"),
    ] {
        let bytes = fs::read(path).expect("readable");
        assert!(bytes.starts_with(name.as_bytes()), "{name}");
    }
    let taken = snapshot.size_on_disk().expect("its size");
    assert!((5 * 512..1 << 20).contains(&taken), "{taken}");
}

#[test]
fn one_of_a_guest_that_did_not_run_has_disks_alone() {
    let place = Place::new();
    let making = place.begun();
    fs::remove_file(making.file(Part::Memory)).expect("removed");
    fs::remove_file(making.file(Part::Devices)).expect("removed");
    let snapshot = making.publish(manifest(), &place.verified);
    let snapshot = snapshot.expect("published");
    assert_eq!(snapshot.saved(), None);
    assert!(snapshot.system_disk().is_some() && snapshot.work_disk().is_some());
}

#[test]
fn a_file_that_was_cut_off_is_named_without_reading_it() {
    for part in Part::ALL {
        let place = Place::new();
        let snapshot = place.published();
        writable(&snapshot, part).set_len(1000).expect("cut");
        let said = why(Snapshot::open(&place.target()));
        let expected = format!("{} has 1000 bytes and not 1048576", part.name());
        assert!(said.contains(&expected), "{said}");
        let said = why(snapshot.verify(&Verified::default()));
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn one_flipped_bit_is_found_even_after_it_was_verified() {
    for part in Part::ALL {
        let place = Place::new();
        let snapshot = place.published();
        snapshot.verify(&place.verified).expect("whole");
        let file = writable(&snapshot, part);
        file.write_all_at(&[4], 700_001).expect("written");
        let opened = Snapshot::open(&place.target()).expect("as long as before");
        let said = why(opened.verify(&place.verified));
        let expected = format!("{} is not what was saved", part.name());
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn two_files_that_were_swapped_are_found() {
    let place = Place::new();
    let snapshot = place.published();
    snapshot.verify(&place.verified).expect("whole");
    let at = |name: &str| snapshot.directory.join(name);
    fs::rename(at("memory"), at("aside")).expect("renamed");
    fs::rename(at("system.ext4"), at("memory")).expect("renamed");
    fs::rename(at("aside"), at("system.ext4")).expect("renamed");
    let said = why(snapshot.verify(&place.verified));
    assert!(said.contains("memory is not what was saved"), "{said}");
}

#[test]
fn a_snapshot_in_the_place_of_another_is_found() {
    let place = Place::new();
    let snapshot = place.published();
    let other = place.parent().join("other");
    fs::rename(&snapshot.directory, &other).expect("renamed");
    let said = why(Snapshot::open(&other));
    assert!(said.contains("is that of another, before"), "{said}");
}

#[test]
fn a_file_that_is_gone_or_is_none_is_named() {
    let place = Place::new();
    let snapshot = place.published();
    let path = snapshot.directory.join("memory");
    fs::remove_file(&path).expect("removed");
    let said = why(Snapshot::open(&place.target()));
    assert!(said.contains("memory is not there"), "{said}");
    let said = why(snapshot.verify(&place.verified));
    assert!(said.contains("memory is not there"), "{said}");
    fs::create_dir(&path).expect("made");
    let said = why(Snapshot::open(&place.target()));
    assert!(said.contains("memory is no file"), "{said}");
    fs::remove_dir(&path).expect("removed");
    std::os::unix::fs::symlink("devices", &path).expect("made");
    Snapshot::open(&place.target()).expect_err("a link");
}

#[test]
fn a_manifest_that_is_newer_no_manifest_or_gone_is_named() {
    let place = Place::new();
    let snapshot = place.published();
    let path = snapshot.directory.join("manifest.json");
    let replace = |text: &str| {
        fs::remove_file(&path).expect("removed");
        fs::write(&path, text).expect("written");
        Snapshot::open(&place.target())
    };
    let error = replace(r#"{"form": 7}"#).expect_err("newer");
    assert!(matches!(error, SnapshotError::Newer { .. }), "{error}");
    assert!(error.fault().remedy.is_some());
    let said = why(replace("no JSON"));
    assert!(
        said.contains("manifest.json cannot be understood"),
        "{said}"
    );
    fs::remove_file(&path).expect("removed");
    let said = why(Snapshot::open(&place.target()));
    assert!(said.contains("manifest.json is not there"), "{said}");
    snapshot.remove().expect("it goes all the same");
}

#[test]
fn what_is_not_there_is_not_found() {
    let place = Place::new();
    let error = Snapshot::open(&place.target()).expect_err("none");
    assert!(matches!(error, SnapshotError::NotFound { .. }), "{error}");
    let snapshot = place.published();
    snapshot.clone().remove().expect("removed");
    assert_eq!(Place::names(&place.parent()), [""; 0]);
    let error = snapshot.remove().expect_err("gone already");
    assert!(matches!(error, SnapshotError::NotFound { .. }), "{error}");
    fs::write(place.target(), "").expect("written");
    let error = Snapshot::open(&place.target()).expect_err("a file");
    assert!(matches!(error, SnapshotError::NotFound { .. }), "{error}");
}

#[test]
fn those_that_cannot_be_read_do_not_hide_the_others() {
    let place = Place::new();
    let none = Snapshot::list(&place.parent()).expect("none");
    assert!(none.snapshots.is_empty() && none.unreadable.is_empty());
    for (name, taken_at) in [("later", 9), ("earlier", 4)] {
        let making = Making::begin(&place.parent().join(name)).expect("begun");
        let tag = Some(name.parse().expect("a tag"));
        let of_then = Manifest {
            taken_at,
            tag,
            ..manifest()
        };
        making.publish(of_then, &place.verified).expect("published");
    }
    fs::create_dir(place.parent().join("empty")).expect("made");
    fs::write(place.parent().join("file"), "").expect("written");
    let _unfinished = place.begun();
    let listed = Snapshot::list(&place.parent()).expect("listed");
    let taken: Vec<_> = listed
        .snapshots
        .iter()
        .map(|one| one.manifest.taken_at)
        .collect();
    assert_eq!(taken, [4, 9]);
    let named: Vec<_> = listed
        .unreadable
        .iter()
        .map(|(path, _)| path.file_name().expect("a name"))
        .collect();
    assert_eq!(named, ["empty", "file"]);
    Snapshot::list(&place.parent().join("file")).expect_err("no directory");
}
