//! The key with which a daemon signs what it exports: made once, known to itself.

use super::ExportError;
use crate::disks::staging::make_private_directory;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One is made at a time.
static TURN: Mutex<()> = Mutex::new(());
/// The longest file of a key, in bytes: they have 83.
const LONGEST: u64 = 4096;

/// The daemon's key; made where there is none yet, for its user alone.
///
/// # Errors
/// It cannot be read, written or understood.
pub fn own(path: &Path) -> Result<Ed25519KeyPair, ExportError> {
    let failed = |why: String| ExportError::Key {
        path: path.display().to_string(),
        why,
    };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            let read = file.take(LONGEST).read_to_end(&mut bytes);
            read.map_err(|error| failed(error.to_string()))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => bytes = make(path, &failed)?,
        Err(error) => return Err(failed(error.to_string())),
    }
    Ed25519KeyPair::from_pkcs8(&bytes).map_err(|error| failed(error.to_string()))
}

fn make(path: &Path, failed: &dyn Fn(String) -> ExportError) -> Result<Vec<u8>, ExportError> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.map_err(|_| failed("there is no randomness".into()))?;
    make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut options = File::options();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(made.as_ref())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| failed(error.to_string()))?;
    Ok(made.as_ref().to_vec())
}

/// A public key as people write it: 64 hexadecimal digits.
#[must_use]
pub fn shown(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The public key of a pair, as people write it.
#[must_use]
pub fn public(key: &Ed25519KeyPair) -> String {
    shown(key.public_key().as_ref())
}

/// Whether a text can be a public key.
#[must_use]
pub fn is_one(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
