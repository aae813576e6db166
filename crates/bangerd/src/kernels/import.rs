//! From the files of a source to a kernel's directory, built aside.

use super::{
    KernelError, KernelManifest, boot_modules, manifest, module_tables, modules_disk,
    source_files::{Content, SourceFiles},
    vmlinux,
};
use crate::{
    disks::{DiskError, space},
    progress::Progress,
};
use banger_model::ArtifactName;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Names of files in a kernel's directory.
pub(super) const VMLINUX: &str = "vmlinux";
pub(super) const MODULES_DISK: &str = "modules.ext4";
pub(super) const BOOT_MODULES: &str = "boot-modules";

/// Bytes in hexadecimal.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_digest(path: &Path) -> Result<String, DiskError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let read = File::open(path).and_then(|mut file| {
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                read => digest.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    });
    read.map_err(DiskError::io("read", path))?;
    Ok(hexadecimal(&digest.finalize()))
}

/// Unpacks the kernel itself; its digest and its version.
fn build_vmlinux(
    files: &SourceFiles,
    directory: &Path,
) -> Result<(String, Option<String>), KernelError> {
    let image = files
        .image
        .read(vmlinux::LONGEST)
        .map_err(DiskError::io("read", Path::new(&files.image_name)))?;
    let kernel = vmlinux::extract(&image).map_err(|source| KernelError::Image {
        image: files.image_name.clone(),
        source,
    })?;
    let path = directory.join(VMLINUX);
    space::require(directory, kernel.len() as u64)?;
    File::create(&path)
        .and_then(|mut file| file.write_all(&kernel).and_then(|()| file.sync_all()))
        .map_err(DiskError::io("write", &path))?;
    Ok((
        hexadecimal(&Sha256::digest(&kernel)),
        vmlinux::version(&kernel),
    ))
}

/// What the modules of a kernel tell.
struct Modules {
    /// Of the module disk, if there are any.
    sha256: Option<String>,
    /// See [`KernelManifest::generation_id`].
    generation_id: bool,
}

/// The driver of the VM generation id (`drivers/virt/vmgenid.c`).
const GENERATION_ID: &str = "vmgenid";

/// Makes the module disk and takes the boot modules out.
fn build_modules(
    files: &mut SourceFiles,
    directory: &Path,
    progress: &Progress,
) -> Result<Modules, KernelError> {
    if files.modules.is_empty() {
        return Ok(Modules {
            sha256: None,
            generation_id: true,
        });
    }
    progress.stage("reading the modules");
    let set = boot_modules::survey(&files.modules, progress)?;
    boot_modules::write(
        &directory.join(BOOT_MODULES),
        &set,
        &files.modules,
        progress,
    )?;
    // What depmod made knows more, from the symbols, than the modules say: it is kept.
    if !files.modules.contains_key("modules.dep") {
        let tables = module_tables::of(&set).into_iter();
        files
            .modules
            .extend(tables.map(|(name, bytes)| (name.to_owned(), Content::memory(bytes))));
    }
    progress.check()?;
    progress.stage("making the module disk");
    let path = directory.join(MODULES_DISK);
    space::require(
        directory,
        files.modules.values().map(|file| file.size).sum(),
    )?;
    modules_disk::build(&path, &files.modules, progress)?;
    Ok(Modules {
        sha256: Some(file_digest(&path)?),
        generation_id: set.may_have(GENERATION_ID),
    })
}

/// A module tree of another kernel would be refused by this one, module for module.
fn check_same_version(files: &SourceFiles, version: Option<&str>) -> Result<(), KernelError> {
    match (version, files.modules_version.as_deref()) {
        (Some(kernel), Some(modules)) if kernel != modules => Err(KernelError::Source {
            path: files.image_name.clone().into(),
            problem: format!("the kernel is {kernel}, the modules are for {modules}"),
        }),
        _ => Ok(()),
    }
}

/// Builds everything of a kernel in an empty directory.
pub(super) fn build(
    mut files: SourceFiles,
    directory: &Path,
    name: &ArtifactName,
    origin: String,
    progress: &Progress,
) -> Result<KernelManifest, KernelError> {
    progress.stage("unpacking the kernel");
    let (sha256, version) = build_vmlinux(&files, directory)?;
    check_same_version(&files, version.as_deref())?;
    let modules = build_modules(&mut files, directory, progress)?;
    let manifest = KernelManifest {
        name: name.clone(),
        version: version
            .or(files.modules_version)
            .unwrap_or_else(|| "unknown".to_owned()),
        architecture: "x86_64".to_owned(),
        length: directory
            .join(VMLINUX)
            .metadata()
            .map_err(DiskError::io("look at", directory))?
            .len(),
        sha256,
        modules_sha256: modules.sha256,
        generation_id: modules.generation_id,
        origin,
        imported: seconds_now().map_err(DiskError::io("date", directory))?,
    };
    manifest::write(directory, &manifest)?;
    Ok(manifest)
}

fn seconds_now() -> io::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).map_err(io::Error::other)
}
