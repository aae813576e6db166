//! What an image says of itself, in `manifest.json` beside its disk.

use super::error::ImageError;
use crate::disks::DiskError;
use banger_model::ArtifactName;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

/// The newest form of the file that this program knows.
const SCHEMA: u64 = 1;

/// Largest manifest that is read, in bytes: they have a few hundred.
const LARGEST: u64 = 64 << 10;

/// What an image is and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// Its name.
    pub name: ArtifactName,
    /// SHA-256 of the stream that it was made from, as it was read (packed), in hexadecimal.
    pub sha256: String,
    /// Where the stream came from: a file's name, or how it was bootstrapped.
    pub origin: String,
    /// The processor that its programs are for, or `unknown` when it has none.
    pub architecture: String,
    /// The path of its init system inside of the image, when it has one.
    pub init: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes that its disk takes on the host.
    pub size: u64,
}

/// The stored form of [`ImageManifest`]: changes only with [`SCHEMA`].
#[derive(Serialize, Deserialize)]
struct Stored {
    schema: u64,
    name: ArtifactName,
    sha256: String,
    origin: String,
    architecture: String,
    init: Option<String>,
    created: u64,
    entries: u64,
    size: u64,
}

/// As much of every form, newer ones included, as it takes to tell which it is.
#[derive(Deserialize)]
struct Form {
    schema: u64,
}

impl ImageManifest {
    /// Writes it to a path that is free; it is durable when this returns.
    pub(crate) fn write(&self, path: &Path) -> Result<(), DiskError> {
        let manifest = self.clone();
        let stored = Stored {
            schema: SCHEMA,
            name: manifest.name,
            sha256: manifest.sha256,
            origin: manifest.origin,
            architecture: manifest.architecture,
            init: manifest.init,
            created: manifest.created,
            entries: manifest.entries,
            size: manifest.size,
        };
        let mut text = serde_json::to_vec_pretty(&stored)
            .map_err(|error| DiskError::io("write", path)(error.into()))?;
        text.push(b'\n');
        File::create_new(path)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .map_err(DiskError::io("write", path))
    }

    /// Reads one. It must be the manifest of the image `name`.
    pub(crate) fn read(path: &Path, name: &ArtifactName) -> Result<Self, ImageError> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
            .map_err(DiskError::io("read", path))?;
        let damaged = |why: String| ImageError::Manifest {
            path: path.to_owned(),
            why,
        };
        if text.len() as u64 > LARGEST {
            return Err(damaged(format!("it is longer than {LARGEST} bytes")));
        }
        let form: Form =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if form.schema > SCHEMA {
            return Err(ImageError::Newer {
                path: path.to_owned(),
                schema: form.schema,
                known: SCHEMA,
            });
        }
        let stored: Stored =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if stored.name != *name {
            return Err(damaged(format!("it is the manifest of {}", stored.name)));
        }
        Ok(Self {
            name: stored.name,
            sha256: stored.sha256,
            origin: stored.origin,
            architecture: stored.architecture,
            init: stored.init,
            created: stored.created,
            entries: stored.entries,
            size: stored.size,
        })
    }
}

#[cfg(test)]
mod tests {
    mod t1 {
        use super::super::*;

        fn manifest() -> ImageManifest {
            ImageManifest {
                name: "debian".parse().expect("is a name"),
                sha256: "00".repeat(32),
                origin: "a file".to_owned(),
                architecture: "x86_64".to_owned(),
                init: None,
                created: 1_700_000_000,
                entries: 3,
                size: 4096,
            }
        }

        fn read(text: &str) -> Result<ImageManifest, ImageError> {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("manifest.json");
            std::fs::write(&path, text).expect("writes");
            ImageManifest::read(&path, &manifest().name)
        }

        #[test]
        fn a_manifest_reads_back_and_is_never_replaced() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("manifest.json");
            manifest().write(&path).expect("writes");
            let name = manifest().name;
            assert_eq!(
                ImageManifest::read(&path, &name).expect("reads"),
                manifest()
            );
            assert!(manifest().write(&path).is_err());
            let other = "other".parse().expect("is a name");
            assert!(ImageManifest::read(&path, &other).is_err());
        }

        #[test]
        fn a_newer_or_damaged_manifest_is_named() {
            let newer =
                read(r#"{"schema": 2, "name": ["of another form"]}"#).expect_err("is newer");
            assert!(
                matches!(newer, ImageError::Newer { schema: 2, .. }),
                "{newer}"
            );
            for text in ["", "{", "[]", r#"{"schema": 1}"#, &" ".repeat(100_000)] {
                let error = read(text).expect_err("is damaged").to_string();
                assert!(error.contains("manifest.json is damaged"), "{error}");
            }
        }
    }
}
