//! Which disk has which role: told by its serial number, never by its letter.

use banger_proto::guest::disk_serial;
use std::fs;
use std::path::{Path, PathBuf};

/// The disks of a guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disks {
    pub(super) image: PathBuf,
    pub(super) system: Option<PathBuf>,
    pub(super) work: Option<PathBuf>,
    pub(super) modules: Option<PathBuf>,
}

/// Finds the disks; without an image there is nothing to run.
pub(super) fn survey(blocks: &Path, dev: &Path) -> Result<Disks, String> {
    let mut image = None;
    let mut disks = Disks::default();
    let mut seen = Vec::new();
    for entry in fs::read_dir(blocks).into_iter().flatten().flatten() {
        let Ok(serial) = fs::read_to_string(entry.path().join("serial")) else {
            continue;
        };
        let node = Some(dev.join(entry.file_name()));
        match serial.trim_end() {
            disk_serial::IMAGE => image = node,
            disk_serial::SYSTEM => disks.system = node,
            disk_serial::WORK => disks.work = node,
            disk_serial::MODULES => disks.modules = node,
            other => seen.push(format!("\"{}\"", other.escape_debug())),
        }
    }
    let missing = || match seen.is_empty() {
        true => format!("no disk has the serial number {}", disk_serial::IMAGE),
        false => format!(
            "no disk is {}, only {}",
            disk_serial::IMAGE,
            seen.join(", ")
        ),
    };
    disks.image = image.ok_or_else(missing)?;
    Ok(disks)
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn roles_are_told_by_serial_numbers() {
        let temp = tempfile::tempdir().expect("temp");
        for (name, serial) in [
            ("vda", Some("banger-work\n")),
            ("vdb", Some("banger-image\n")),
            ("vdc", Some("")),
            ("loop0", None),
        ] {
            fs::create_dir(temp.path().join(name)).expect("made");
            if let Some(serial) = serial {
                fs::write(temp.path().join(name).join("serial"), serial).expect("written");
            }
        }
        let disks = survey(temp.path(), Path::new("/dev")).expect("an image");
        assert_eq!(disks.image, Path::new("/dev/vdb"));
        assert_eq!(disks.work.as_deref(), Some(Path::new("/dev/vda")));
        assert_eq!((disks.system, disks.modules), (None, None));
    }

    #[test]
    fn without_an_image_the_message_says_what_is_there() {
        let temp = tempfile::tempdir().expect("temp");
        let nothing = survey(temp.path(), Path::new("/dev")).expect_err("nothing");
        assert_eq!(nothing, "no disk has the serial number banger-image");
        fs::create_dir(temp.path().join("vda")).expect("made");
        fs::write(temp.path().join("vda/serial"), "other").expect("written");
        let other = survey(temp.path(), Path::new("/dev")).expect_err("another");
        assert_eq!(other, "no disk is banger-image, only \"other\"");
    }
}
