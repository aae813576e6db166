use super::*;

#[test]
fn a_uuid_has_its_version_and_follows_the_digest() {
    let one = uuid(&[0xff; 32]);
    assert_eq!((one[6], one[8], one[0]), (0x8f, 0xbf, 0xff));
    assert_ne!(one, uuid(&[0; 32]));
}

mod t1 {
    use super::*;
    use crate::{
        disks::programs,
        images::{elf, ext4::Ext4, packing::samples},
    };
    use std::path::{Path, PathBuf};
    use tar::{EntryType, Header};

    fn layout(place: &Path) -> Layout {
        Layout {
            config: place.join("config"),
            state: place.join("state"),
            cache: place.join("cache"),
            runtime: place.join("run"),
        }
    }

    fn add(
        tar: &mut tar::Builder<Vec<u8>>,
        path: &str,
        kind: EntryType,
        mode: u32,
        content: &[u8],
        link: &str,
    ) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(100_000);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        if kind == EntryType::Char {
            header.set_device_major(1).expect("fits");
            header.set_device_minor(3).expect("fits");
        }
        if link.is_empty() {
            tar.append_data(&mut header, path, content).expect("adds");
        } else {
            tar.append_link(&mut header, path, link).expect("adds");
        }
    }

    fn long_name() -> String {
        "n".repeat(255)
    }

    /// A root file system with one of everything.
    fn sample(machine: u16) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let records: [(&str, &[u8]); 3] = [
            ("SCHILY.xattr.user.note", b"kept"),
            ("SCHILY.xattr.com.apple.provenance", b"dropped"),
            ("mtime", b"1000000000.5"),
        ];
        add(&mut tar, "usr/", EntryType::Directory, 0o711, b"", "");
        add(
            &mut tar,
            "usr/bin/tool",
            EntryType::Regular,
            0o4755,
            &elf::sample(machine),
            "",
        );
        add(&mut tar, "bin", EntryType::Symlink, 0o777, b"", "usr/bin");
        add(
            &mut tar,
            "usr/bin/again",
            EntryType::Link,
            0o4755,
            b"",
            "usr/bin/tool",
        );
        add(
            &mut tar,
            "usr/lib/systemd/systemd",
            EntryType::Regular,
            0o755,
            b"#!",
            "",
        );
        tar.append_pax_extensions(records).expect("adds");
        add(
            &mut tar,
            "etc/noted",
            EntryType::Regular,
            0o600,
            b"some words",
            "",
        );
        add(
            &mut tar,
            "etc/left-out",
            EntryType::Regular,
            0o644,
            b"unwanted",
            "",
        );
        add(&mut tar, "dev/null", EntryType::Char, 0o666, b"", "");
        add(&mut tar, "run/pipe", EntryType::Fifo, 0o600, b"", "");
        add(&mut tar, "replaced", EntryType::Regular, 0o600, b"old", "");
        add(&mut tar, "replaced", EntryType::Regular, 0o640, b"new", "");
        add(
            &mut tar,
            "lost+found/",
            EntryType::Directory,
            0o700,
            b"",
            "",
        );
        add(
            &mut tar,
            &format!("long/{}", long_name()),
            EntryType::Regular,
            0o644,
            &[b'x'; 70_000],
            "",
        );
        let sparse = [
            ("GNU.sparse.size", &b"1000000"[..]),
            ("GNU.sparse.map", b"8200,2,999998,2"),
        ];
        tar.append_pax_extensions(sparse).expect("adds");
        add(&mut tar, "holes", EntryType::Regular, 0o644, b"abcd", "");
        tar.into_inner().expect("ends")
    }

    struct Place {
        directory: tempfile::TempDir,
        layout: Layout,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let layout = layout(directory.path());
            Self { directory, layout }
        }

        fn import_with(
            &self,
            bytes: &[u8],
            limits: Limits,
            whole: bool,
        ) -> Result<PathBuf, ImageError> {
            let name: ArtifactName = "one".parse().expect("is a name");
            let mut tar = bytes;
            let source = Source {
                tar: &mut tar,
                origin: "a test",
                left_out: |entry| entry.path == b"etc/left-out",
                added: vec![Added::File("etc/added", "more\n")],
                whole: &mut || {
                    if whole {
                        Ok(())
                    } else {
                        Err(ImageError::TooLarge { most: 0 })
                    }
                },
            };
            import(
                &self.layout,
                &name,
                source,
                limits,
                &Ext4,
                &Progress::silent(),
            )?;
            Ok(self.layout.image(&name).join(DISK))
        }

        fn import(&self, bytes: &[u8]) -> Result<PathBuf, ImageError> {
            self.import_with(bytes, Limits::default(), true)
        }

        fn assert_nothing_is_left(&self) {
            let left = std::fs::read_dir(self.layout.staging())
                .expect("lists")
                .count();
            assert_eq!(left, 0);
            assert!(!self.layout.images().join("one").exists());
            assert!(self.directory.path().exists());
        }
    }

    fn ask(disk: &Path, request: &str) -> String {
        let output = programs::run(
            "debugfs",
            ["-R".as_ref(), request.as_ref(), disk.as_os_str()],
        );
        output.expect("answers").stdout
    }

    #[test]
    fn another_program_finds_in_the_image_what_was_in_the_archive() {
        let place = Place::new();
        let disk = place.import(&sample(elf::X86_64)).expect("imports");
        let tool = ask(&disk, "stat /usr/bin/tool");
        for expected in [
            "Type: regular",
            "Mode:  04755",
            "User:  1000",
            "Group: 100000",
            "Size: 64",
            "Links: 2",
        ] {
            assert!(tool.contains(expected), "{expected}: {tool}");
        }
        assert!(tool.contains("mtime: 0x3b9aca00:"), "{tool}");
        let inode = |text: &str| text.split_whitespace().nth(1).map(str::to_owned);
        assert_eq!(inode(&tool), inode(&ask(&disk, "stat /usr/bin/again")));
        assert!(ask(&disk, "stat /usr").contains("Mode:  0711"));
        assert!(ask(&disk, "stat /bin").contains("Fast link dest: \"usr/bin\""));
        let null = ask(&disk, "stat /dev/null");
        assert!(
            null.contains("character special") && null.contains("01:03"),
            "{null}"
        );
        assert!(ask(&disk, "stat /run/pipe").contains("Type: FIFO"));
        let attributes = ask(&disk, "ea_list /etc/noted");
        assert!(
            attributes.contains("user.note (4) = \"kept\"") && !attributes.contains("apple"),
            "{attributes}"
        );
        assert!(ask(&disk, "stat /etc/noted").contains("mtime: 0x3b9aca00:77359400"));
        assert_eq!(ask(&disk, "cat /etc/noted"), "some words");
        assert_eq!(ask(&disk, "cat /replaced"), "new");
        assert_eq!(ask(&disk, "cat /etc/added"), "more\n");
        assert!(!ask(&disk, "ls /etc").contains("left-out"));
        assert_eq!(
            ask(&disk, &format!("cat /long/{}", long_name())).len(),
            64 << 10
        );
        assert!(ask(&disk, "ls -l /").contains("lost+found"));
    }

    #[test]
    fn holes_stay_holes_and_read_as_zeros() {
        let place = Place::new();
        let disk = place.import(&sample(elf::X86_64)).expect("imports");
        let found = ask(&disk, "stat /holes");
        assert!(
            found.contains("Size: 1000000") && found.contains("Blockcount: 16"),
            "{found}"
        );
        let copy = place.directory.path().join("copy");
        let quoted = format!("dump /holes {}", copy.display());
        ask(&disk, &quoted);
        let bytes = std::fs::read(copy).expect("reads");
        assert_eq!(
            (bytes.len(), &bytes[8200..8202], &bytes[999_998..]),
            (1_000_000, &b"ab"[..], &b"cd"[..])
        );
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 4);
    }

    #[test]
    fn every_packing_makes_the_same_image() {
        let tar = sample(elf::X86_64);
        for packed in [samples::gzip(&tar), samples::xz(&tar), samples::zstd(&tar)] {
            let place = Place::new();
            let disk = place.import(&packed).expect("imports");
            assert_eq!(ask(&disk, "cat /etc/noted"), "some words");
        }
    }

    #[test]
    fn whatever_is_refused_leaves_nothing_behind() {
        let tar = sample(elf::X86_64);
        let packed = samples::gzip(&tar);
        let few = Limits {
            entries: 3,
            bytes: 1 << 20,
        };
        let small = Limits {
            entries: 99,
            bytes: 1000,
        };
        let all = Limits::default();
        let mut climbs = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.as_gnu_mut().expect("is GNU's").name[..5].copy_from_slice(b"../up");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        climbs.append(&header, &b""[..]).expect("adds");
        let climbs = climbs.into_inner().expect("ends");
        let cases: [(&[u8], Limits, bool, &str); 10] = [
            (&tar[..5000], all, true, "truncated"),
            (
                &packed[..packed.len() / 2],
                all,
                true,
                "cannot read the archive",
            ),
            (b"", all, true, "empty"),
            (b"some text", all, true, "looks like text"),
            (b"BZh9xxxxxx", all, true, "bzip2"),
            (&tar, few, true, "more than 3 entries"),
            (&tar, small, true, "more than 1000B"),
            (&tar, all, false, "more than 0B"),
            (&sample(183), all, true, "image is for aarch64"),
            (
                &climbs,
                all,
                true,
                "entry 1 of the archive cannot be used: the path ../up has a '..'",
            ),
        ];
        for (bytes, limits, whole, expected) in cases {
            let place = Place::new();
            let error = place.import_with(bytes, limits, whole).expect_err(expected);
            let fault = banger_proto::fault::Fault::from(error);
            assert!(fault.message.contains(expected), "{}", fault.message);
            place.assert_nothing_is_left();
        }
    }

    #[test]
    fn a_name_that_is_not_text_is_refused_with_its_name() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.as_gnu_mut().expect("is GNU's").name[..2].copy_from_slice(b"b\xff");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        tar.append(&header, &b""[..]).expect("adds");
        let place = Place::new();
        let error = place
            .import(&tar.into_inner().expect("ends"))
            .expect_err("is refused")
            .to_string();
        assert!(error.contains("not UTF-8"), "{error}");
        place.assert_nothing_is_left();
    }

    #[test]
    fn many_small_files_and_a_large_directory_fit() {
        let mut tar = tar::Builder::new(Vec::new());
        for number in 0..6000 {
            add(
                &mut tar,
                &format!("many/file-with-a-name-{number}"),
                EntryType::Regular,
                0o644,
                b"x",
                "",
            );
        }
        let place = Place::new();
        let disk = place
            .import(&tar.into_inner().expect("ends"))
            .expect("imports");
        assert_eq!(ask(&disk, "cat /many/file-with-a-name-5999"), "x");
    }
}
