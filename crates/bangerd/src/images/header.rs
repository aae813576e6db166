//! The fields of one tar header.

use super::{archive::BLOCK, entry::Meta, pax::Records};
use std::io;
use tar::Header;

/// The sum that the header's own field should have.
pub(super) fn checksum(block: &[u8; BLOCK]) -> u32 {
    let bytes = block.iter().enumerate();
    // The field of the checksum itself counts as spaces.
    bytes
        .map(|(at, byte)| {
            u32::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum()
}

/// Owner, mode, time and attributes; what stands in extended records counts.
pub(super) fn meta(header: &Header, records: &Records) -> Result<Meta, &'static str> {
    let fields = header.as_old();
    let owner = |key, field: &[u8], value: io::Result<u64>| {
        let id = records.number(key).or_else(|| number(field, value));
        id.and_then(|id| u32::try_from(id).ok())
            .ok_or("an owner that is out of range")
    };
    let mode =
        number(&fields.mode, header.mode().map(u64::from)).ok_or("a mode that is no number")?;
    let mtime = match records.mtime() {
        Some(mtime) => mtime,
        None => {
            let seconds =
                number(&fields.mtime, header.mtime()).ok_or("a time that is no number")?;
            // Times before 1970 are stored as negative numbers of the same width.
            (seconds.cast_signed(), 0)
        }
    };
    Ok(Meta {
        mode: u16::try_from(mode & 0o7777).unwrap_or(0o644),
        uid: owner("uid", &fields.uid, header.uid())?,
        gid: owner("gid", &fields.gid, header.gid())?,
        mtime,
        xattrs: records.xattrs(),
    })
}

/// The value of a field; some writers leave one blank where they mean 0.
fn number(field: &[u8], value: io::Result<u64>) -> Option<u64> {
    let blank = field.iter().all(|byte| matches!(byte, 0 | b' '));
    if blank { Some(0) } else { value.ok() }
}
