//! What an export says of itself.

use super::ExportError;
use super::error::of_stream;
use crate::snapshots::{FileDigest, Fingerprint, Part};
use banger_model::SandboxName;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

/// What every export begins with, whatever its form.
const MARK: &[u8; 14] = b"banger-export\n";
/// The form that is written, and the newest that is read.
const FORM: u32 = 2;
/// The longest manifest that is read, in bytes: they have three thousand.
const LONGEST: u32 = 256 << 10;
/// The largest part: 16 TiB, as the largest disk.
const LARGEST: u64 = 16 << 40;
/// The largest state of devices: it has a few MiB.
const LARGEST_DEVICES: u64 = 256 << 20;

/// A part of an export, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartName {
    /// The image's file system.
    Image,
    /// The system disk.
    System,
    /// The work disk.
    Work,
    /// The state of the guest's devices.
    Devices,
    /// The guest's memory.
    Memory,
}

impl PartName {
    /// What it is in a snapshot; the image is in none.
    pub(super) const fn of_snapshot(self) -> Option<Part> {
        match self {
            Self::Image => None,
            Self::System => Some(Part::SystemDisk),
            Self::Work => Some(Part::WorkDisk),
            Self::Devices => Some(Part::Devices),
            Self::Memory => Some(Part::Memory),
        }
    }
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartForm {
    /// Its length and digest.
    #[serde(flatten)]
    pub digest: FileDigest,
    /// Bytes of it that are no holes, at most: what it takes on the host.
    pub data: u64,
}

/// What an image is, but for its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePart {
    /// What it was called.
    pub name: String,
    /// SHA-256 of what it was made from.
    pub sha256: String,
    /// The processor that it is for.
    pub architecture: String,
    /// The path of its init system, if it has one.
    pub init: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Entries of what it was made from.
    pub entries: u64,
}

impl ImagePart {
    /// Its digest becomes a part of names, the rest a part of a manifest that is not read if it is too long.
    fn can_be(&self) -> bool {
        let is_digest =
            self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let init = self.init.as_ref().map_or(0, String::len);
        is_digest && self.name.len() <= 64 && self.architecture.len() <= 64 && init <= 4096
    }
}

/// What an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Its form.
    pub form: u32,
    /// When its moment was, in seconds since 1970.
    pub taken_at: u64,
    /// What the sandbox was called.
    pub name: String,
    /// What it was asked to be, as the store has it; nothing that is of its host alone.
    pub spec: String,
    /// Its image.
    pub image: ImagePart,
    /// Where its guest can go on; none without its memory.
    pub fingerprint: Option<Fingerprint>,
    /// Files of its disks whose content was left out, as secrets of the machine alone; none where the disks
    /// are as they were.
    #[serde(default)]
    pub blanked: Option<BTreeSet<String>>,
    /// What follows.
    pub parts: BTreeMap<PartName, PartForm>,
}

impl Form {
    /// The form that this banger writes.
    pub const NEWEST: u32 = FORM;

    /// Bytes that its parts take on the host, at most.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.parts.values().map(|part| part.data).sum()
    }

    /// Writes it, signed.
    pub(super) fn write(
        &self,
        key: &Ed25519KeyPair,
        into: &mut dyn Write,
    ) -> Result<(), ExportError> {
        let failed = |why| ExportError::Stream(io::Error::other(why));
        let text = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        if length > LONGEST {
            return Err(failed("its manifest is too long".into()));
        }
        let signed = [MARK.as_slice(), &length.to_be_bytes(), &text].concat();
        let signature = key.sign(&signed);
        for bytes in [&signed, key.public_key().as_ref(), signature.as_ref()] {
            into.write_all(bytes).map_err(ExportError::Stream)?;
        }
        Ok(())
    }

    /// Reads one, with the key that has signed it.
    pub(super) fn read(from: &mut dyn Read) -> Result<(Self, [u8; 32]), ExportError> {
        let mut mark = [0; MARK.len()];
        match from.read_exact(&mut mark) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ExportError::Other);
            }
            read => read.map_err(of_stream)?,
        }
        if mark != *MARK {
            return Err(ExportError::Other);
        }
        let mut length = [0; 4];
        from.read_exact(&mut length).map_err(of_stream)?;
        if u32::from_be_bytes(length) > LONGEST {
            return Err(ExportError::Damaged("its manifest is too long".into()));
        }
        let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0);
        let mut text = vec![0; size];
        let (mut key, mut signature) = ([0; 32], [0; 64]);
        for bytes in [text.as_mut_slice(), &mut key, &mut signature] {
            from.read_exact(bytes).map_err(of_stream)?;
        }
        let signed = [mark.as_slice(), &length, &text].concat();
        let verified = UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature);
        verified.map_err(|_| ExportError::Damaged("its signature is not of it".into()))?;
        let form = Self::parse(&text)?;
        Ok((form, key))
    }

    fn parse(text: &[u8]) -> Result<Self, ExportError> {
        #[derive(Deserialize)]
        struct Numbered {
            form: u32,
        }
        let damaged = |error: serde_json::Error| ExportError::Damaged(error.to_string());
        let Numbered { form } = serde_json::from_slice(text).map_err(damaged)?;
        if form > FORM {
            let known = FORM;
            return Err(ExportError::Newer { form, known });
        }
        let found: Self = serde_json::from_slice(text).map_err(damaged)?;
        match found.what_is_wrong() {
            None => Ok(found),
            Some(why) => Err(ExportError::Damaged(why.into())),
        }
    }

    fn what_is_wrong(&self) -> Option<&'static str> {
        let is_too_large = |(name, part): (&PartName, &PartForm)| {
            let largest = match name {
                PartName::Devices => LARGEST_DEVICES,
                _ => LARGEST,
            };
            part.digest.size > largest || part.data > part.digest.size
        };
        let has = |name| self.parts.contains_key(&name);
        if !self.image.can_be() || self.name.parse::<SandboxName>().is_err() {
            Some("it describes what cannot be")
        } else if self.parts.iter().any(is_too_large) {
            Some("a part has a length that cannot be")
        } else if !has(PartName::System) || !has(PartName::Work) {
            Some("it has not both disks")
        } else if has(PartName::Memory) != has(PartName::Devices) {
            Some("it has half of a guest")
        } else {
            None
        }
    }
}
