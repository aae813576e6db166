//! The hello that begins every connection: `magic, nonce u64, length u32, body, nonce u64`.

use serde::{Deserialize, Serialize};

/// Begins the host's hello.
pub const HOST_MAGIC: [u8; 16] = *b"\xb9banger-host-1\r\n";
/// Begins the guest's answer.
pub const GUEST_MAGIC: [u8; 16] = *b"\xb9banger-guest1\r\n";
/// Zeros that the host sends before its hello: as many as the longest frame has bytes, so that a
/// frame that was cut off in an earlier connection is over, and fails its epoch.
pub const FLUSH: usize = 65_536;
/// The longest body of a hello.
pub const MAX_BODY: usize = 4096;

/// Seconds and nanoseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixTime {
    /// Whole seconds.
    pub seconds: u64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// What the host says first. Fields are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostHello {
    /// The newest generation that the host speaks.
    pub generation: u16,
    /// The host's time: the guest's clock may have stood still.
    pub time: UnixTime,
    /// Fresh random bytes for the guest's kernel: it may be one of several copies.
    pub entropy: [u8; 32],
}

/// What the guest answers. Fields are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestHello {
    /// The generation that the agent speaks.
    pub generation: u16,
    /// The agent's version.
    pub version: String,
    /// Random, made when the agent started: another value is another boot.
    pub boot: [u8; 16],
    /// Whether `configure` has been done in this boot.
    pub configured: bool,
}

/// The bits of a connection's nonce that close each of its frames; never zero, so that a flush
/// cannot close one.
#[must_use]
pub const fn epoch(nonce: u64) -> u32 {
    // The low half.
    let low = (nonce & 0xffff_ffff) as u32;
    if low == 0 { 1 } else { low }
}

/// Appends a hello.
///
/// # Errors
/// When the body cannot be encoded or is longer than [`MAX_BODY`].
pub fn write<T: Serialize>(
    out: &mut Vec<u8>,
    magic: [u8; 16],
    nonce: u64,
    body: &T,
) -> Result<(), postcard::Error> {
    let body = postcard::to_allocvec(body)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= MAX_BODY)
        .ok_or(postcard::Error::SerializeBufferFull)?;
    out.extend_from_slice(&magic);
    out.extend_from_slice(&nonce.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&nonce.to_le_bytes());
    Ok(())
}

/// Appends all that a host sends to begin a connection: the flush, then its hello.
///
/// # Errors
/// As [`write`].
pub fn write_host(out: &mut Vec<u8>, nonce: u64, body: &HostHello) -> Result<(), postcard::Error> {
    out.resize(out.len() + FLUSH, 0);
    write(out, HOST_MAGIC, nonce, body)
}
