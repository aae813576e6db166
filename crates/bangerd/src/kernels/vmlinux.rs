//! From a kernel as distributions ship it to the ELF that a VMM boots.
//!
//! Offsets of the setup header: the kernel's documentation, "The Linux/x86 Boot Protocol".

use super::compression::{Format, UnpackError};
use super::elf::{Elf, ElfError, bytes_at, u16_at, u32_at};
use std::borrow::Cow;

/// The longest kernel that is unpacked, in bytes. With all of its symbols one has about 400 MiB.
pub(super) const LONGEST: u64 = 512 << 20;

/// The first boot protocol with `payload_offset` and `payload_length` (Linux 2.6.26).
const PROTOCOL_WITH_PAYLOAD: u16 = 0x0208;

/// Sectors of setup code when the header says 0, for historical reasons.
const SETUP_SECTORS_BY_DEFAULT: u64 = 4;

/// Why a file is not a kernel that can be booted.
#[derive(Debug, thiserror::Error)]
pub enum VmlinuxError {
    /// Neither of the two kinds of file.
    #[error("it is neither a bzImage nor an ELF of x86_64: {0}")]
    NotKernel(String),
    /// A bzImage that is too old.
    #[error("its boot protocol is {}.{:02}, 2.08 or newer is needed", .0 >> 8, .0 & 0xff)]
    Protocol(u16),
    /// A bzImage that is shorter than its header says.
    #[error("it is cut short: its payload ends at byte {end}, the file at {length}")]
    Truncated {
        /// Where the payload should end.
        end: u64,
        /// The file's length.
        length: u64,
    },
    /// A payload that is not compressed with gzip, xz, zstd or lz4.
    #[error("its payload begins with {0}: only gzip, xz, zstd and lz4 are known")]
    Payload(String),
    /// The payload cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It unpacks to another length than it says.
    #[error("it is damaged: it should unpack to {said} bytes (modulo 4 GiB), and does to {found}")]
    Size {
        /// By its own account.
        said: u32,
        /// In fact.
        found: u64,
    },
    /// What was unpacked, or given, is not an ELF of this machine.
    #[error("{0}")]
    Elf(#[from] ElfError),
}

/// The first bytes, for a message.
fn first_bytes(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if shown.is_empty() {
        return "nothing".to_owned();
    }
    shown.join(" ")
}

/// What a file is that is not a kernel of ours, as far as its magic numbers say.
fn describe(bytes: &[u8]) -> String {
    let known = match bytes {
        [] => Some("it is empty".to_owned()),
        _ if bytes_at(bytes, 0x38, 4) == Some(b"ARM\x64") => {
            Some("it is a kernel for arm64".to_owned())
        }
        _ if bytes_at(bytes, 0x30, 4) == Some(b"RISC") => {
            Some("it is a kernel for riscv".to_owned())
        }
        _ if bytes_at(bytes, 4, 4) == Some(b"zimg") => {
            Some("it is a compressed EFI kernel of another architecture".to_owned())
        }
        _ if bytes.starts_with(b"!<arch>\n") => Some("it is a package".to_owned()),
        _ => Format::of_bytes(bytes).map(|format| format!("it is {format} data")),
    };
    known.unwrap_or_else(|| format!("it begins with {}", first_bytes(bytes)))
}

/// The compressed kernel inside of a bzImage.
fn payload(image: &[u8]) -> Result<&[u8], VmlinuxError> {
    let is_image = bytes_at(image, 0x202, 4) == Some(b"HdrS")
        && bytes_at(image, 0x1fe, 2) == Some(&[0x55, 0xaa]);
    if !is_image {
        return Err(VmlinuxError::NotKernel(describe(image)));
    }
    let length = image.len() as u64;
    let cut = |end| VmlinuxError::Truncated { end, length };
    let protocol = u16_at(image, 0x206).ok_or_else(|| cut(0x208))?;
    if protocol < PROTOCOL_WITH_PAYLOAD {
        return Err(VmlinuxError::Protocol(protocol));
    }
    let setup_sectors = match image.get(0x1f1) {
        None | Some(0) => SETUP_SECTORS_BY_DEFAULT,
        Some(sectors) => u64::from(*sectors),
    };
    let number = |at| u32_at(image, at).map(u64::from).ok_or_else(|| cut(0x250));
    let start = (setup_sectors + 1) * 512 + number(0x248)?;
    let size = number(0x24c)?;
    bytes_at(image, start, size).ok_or_else(|| cut(start + size))
}

/// Unpacks a bzImage's payload. Its last 4 bytes are the plain length, which gzip has of itself
/// and the kernel's build adds to the others.
fn unpack(payload: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    let unknown = || VmlinuxError::Payload(first_bytes(payload));
    let format = Format::of_bytes(payload).ok_or_else(unknown)?;
    let (packed, size) = payload.split_last_chunk::<4>().ok_or_else(unknown)?;
    let packed = if format == Format::Gzip {
        payload
    } else {
        packed
    };
    let plain = format.unpack(packed, LONGEST)?;
    let (said, found) = (u32::from_le_bytes(*size), plain.len() as u64);
    if found & u64::from(u32::MAX) != u64::from(said) {
        return Err(VmlinuxError::Size { said, found });
    }
    Ok(plain)
}

/// The uncompressed kernel in a bzImage or an ELF, checked to be whole and for x86-64.
pub(super) fn extract(image: &[u8]) -> Result<Cow<'_, [u8]>, VmlinuxError> {
    let kernel = if image.starts_with(b"\x7fELF") {
        Cow::Borrowed(image)
    } else {
        Cow::Owned(unpack(payload(image)?)?)
    };
    Elf::parse(&kernel)?.check_whole()?;
    Ok(kernel)
}

/// The version that a kernel says of itself, as `uname -r` does.
pub(super) fn version(kernel: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    const LONGEST_RELEASE: usize = 64;
    let versions = memory_find(kernel, BANNER).map(|at| {
        let rest = kernel.get(at + BANNER.len()..).unwrap_or_default();
        let end = rest
            .iter()
            .take(LONGEST_RELEASE)
            .position(|b| !is_release_byte(*b));
        rest.get(..end.unwrap_or(0)).unwrap_or_default()
    });
    versions
        .filter(|version| version.first().is_some_and(u8::is_ascii_digit))
        .find_map(|version| String::from_utf8(version.to_vec()).ok())
}

fn is_release_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte)
}

/// Where a text occurs.
fn memory_find<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = text.first().copied().unwrap_or_default();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(from..)?;
            let at = from + rest.iter().position(|byte| *byte == first)?;
            from = at + 1;
            if bytes.get(at..)?.starts_with(text) {
                return Some(at);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, sized};
    use super::*;
    use proptest::prelude::*;

    fn words(image: &[u8]) -> String {
        extract(image).expect_err("is refused").to_string()
    }

    #[test]
    fn every_way_of_packing_gives_the_same_kernel() {
        let plain = fixtures::vmlinux("6.1.0-56-cloud-amd64");
        for payload in [
            fixtures::gzip(&plain),
            sized(fixtures::xz(&plain), &plain),
            sized(fixtures::zstd(&plain), &plain),
            sized(fixtures::lz4(&plain), &plain),
        ] {
            let image = fixtures::bzimage(&payload);
            assert!(*extract(&image).expect("is a kernel") == *plain);
        }
        assert!(*extract(&plain).expect("passes through") == *plain);
    }

    #[test]
    fn a_kernel_says_its_version() {
        let kernel = fixtures::vmlinux("6.12.3+deb13-amd64");
        assert_eq!(version(&kernel).as_deref(), Some("6.12.3+deb13-amd64"));
        assert_eq!(version(b"Linux version %s"), None);
        assert_eq!(version(b"Linux version 6.1"), None);
    }

    #[test]
    fn a_truncated_or_altered_image_says_so() {
        let plain = fixtures::vmlinux("6.1.0");
        let image = fixtures::bzimage(&sized(fixtures::lz4(&plain), &plain));
        assert!(words(&image[..image.len() - 200]).starts_with("it is cut short"));
        assert!(words(&image[..0x249]).starts_with("it is cut short"));
        let lying = fixtures::bzimage(&sized(fixtures::lz4(&plain), b"short"));
        assert!(words(&lying).contains("should unpack to 5 bytes"));
        let short = fixtures::bzimage(&sized(fixtures::xz(&plain)[..500].to_vec(), &plain));
        assert!(words(&short).contains("its xz data is damaged or cut short"));
        let nothing = fixtures::bzimage(b"");
        assert!(words(&nothing).contains("begins with nothing"));
        let bzip = fixtures::bzimage(b"BZh91AY&SY");
        assert!(words(&bzip).contains("42 5a 68 39"));
    }

    #[test]
    fn what_is_not_a_kernel_of_this_machine_is_named() {
        let mut other = fixtures::vmlinux("6.1.0");
        other[18] = 183;
        assert!(words(&other).contains("arm64"));
        let packed = fixtures::bzimage(&fixtures::gzip(&other));
        assert!(words(&packed).contains("arm64"));
        let mut arm = vec![0; 64];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert!(words(&arm).contains("a kernel for arm64"));
        assert!(words(&fixtures::gzip(b"x")).contains("it is gzip data"));
        assert!(words(b"").contains("it is empty"));
        assert!(words(b"hello!").contains("68 65 6c 6c 6f 21"));
        let mut old = fixtures::bzimage(b"");
        old[0x206..0x208].copy_from_slice(&[4, 2]);
        assert!(words(&old).contains("is 2.04"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            at in 0x1f0..0x250_usize,
            bytes in proptest::collection::vec(any::<u8>(), 1..80),
        ) {
            let mut image = fixtures::bzimage(&fixtures::gzip(&fixtures::program(false)));
            for (n, byte) in bytes.iter().enumerate() {
                image[at + n] = *byte;
            }
            let _ = extract(&image);
            let _ = extract(&bytes);
        }
    }
}
