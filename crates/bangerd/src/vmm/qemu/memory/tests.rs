use super::*;

#[test]
fn pages_of_zeros_are_left_out() {
    let mut bytes = vec![0_u8; 5 * 16];
    assert!(filled(&bytes, 16).is_empty());
    bytes[16] = 1;
    bytes[47] = 1;
    bytes[79] = 1;
    assert_eq!(filled(&bytes, 16), [16..48, 64..80]);
}

mod t1 {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Memory of this very process stands for a guest's.
    struct Guest {
        bytes: Vec<u8>,
        /// Where its first whole page begins.
        start: usize,
        directory: tempfile::TempDir,
    }

    const PAGES: usize = 3000;

    impl Guest {
        /// Pages that were never touched: the allocator has them from the kernel as they are.
        fn new() -> Self {
            let page = rustix::param::page_size();
            let bytes = vec![0; (PAGES + 1) * page];
            let start = bytes.as_ptr().align_offset(page);
            let directory = tempfile::tempdir().expect("a directory");
            Self {
                bytes,
                start,
                directory,
            }
        }

        fn write(&mut self, page: usize, byte: u8) {
            let size = rustix::param::page_size();
            let at = self.start + page * size;
            self.bytes[at..at + size].fill(byte);
        }

        fn memory(&self) -> &[u8] {
            &self.bytes[self.start..self.start + PAGES * rustix::param::page_size()]
        }

        fn region(&self) -> Region {
            Region {
                process: ProcessIdentity::of(std::process::id()).expect("this process"),
                address: self.memory().as_ptr().addr() as u64,
                size: self.memory().len() as u64,
            }
        }

        fn file(&self) -> std::path::PathBuf {
            self.directory.path().join("memory")
        }
    }

    #[test]
    fn what_was_written_is_saved_and_the_rest_is_a_hole() {
        let mut guest = Guest::new();
        for page in [0, 1, 700, PAGES - 1] {
            guest.write(page, 7);
        }
        save(&guest.region(), Unwritten::Zeros, &guest.file()).expect("saved");
        let saved = std::fs::read(guest.file()).expect("read");
        assert!(saved == guest.memory(), "another memory");
        let found = guest.file().metadata().expect("there");
        assert!(
            found.blocks() * 512 <= 16 * 4096,
            "{} blocks",
            found.blocks()
        );
        assert_eq!(found.mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_already_is_kept_where_nothing_was_written() {
        let mut guest = Guest::new();
        guest.write(3, 7);
        guest.write(5, 0);
        let size = guest.memory().len();
        std::fs::write(guest.file(), vec![9; size]).expect("written");
        save(&guest.region(), Unwritten::InPlace, &guest.file()).expect("saved");
        let saved = std::fs::read(guest.file()).expect("read");
        let page = rustix::param::page_size();
        let first = |at: usize| saved[at * page];
        // A huge page is the process's own as a whole, so no more can be said of the others.
        assert_eq!((first(3), first(5)), (7, 0));
        assert!(
            saved
                .chunks(page)
                .all(|one| one.iter().all(|byte| *byte == one[0]))
        );
    }

    #[test]
    fn of_a_memory_whose_origin_is_lost_everything_is_read() {
        let mut guest = Guest::new();
        guest.write(2999, 1);
        save(&guest.region(), Unwritten::Unknown, &guest.file()).expect("saved");
        assert!(std::fs::read(guest.file()).expect("read") == guest.memory());
    }

    struct Notes(std::sync::Mutex<Vec<(u64, Vec<u8>)>>);

    impl Earlier for Notes {
        fn note(&self, at: u64, old: &[u8]) -> io::Result<()> {
            let mut notes = self.0.lock().expect("whole");
            notes.push((at, old.to_vec()));
            Ok(())
        }
    }

    #[test]
    fn over_an_earlier_memory_only_what_differs_is_written_and_what_was_there_is_noted() {
        let mut guest = Guest::new();
        let page = rustix::param::page_size() as u64;
        for at in [1, 5, 2000] {
            guest.write(at, 7);
        }
        save(&guest.region(), Unwritten::Zeros, &guest.file()).expect("saved");
        guest.write(5, 8);
        guest.write(2999, 9);
        let notes = Notes(Default::default());
        let saved = save_over(&guest.region(), Unwritten::Zeros, &guest.file(), &notes);
        saved.expect("saved");
        assert!(std::fs::read(guest.file()).expect("read") == guest.memory());
        let mut noted = notes.0.into_inner().expect("whole");
        noted.sort();
        let of = |byte| vec![byte; usize::try_from(page).expect("fits")];
        assert_eq!(noted, [(5 * page, of(7)), (2999 * page, of(0))]);
    }

    #[test]
    fn nothing_is_saved_over_a_file_or_from_a_process_that_has_ended() {
        let guest = Guest::new();
        std::fs::write(guest.file(), "x").expect("written");
        for unwritten in [Unwritten::Zeros, Unwritten::InPlace] {
            save(&guest.region(), unwritten, &guest.file()).expect_err("there is another");
        }
        assert_eq!(std::fs::read(guest.file()).expect("read"), b"x");
        let mut region = guest.region();
        region.process.start_time += 1;
        let other = guest.directory.path().join("other");
        let error = save(&region, Unwritten::Zeros, &other).expect_err("another process");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!other.exists());
    }
}
