//! The memory of a simulated guest: real memory of this process, of which one page is ever written.

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What stands in the marked page before the moment.
const MARK: &[u8; 16] = b"simulated memory";

/// Memory as long as the guest has it, in whole pages.
pub(super) struct Memory {
    bytes: Vec<u8>,
    /// Where its first page begins.
    start: usize,
    size: usize,
}

impl Memory {
    /// That of a guest that boots. The allocator has pages that were never touched from the kernel.
    pub(super) fn empty(size: u64) -> Self {
        let size = usize::try_from(size).expect("fits");
        let page = page();
        let bytes = vec![0; size + page];
        let start = bytes.as_ptr().align_offset(page);
        Self { bytes, start, size }
    }

    /// That of a guest that goes on, of which nothing is written back.
    pub(super) fn of_file(path: &Path, size: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if length != size {
            // QEMU's own words.
            let message =
                format!("backing store size {length:#x} does not match 'size' option {size:#x}");
            return Err(io::Error::other(message));
        }
        let mut memory = Self::empty(size);
        let mut at = 0;
        loop {
            let from = match seek(&file, SeekFrom::Data(at)) {
                Err(Errno::NXIO) => return Ok(memory),
                found => found?,
            };
            at = seek(&file, SeekFrom::Hole(from))?.min(size);
            let place = |at: u64| usize::try_from(at).expect("fits");
            let part = &mut memory.pages_mut()[place(from)..place(at)];
            file.read_exact_at(part, from)?;
        }
    }

    /// Where it is in this process.
    pub(super) fn address(&self) -> usize {
        self.bytes.as_ptr().addr() + self.start
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Writes the marked page: its second, so that the first stays untouched.
    pub(super) fn mark(&mut self, moment: u64) {
        let at = page();
        let mark = [MARK.as_slice(), &moment.to_le_bytes()].concat();
        self.pages_mut()[at..at + mark.len()].copy_from_slice(&mark);
    }

    /// What the marked page says.
    pub(super) fn marked(&self) -> Option<u64> {
        let at = self.start + page();
        let (mark, rest) = self.bytes.get(at..)?.split_first_chunk::<16>()?;
        let moment = rest.first_chunk::<8>()?;
        (mark == MARK).then(|| u64::from_le_bytes(*moment))
    }

    fn pages_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.size]
    }
}

fn page() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_whole_pages_and_says_its_moment() {
        let mut memory = Memory::empty(1 << 20);
        assert_eq!(memory.address() % page(), 0);
        assert_eq!((memory.marked(), memory.size()), (None, 1 << 20));
        memory.mark(7);
        assert_eq!(memory.marked(), Some(7));
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_saved_memory_is_read_and_another_size_refused() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("memory");
            let mut memory = Memory::empty(1 << 20);
            memory.mark(9);
            std::fs::write(&path, memory.pages_mut()).expect("written");
            let read = Memory::of_file(&path, 1 << 20).expect("read");
            assert_eq!(read.marked(), Some(9));
            let error = Memory::of_file(&path, 2 << 20).err().expect("another size");
            assert!(error.to_string().contains("does not match"), "{error}");
        }
    }
}
