//! What is known of an imported kernel, and its stored form.

use super::KernelError;
use crate::disks::DiskError;
use banger_model::ArtifactName;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

/// The stored form that is written, and the newest that is read.
const SCHEMA: u32 = 1;

/// The longest manifest that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// What is known of an imported kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelManifest {
    /// Its name here.
    pub name: ArtifactName,
    /// Its own version, as `uname -r` says it; `unknown` for one that does not say.
    pub version: String,
    /// The machine that it is for, as `uname -m` says it.
    pub architecture: String,
    /// Length of `vmlinux` in bytes: tells one that was cut off without reading it.
    pub length: u64,
    /// SHA-256 of `vmlinux`, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of `modules.ext4`, in hexadecimal, if it has modules.
    pub modules_sha256: Option<String>,
    /// Whether it may know the VM generation id device (`CONFIG_VMGENID`): not where its own lists of modules
    /// and of what is built in say that it does not.
    pub generation_id: bool,
    /// Where it came from, for people to read.
    pub origin: String,
    /// When it was imported, in seconds of the Unix epoch.
    pub imported: u64,
}

/// The form in `manifest.json`. Fields may be added with a default; anything else is a new number.
#[derive(Serialize, Deserialize)]
struct Stored {
    schema: u32,
    name: String,
    version: String,
    architecture: String,
    length: u64,
    sha256: String,
    #[serde(default)]
    modules_sha256: Option<String>,
    #[serde(default = "may_know")]
    generation_id: bool,
    origin: String,
    imported: u64,
}

/// Of a kernel that was imported before anybody looked.
const fn may_know() -> bool {
    true
}

/// What every form has, older and newer.
#[derive(Deserialize)]
struct Numbered {
    schema: u32,
}

fn to_json(manifest: &KernelManifest) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Stored {
        schema: SCHEMA,
        name: manifest.name.to_string(),
        version: manifest.version.clone(),
        architecture: manifest.architecture.clone(),
        length: manifest.length,
        sha256: manifest.sha256.clone(),
        modules_sha256: manifest.modules_sha256.clone(),
        generation_id: manifest.generation_id,
        origin: manifest.origin.clone(),
        imported: manifest.imported,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn from_json(directory: &Path, bytes: &[u8]) -> Result<KernelManifest, KernelError> {
    let unusable = |problem: String| KernelError::Stored {
        directory: directory.to_owned(),
        problem,
    };
    let damaged = |error: serde_json::Error| unusable(format!("its manifest is damaged: {error}"));
    let Numbered { schema } = serde_json::from_slice(bytes).map_err(damaged)?;
    if schema > SCHEMA {
        return Err(KernelError::Newer {
            directory: directory.to_owned(),
            found: schema,
            known: SCHEMA,
        });
    }
    let stored: Stored = serde_json::from_slice(bytes).map_err(damaged)?;
    let name = stored.name.parse();
    Ok(KernelManifest {
        name: name.map_err(|error| unusable(format!("its manifest is damaged: {error}")))?,
        version: stored.version,
        architecture: stored.architecture,
        length: stored.length,
        sha256: stored.sha256,
        modules_sha256: stored.modules_sha256,
        generation_id: stored.generation_id,
        origin: stored.origin,
        imported: stored.imported,
    })
}

/// Writes `manifest.json` into a kernel's directory.
pub(super) fn write(directory: &Path, manifest: &KernelManifest) -> Result<(), DiskError> {
    let path = directory.join("manifest.json");
    let written = to_json(manifest)
        .map_err(std::io::Error::other)
        .and_then(|bytes| {
            let mut file = File::create(&path)?;
            file.write_all(&bytes)?;
            file.sync_all()
        });
    written.map_err(DiskError::io("write", &path))
}

/// Reads `manifest.json` of a kernel's directory.
pub(super) fn read(directory: &Path) -> Result<KernelManifest, KernelError> {
    let path = directory.join("manifest.json");
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .map_err(DiskError::io("read", &path))?;
    from_json(directory, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> KernelManifest {
        KernelManifest {
            length: 4096,
            name: "default".parse().expect("is a name"),
            version: "6.1.0".to_owned(),
            architecture: "x86_64".to_owned(),
            sha256: "00".repeat(32),
            modules_sha256: None,
            generation_id: false,
            origin: "somewhere".to_owned(),
            imported: 1_700_000_000,
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let bytes = to_json(&manifest()).expect("is written");
        let read = from_json(Path::new("/k"), &bytes).expect("is read");
        assert_eq!(read, manifest());
    }

    #[test]
    fn one_that_was_imported_before_anybody_looked_may_know_the_generation_id() {
        let bytes = to_json(&manifest()).expect("is written");
        let text = String::from_utf8(bytes).expect("is text");
        let old = text.replace("\"generation_id\": false,", "");
        assert_ne!(old, text);
        let read = from_json(Path::new("/k"), old.as_bytes()).expect("is read");
        assert!(read.generation_id);
    }

    #[test]
    fn a_newer_form_is_refused_whatever_else_it_has() {
        let error = from_json(Path::new("/k"), br#"{"schema": 2, "x": []}"#).expect_err("newer");
        assert!(
            matches!(error, KernelError::Newer { found: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_manifest_is_named_with_its_directory() {
        for bytes in [&b""[..], b"{}", br#"{"schema": 1}"#] {
            let error = from_json(Path::new("/k"), bytes).expect_err("is damaged");
            assert!(
                error
                    .to_string()
                    .starts_with("the kernel in /k cannot be used"),
                "{error}"
            );
        }
        let bytes = to_json(&manifest()).expect("is written");
        let text = String::from_utf8(bytes).expect("is text");
        let evil = text.replace("\"default\"", "\"../evil\"");
        assert!(from_json(Path::new("/k"), evil.as_bytes()).is_err());
    }
}
