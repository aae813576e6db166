//! Small files that tests make themselves.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a directory that only its owner can enter.
///
/// # Panics
/// When it cannot be made.
pub fn private_directory(path: &Path) {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .expect("a directory");
}

/// The header of an ELF64 x86-64 program without program headers: what says of itself that it is
/// static. Never run.
#[must_use]
pub fn static_elf() -> Vec<u8> {
    let mut elf = vec![0; 64];
    let identity = [0x7f, b'E', b'L', b'F', 2, 1, 1];
    elf[..7].copy_from_slice(&identity);
    elf[16] = 2; // ET_EXEC
    elf[18] = 62; // EM_X86_64
    elf[20] = 1; // EV_CURRENT
    elf[52] = 64; // e_ehsize
    elf[54] = 56; // e_phentsize
    elf
}

/// What passes for an uncompressed kernel.
#[must_use]
pub fn kernel_elf() -> Vec<u8> {
    let mut elf = static_elf();
    elf.extend_from_slice(b"Linux version 0.0.0-simulated (test)\n");
    elf.resize(4096, 0);
    elf
}

/// A root file system with one directory and one file, as an uncompressed tar.
#[must_use]
pub fn small_tar() -> Vec<u8> {
    let mut tar = Vec::new();
    tar.extend(tar_entry("etc/", b'5', &[]));
    tar.extend(tar_entry("etc/os-release", b'0', b"ID=test\n"));
    tar.extend([0; 1024]);
    tar
}

/// One ustar entry (POSIX.1-2001, pax) of kind `0` (file), `5` (directory) or, of our own, `x` (a file
/// that can be executed).
///
/// # Panics
/// When the name is longer than a plain header takes.
#[must_use]
pub fn tar_entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    let mode = if kind == b'0' {
        b"0000644\0"
    } else {
        b"0000755\0"
    };
    block[100..108].copy_from_slice(mode);
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = if kind == b'x' { b'0' } else { kind };
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}
