//! Small files that look like the real ones, made in code.

use std::io::Write;

fn header(kind: u16, segments: u16, sections: u16, sections_at: u64) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(kind.to_le_bytes());
    file.extend(62_u16.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(64_u64.to_le_bytes());
    file.extend(sections_at.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for number in [64_u16, 56, segments, 64, sections, 1] {
        file.extend(number.to_le_bytes());
    }
    file
}

fn segment(kind: u32, offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(5_u32.to_le_bytes());
    for number in [offset, 0, 0, length, length, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}

fn section(name: u32, kind: u32, offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = name.to_le_bytes().to_vec();
    bytes.extend(kind.to_le_bytes());
    for number in [0, 0, offset, length, 0, 1, 0] {
        bytes.extend(u64::to_le_bytes(number));
    }
    bytes
}

/// A kernel with one segment that says its version.
pub(crate) fn vmlinux(version: &str) -> Vec<u8> {
    let text = format!("Linux version %s\0Linux version {version} (somebody) #1\0");
    let mut body = text.into_bytes();
    body.extend((0..40_000_u32).flat_map(|n| (n % 1000).to_le_bytes()));
    let mut file = header(2, 1, 0, 0);
    file.extend(segment(1, 120, body.len() as u64));
    file.extend(body);
    file
}

/// A program, with or without an interpreter.
pub(crate) fn program(dynamic: bool) -> Vec<u8> {
    let mut file = header(2, 1, 0, 0);
    file.extend(segment(if dynamic { 3 } else { 1 }, 0, 64));
    file
}

/// A kernel module with that `.modinfo`.
pub(crate) fn module(modinfo: &str) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.shstrtab\0.modinfo\0";
    let names_at = 64 + modinfo.len() as u64;
    let mut file = header(1, 0, 3, names_at + NAMES.len() as u64);
    file.extend(modinfo.as_bytes());
    file.extend(NAMES);
    file.extend(section(0, 0, 0, 0));
    file.extend(section(1, 3, names_at, NAMES.len() as u64));
    file.extend(section(11, 1, 64, modinfo.len() as u64));
    file
}

/// The length of bytes as archives have it.
pub(crate) fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("is short").to_le_bytes()
}

/// A payload with the size behind it, as the kernel's build adds it to all but gzip.
pub(crate) fn sized(mut packed: Vec<u8>, plain: &[u8]) -> Vec<u8> {
    packed.extend(length(plain));
    packed
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(plain).expect("packs");
    packer.finish().expect("packs")
}

pub(crate) fn xz(plain: &[u8]) -> Vec<u8> {
    let mut packer = liblzma::write::XzEncoder::new(Vec::new(), 1);
    packer.write_all(plain).expect("packs");
    packer.finish().expect("packs")
}

pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
}

pub(crate) fn lz4(plain: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x02, 0x21, 0x4c, 0x18];
    for block in plain.chunks(8 << 20) {
        let block = lz4_flex::block::compress(block);
        packed.extend(length(&block));
        packed.extend(block);
    }
    packed
}

/// A kernel image as boot loaders take it, boot protocol 2.15, around a payload.
pub(crate) fn bzimage(payload: &[u8]) -> Vec<u8> {
    const OFFSET: u32 = 0x40;
    let mut file = vec![0; 2 * 512 + OFFSET as usize];
    file[0x1f1] = 1;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&OFFSET.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&length(payload));
    file.extend(payload);
    file.extend([0xff; 100]);
    file
}

/// A tar of plain files, their directories left out.
pub(crate) fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, bytes.as_slice())
            .expect("is added");
    }
    archive.into_inner().expect("is finished")
}

/// A Debian package around its `data.tar`, `member` being that one's name.
pub(crate) fn deb(member: &str, data: &[u8]) -> Vec<u8> {
    let mut archive = ar::Builder::new(Vec::new());
    let control = gzip(&tar(&[]));
    for (name, bytes) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.gz", &control),
        (member, data),
    ] {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        archive.append(&header, bytes).expect("is added");
    }
    archive.into_inner().expect("is finished")
}

/// The files of a package of one kernel whose virtio modules need each other.
pub(crate) fn kernel_files(version: &str) -> Vec<(String, Vec<u8>)> {
    let modules = format!("./lib/modules/{version}");
    let kernel = format!("{modules}/kernel");
    vec![
        (
            format!("./boot/vmlinuz-{version}"),
            bzimage(&sized(lz4(&vmlinux(version)), &vmlinux(version))),
        ),
        (format!("./boot/config-{version}"), b"CONFIG_X".to_vec()),
        (
            format!("{kernel}/drivers/virtio/virtio.ko"),
            module("depends=\0name=virtio\0"),
        ),
        (
            format!("{kernel}/drivers/virtio/virtio_ring.ko.xz"),
            xz(&module("depends=virtio\0")),
        ),
        (
            format!("{kernel}/drivers/virtio/virtio_pci.ko"),
            module("alias=pci:v00001AF4d*sv*sd*bc*sc*i*\0depends=virtio_ring,virtio\0"),
        ),
        (
            format!("{kernel}/drivers/char/hw_random/virtio-rng.ko"),
            module("depends=virtio_ring\0"),
        ),
        (format!("{kernel}/fs/other/other.ko"), module("depends=\0")),
        (
            format!("{modules}/modules.builtin"),
            b"kernel/fs/ext4/ext4.ko\n".to_vec(),
        ),
    ]
}

/// The same as a package.
pub(crate) fn kernel_package(version: &str) -> Vec<u8> {
    let files = kernel_files(version);
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.clone()))
        .collect();
    deb("data.tar.xz", &xz(&tar(&files)))
}
