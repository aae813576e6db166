//! Exports that are written and read again, whole and harmed.

use super::form::{Form, ImagePart, PartName};
use super::{Contents, ExportError, Incoming, Outgoing, Trust, Unpacked, key};
use crate::diff::{DiffError, Secrets};
use crate::progress::Progress;
use crate::snapshots::{Snapshot, Verified, fixtures::Place};
use proptest::prelude::*;
use ring::signature::Ed25519KeyPair;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn image() -> ImagePart {
    ImagePart {
        name: "debian".into(),
        sha256: "ab".repeat(32),
        architecture: "x86_64".into(),
        init: None,
        created: 5,
        entries: 7,
    }
}

struct Setting {
    place: Place,
    snapshot: Snapshot,
    key: Ed25519KeyPair,
    verified: Verified,
}

impl Setting {
    fn new() -> Self {
        let place = Place::new();
        let snapshot = place.published();
        let key = key::own(&place.sandbox("s").state.join("export.key")).expect("made");
        Self {
            place,
            snapshot,
            key,
            verified: Verified::default(),
        }
    }

    fn written(&self, memory: bool) -> Vec<u8> {
        self.written_without(memory, None)
    }

    fn written_without(&self, memory: bool, blank: Option<Secrets>) -> Vec<u8> {
        let contents = Contents {
            snapshot: &self.snapshot,
            name: "dev".into(),
            spec: "{}".into(),
            image: image(),
            image_disk: None,
            memory,
            blank,
        };
        let mut bytes = vec![];
        let silent = Progress::silent();
        let outgoing = Outgoing::of(contents, &self.verified).expect("read");
        outgoing
            .write(&self.key, &mut bytes, &silent)
            .expect("written");
        bytes
    }

    /// What is signed with its key.
    fn forged(&self, form: &Form, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        form.write(&self.key, &mut bytes).expect("written");
        bytes.extend_from_slice(rest);
        bytes
    }

    fn form(&self, memory: bool) -> Form {
        let bytes = self.written(memory);
        Form::read(&mut bytes.as_slice()).expect("a form").0
    }

    fn read(&self, mut bytes: &[u8], into: &Path) -> Result<Unpacked, ExportError> {
        fs::create_dir_all(into).expect("made");
        let trust = Trust(vec![key::public(&self.key)]);
        let incoming = Incoming::open(&mut bytes, &trust)?;
        incoming.unpack(into, &self.verified, &Progress::silent())
    }

    fn refused(&self, bytes: &[u8]) -> ExportError {
        let into = tempfile::tempdir().expect("a directory");
        self.read(bytes, into.path()).expect_err("refused")
    }
}

#[test]
fn what_was_exported_is_what_is_imported_with_its_memory_where_it_was_asked_for() {
    let setting = Setting::new();
    for (memory, files) in [(true, 4), (false, 2)] {
        let into = tempfile::tempdir().expect("a directory");
        let unpacked = setting.read(&setting.written(memory), into.path());
        let snapshot = unpacked.expect("whole").snapshot;
        assert_eq!(snapshot.manifest.files.len(), files);
        for (part, digest) in &snapshot.manifest.files {
            assert_eq!(digest, &setting.snapshot.manifest.files[part]);
        }
        assert_eq!(snapshot.manifest.fingerprint.is_some(), memory);
        assert_eq!(setting.form(memory).image, image());
        assert_eq!(
            (snapshot.manifest.sandbox, snapshot.manifest.suspended),
            (None, None)
        );
    }
}

#[test]
fn what_is_to_be_blank_is_in_no_export_and_the_rest_is_and_the_manifest_says_so() {
    let setting = Setting::new();
    let path = setting.snapshot.system_disk().expect("one");
    let before = fs::read(&path).expect("read");
    let at = before.iter().position(|byte| *byte != 0).expect("data") as u64;
    let blank = Secrets {
        paths: ["/etc/ssh/ssh_host_rsa_key".to_owned()].into(),
        system: vec![at..at + 1, at + 2..at + 3],
        work: vec![],
    };
    let bytes = setting.written_without(false, Some(blank.clone()));
    let into = tempfile::tempdir().expect("a directory");
    let unpacked = setting.read(&bytes, into.path()).expect("whole");
    let disk = unpacked.snapshot.system_disk().expect("one");
    let mut expected = before.clone();
    crate::blocks::blank(&mut expected, 0, &blank.system);
    assert_ne!(expected, before);
    assert!(
        fs::read(disk).expect("read") == expected,
        "only that is zeros"
    );
    assert!(fs::read(&path).expect("read") == before, "its own stays");
    let form = Form::read(&mut bytes.as_slice()).expect("a form").0;
    assert_eq!(form.blanked, Some(blank.paths));
    assert_eq!(setting.form(false).blanked, None, "as they are");
}

#[test]
fn disks_that_cannot_be_looked_through_have_a_way_out() {
    let why = "inode 7: it leads beyond the end of the disk".to_owned();
    let disk = "system disk";
    let error = ExportError::Secrets(DiffError::Damaged { disk, why });
    let fault = error.fault();
    assert!(fault.message.contains("inode 7"), "{fault}");
    let remedy = fault.remedy.expect("one");
    assert!(remedy.contains("--with-secrets"), "{remedy}");
}

#[test]
fn a_key_is_made_once_for_its_user_alone_and_another_one_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new();
    let path = setting.place.sandbox("s").state.join("export.key");
    assert_eq!(
        path.metadata().expect("there").permissions().mode() & 0o777,
        0o600
    );
    let again = key::own(&path).expect("read");
    assert_eq!(key::public(&again), key::public(&setting.key));
    fs::write(&path, "no key").expect("written");
    let error = key::own(&path).expect_err("no key");
    assert!(error.to_string().contains("export.key"), "{error}");
    let other = Setting::new();
    let error = setting.refused(&other.written(false));
    assert!(key::is_one(&key::public(&other.key)));
    assert!(!key::is_one("5f0c") && !key::is_one(&"ä".repeat(32)));
    let ExportError::Unknown { key: told } = &error else {
        panic!("{error}")
    };
    assert_eq!(*told, key::public(&other.key));
    assert!(
        error
            .fault()
            .remedy
            .is_some_and(|remedy| remedy.contains("--trust"))
    );
}

#[test]
fn what_is_cut_off_anywhere_is_refused_as_such() {
    let setting = Setting::new();
    let bytes = setting.written(true);
    for cut in [14, 17, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = setting.refused(&bytes[..cut]);
        assert!(matches!(error, ExportError::CutOff), "{cut}: {error}");
    }
    for other in [&b""[..], b"banger", b"PK\x03\x04 something else entirely"] {
        assert!(matches!(setting.refused(other), ExportError::Other));
    }
    let longer = [bytes, vec![0]].concat();
    assert!(
        setting
            .refused(&longer)
            .to_string()
            .contains("behind its end")
    );
}

#[test]
fn parts_of_another_export_are_not_taken() {
    let setting = Setting::new();
    let bytes = setting.written(true);
    let mut parts = bytes.as_slice();
    let form = Form::read(&mut parts).expect("a form").0;
    // Each is whole, of the same length, and can be unpacked.
    for name in form.parts.keys() {
        let mut other = form.clone();
        let part = other.parts.get_mut(name).expect("there");
        part.digest.sha256 = "cd".repeat(32);
        let error = setting.refused(&setting.forged(&other, parts)).to_string();
        let why = format!("its {name:?} is not what was exported").to_lowercase();
        assert!(error.contains(&why), "{why}: {error}");
    }
    assert_eq!(form.parts.len(), 4);
}

#[test]
fn a_manifest_that_asks_for_too_much_is_refused_before_anything_is_made() {
    let setting = Setting::new();
    let form = setting.form(false);
    let refused = |change: &dyn Fn(&mut Form), why: &str| {
        let mut form = form.clone();
        change(&mut form);
        let into = tempfile::tempdir().expect("a directory");
        let error = setting.read(&setting.forged(&form, &[]), into.path());
        let error = error.expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
        let left = fs::read_dir(into.path()).expect("lists").count();
        assert_eq!(left, 0, "{why}");
    };
    let work = |form: &mut Form, size, data| {
        let work = form.parts.get_mut(&PartName::Work).expect("there");
        (work.digest.size, work.data) = (size, data);
    };
    refused(&|form| form.form = 3, "forms up to 2");
    refused(&|form| form.parts.clear(), "not both disks");
    let half = |form: &mut Form| {
        let devices = form.parts[&PartName::Work].clone();
        form.parts.insert(PartName::Devices, devices);
    };
    refused(&half, "half of a guest");
    refused(&|form| work(form, 17 << 40, 0), "length that cannot be");
    refused(
        &|form| work(form, 1 << 20, 2 << 20),
        "length that cannot be",
    );
    refused(&|form| work(form, 15 << 40, 15 << 40), "no room");
    refused(
        &|form| form.image.sha256 = "../".repeat(21) + "x",
        "describes what cannot be",
    );
    refused(
        &|form| form.image.init = Some("x".repeat(5000)),
        "describes what cannot be",
    );
    refused(
        &|form| form.name = "../../etc".into(),
        "describes what cannot be",
    );
    let long = u32::MAX.to_be_bytes();
    let endless = [b"banger-export\n".as_slice(), &long, &[0; 200]].concat();
    assert!(setting.refused(&endless).to_string().contains("too long"));
}

/// A piece as it stands in a file.
fn piece(at: u64, length: u32, packed: &[u8]) -> Vec<u8> {
    let packed_length = u32::try_from(packed.len()).expect("short");
    let numbers = [length.to_be_bytes(), packed_length.to_be_bytes()].concat();
    [at.to_be_bytes().as_slice(), &numbers, packed].concat()
}

#[test]
fn pieces_that_lie_are_refused_whoever_has_signed_them() {
    let setting = Setting::new();
    let mut form = setting.form(false);
    let system = form.parts.get_mut(&PartName::System).expect("there");
    (system.digest.size, system.data) = (16 << 20, 8192);
    let pack = |size: usize| compress_to_vec(vec![7; size].as_slice(), CompressionLevel::Fastest);
    let page = pack(4096);
    let twice = |first, second| [piece(first, 4096, &page), piece(second, 4096, &page)].concat();
    let mut endless = piece(0, 4096, &page);
    endless.splice(12..16, [0xff; 4]);
    for (pieces, why) in [
        (piece(16 << 20, 4096, &page), "beyond the end"),
        (piece(u64::MAX - 1, 4096, &page), "beyond the end"),
        (piece(0, 0, &page), "length that cannot be"),
        (piece(0, 2 << 20, &page), "length that cannot be"),
        (endless, "length that cannot be"),
        (twice(8192, 4096), "length that cannot be"),
        (twice(0, 4095), "length that cannot be"),
        // More than its part is said to have.
        (
            [twice(0, 4096), piece(8192, 1, &pack(1))].concat(),
            "length that cannot be",
        ),
        (piece(0, 4096, &pack(64 << 20)), "cannot be unpacked"),
        (piece(0, 4096, &pack(4095)), "cannot be unpacked"),
        (
            piece(0, 4096, b"nothing that was packed"),
            "cannot be unpacked",
        ),
    ] {
        let error = setting.refused(&setting.forged(&form, &pieces));
        assert!(matches!(error, ExportError::Damaged(_)), "{why}: {error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[test]
fn what_is_a_hole_is_one_again() {
    let setting = Setting::new();
    let work = setting.snapshot.work_disk().expect("there");
    let into = tempfile::tempdir().expect("a directory");
    let unpacked = setting.read(&setting.written(true), into.path());
    let copy = unpacked
        .expect("whole")
        .snapshot
        .work_disk()
        .expect("there");
    let taken = |path: &Path| path.metadata().expect("there").blocks();
    assert!(taken(&copy) <= taken(&work), "{} blocks", taken(&copy));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_but_what_was_exported_is_taken_whatever_bit_is_flipped(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let setting = Setting::new();
        let mut bytes = setting.written(true);
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let into = tempfile::tempdir().expect("a directory");
        // Packing may say one thing in two ways: then it is what was exported.
        if let Ok(unpacked) = setting.read(&bytes, into.path()) {
            let files = unpacked.snapshot.manifest.files;
            prop_assert_eq!(&files, &setting.snapshot.manifest.files, "byte {}", place);
        }
    }
}
