//! Whether a binary is static: it must run in a guest that has no dynamic loader.

use crate::command::{Failure, Outcome};

/// `PT_INTERP` of elf(5): the program header that names the dynamic loader.
const PT_INTERP: u32 = 3;

/// Refuses an image that is not a 64-bit little-endian ELF, or that asks for a dynamic loader.
pub(crate) fn require_static(image: &[u8]) -> Outcome<()> {
    match interpreter_wanted(image) {
        None => Err(Failure::new(
            "it is not a whole 64-bit little-endian ELF file",
        )),
        Some(true) => Err(
            Failure::new("it asks for a dynamic loader (PT_INTERP)").remedy(
                "link it with -C target-feature=+crt-static; a static C library must be there",
            ),
        ),
        Some(false) => Ok(()),
    }
}

/// Whether one of the program headers is `PT_INTERP`; none when they cannot be read. Offsets are
/// those of `Elf64_Ehdr` and `Elf64_Phdr`.
fn interpreter_wanted(image: &[u8]) -> Option<bool> {
    if image.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(*image.get(32..)?.first_chunk()?)).ok()?;
    let entry = usize::from(u16::from_le_bytes(*image.get(54..)?.first_chunk()?));
    let count = usize::from(u16::from_le_bytes(*image.get(56..)?.first_chunk()?));
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(entry)?)?;
        if u32::from_le_bytes(*image.get(at..)?.first_chunk()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with the given program header types behind it.
    fn image(types: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(types.len()).unwrap();
        for kind in types {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 52]);
        }
        bytes
    }

    #[test]
    fn an_image_without_interpreter_is_static() {
        assert_eq!(require_static(&image(&[1, 1, 2])), Ok(()));
    }

    #[test]
    fn an_image_with_interpreter_is_refused_with_the_reason() {
        let failure = require_static(&image(&[1, PT_INTERP])).unwrap_err();
        assert!(failure.to_string().contains("PT_INTERP"));
    }

    #[test]
    fn what_is_no_elf_or_is_cut_short_is_refused() {
        assert!(require_static(b"#!/bin/sh").is_err());
        let whole = image(&[1, 1]);
        assert!(require_static(&whole[..100]).is_err());
    }

    #[test]
    fn this_test_itself_is_dynamic() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(require_static(&own).is_err());
    }
}
