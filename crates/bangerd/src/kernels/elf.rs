//! The little of ELF that is needed: whose machine code it is, whether it is whole, whether it
//! wants an interpreter, and the bytes of one section. Everything is bounded by the file.
//!
//! Offsets: System V ABI, "ELF-64 Object File Format".

/// Section headers looked at; a kernel module has about 50, one built with a section per function
/// a few thousand.
const MOST_SECTIONS: usize = 65_535;

const MACHINE_X86_64: u16 = 62;
const PROGRAM_INTERPRETER: u32 = 3;
const SECTION_WITHOUT_BYTES: u32 = 8;

/// Why bytes are not an ELF of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Another kind of file.
    #[error("it is not an ELF file")]
    NotElf,
    /// An ELF of 32 bits, or with its bytes in the other order.
    #[error("it is not a 64-bit little-endian ELF")]
    Class,
    /// Another machine's code.
    #[error("it is for {}, x86_64 is needed", machine_name(*.0))]
    Machine(u16),
    /// It is shorter than its headers say.
    #[error("it is cut short: its {0} lie beyond its end")]
    Truncated(&'static str),
}

/// The machines of `e_machine` that kernels are met for.
fn machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".to_owned(),
        21 => "ppc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        183 => "arm64".to_owned(),
        243 => "riscv".to_owned(),
        258 => "loongarch".to_owned(),
        other => format!("machine number {other}"),
    }
}

/// Bytes that are an ELF64 of x86-64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elf<'a>(&'a [u8]);

/// `length` bytes at an offset, if they are there.
pub(crate) fn bytes_at(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let from = usize::try_from(offset).ok()?;
    let to = from.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(from..to)
}

fn array_at<const N: usize>(bytes: &[u8], offset: u64) -> Option<[u8; N]> {
    bytes_at(bytes, offset, N as u64)?.try_into().ok()
}

/// A little-endian number of 16 bits.
pub(crate) fn u16_at(bytes: &[u8], offset: u64) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// A little-endian number of 32 bits.
pub(crate) fn u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

impl<'a> Elf<'a> {
    /// Looks at the file header only.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf);
        }
        if bytes.get(4..6) != Some(&[2, 1]) {
            return Err(ElfError::Class);
        }
        if bytes.len() < 64 {
            return Err(ElfError::Truncated("headers"));
        }
        match u16_at(bytes, 18) {
            Some(MACHINE_X86_64) => Ok(Self(bytes)),
            other => Err(ElfError::Machine(other.unwrap_or(0))),
        }
    }

    /// The header tables' entries, each at least as long as it must be.
    fn table(self, offset: u64, size: u64, count: u64, least: u16) -> Option<Vec<&'a [u8]>> {
        let start = u64_at(self.0, offset)?;
        let size = u16_at(self.0, size)?;
        let count = u16_at(self.0, count)?;
        if count == 0 {
            return Some(Vec::new());
        }
        let whole = bytes_at(self.0, start, u64::from(size) * u64::from(count))?;
        (size >= least).then(|| {
            whole
                .chunks_exact(usize::from(size))
                .take(MOST_SECTIONS)
                .collect()
        })
    }

    fn program_headers(self) -> Result<Vec<&'a [u8]>, ElfError> {
        self.table(32, 54, 56, 56)
            .ok_or(ElfError::Truncated("program headers"))
    }

    /// Whether all that is loaded from the file is in it.
    pub(crate) fn check_whole(self) -> Result<(), ElfError> {
        for header in self.program_headers()? {
            let part = u64_at(header, 8).zip(u64_at(header, 32));
            part.and_then(|(offset, length)| bytes_at(self.0, offset, length))
                .ok_or(ElfError::Truncated("segments"))?;
        }
        self.table(40, 58, 60, 64)
            .ok_or(ElfError::Truncated("section headers"))?;
        Ok(())
    }

    /// Whether a dynamic loader must run it.
    pub(crate) fn wants_interpreter(self) -> Result<bool, ElfError> {
        let headers = self.program_headers()?;
        Ok(headers
            .iter()
            .any(|header| u32_at(header, 0) == Some(PROGRAM_INTERPRETER)))
    }

    /// The bytes of the section of that name, if there is one and it lies in the file.
    pub(crate) fn section(self, name: &str) -> Option<&'a [u8]> {
        let headers = self.table(40, 58, 60, 64)?;
        let names = self.body(headers.get(usize::from(u16_at(self.0, 62)?))?)?;
        let wanted = headers.into_iter().find(|header| {
            let from = u32_at(header, 0).and_then(|at| usize::try_from(at).ok());
            from.and_then(|from| names.get(from..))
                .and_then(|rest| rest.strip_prefix(name.as_bytes()))
                .is_some_and(|rest| rest.first() == Some(&0))
        })?;
        self.body(wanted)
    }

    fn body(self, header: &[u8]) -> Option<&'a [u8]> {
        if u32_at(header, 4)? == SECTION_WITHOUT_BYTES {
            return None;
        }
        bytes_at(self.0, u64_at(header, 24)?, u64_at(header, 32)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_section_is_found_by_its_name() {
        let file = fixtures::module("depends=a,b\0name=c\0");
        let elf = Elf::parse(&file).expect("is an ELF");
        assert_eq!(elf.section(".modinfo"), Some(&b"depends=a,b\0name=c\0"[..]));
        assert_eq!(elf.section(".mod"), None);
        assert_eq!(elf.section(".nothing"), None);
    }

    #[test]
    fn other_files_are_told_apart() {
        let mut file = fixtures::vmlinux("6.1.0");
        assert_eq!(Elf::parse(b"#!/bin/sh").expect_err("no"), ElfError::NotElf);
        file[18] = 183;
        let error = Elf::parse(&file).expect_err("no");
        assert_eq!(error.to_string(), "it is for arm64, x86_64 is needed");
        file[4] = 1;
        assert_eq!(Elf::parse(&file).expect_err("no"), ElfError::Class);
        assert!(matches!(Elf::parse(&file[..4]), Err(ElfError::Class)));
        assert!(matches!(
            Elf::parse(&fixtures::vmlinux("6")[..40]),
            Err(ElfError::Truncated(_))
        ));
    }

    #[test]
    fn a_file_that_lost_its_end_is_noticed() {
        let file = fixtures::vmlinux("6.1.0");
        Elf::parse(&file)
            .expect("parses")
            .check_whole()
            .expect("is whole");
        let short = Elf::parse(&file[..file.len() - 1]).expect("its header is there");
        assert!(short.check_whole().is_err());
    }

    #[test]
    fn a_dynamic_program_is_recognised() {
        let dynamic = fixtures::program(true);
        let elf = Elf::parse(&dynamic).expect("parses");
        assert_eq!(elf.wants_interpreter(), Ok(true));
        let fixed = fixtures::program(false);
        let elf = Elf::parse(&fixed).expect("parses");
        assert_eq!(elf.wants_interpreter(), Ok(false));
    }

    proptest! {
        #[test]
        fn garbage_behind_a_good_header_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut file = fixtures::module("depends=\0");
            for (at, byte) in bytes.iter().enumerate() {
                if let Some(place) = file.get_mut(20 + at) {
                    *place = *byte;
                }
            }
            if let Ok(elf) = Elf::parse(&file) {
                let _ = elf.section(".modinfo");
                let _ = elf.check_whole();
                let _ = elf.wants_interpreter();
            }
        }
    }
}
