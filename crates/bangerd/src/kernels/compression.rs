//! The four ways in which kernels, modules and packages come compressed, each as a bounded stream.

use super::lz4_legacy::Lz4Legacy;
use std::{
    fmt,
    io::{self, Read},
};

/// Memory that an xz stream may ask for, in bytes: its largest preset takes 65 MiB, a kernel's
/// payload is made with a window of up to 128 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// The largest window of a zstd stream, in bytes: kernels are made with `-22 --ultra`, 128 MiB.
const ZSTD_WINDOW: u64 = 128 << 20;

/// A compressed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Xz,
    Zstd,
    /// The format of `lz4 -l`, which kernels use.
    Lz4Legacy,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4Legacy => "lz4",
        })
    }
}

/// Why compressed bytes could not be had in plain.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// More than there may be.
    #[error("it unpacks to more than {}", banger_model::size::show_bytes(*.0))]
    TooLong(u64),
    /// The compressed bytes are wrong.
    #[error("its {format} data is damaged or cut short: {source}")]
    Damaged {
        /// The format.
        format: String,
        /// What its decoder said.
        source: io::Error,
    },
}

impl Format {
    /// By the bytes that a file begins with.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4Legacy),
            _ => None,
        }
    }

    /// By the end of a file's name; none for a name that says nothing.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "gz" => Some(Self::Gzip),
            "xz" => Some(Self::Xz),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The plain bytes of a stream.
    pub(super) fn reader<'a>(self, packed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::GzDecoder::new(packed)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)
                    .map_err(io::Error::other)?;
                Box::new(liblzma::read::XzDecoder::new_stream(packed, stream))
            }
            Self::Zstd => Box::new(
                ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, ZSTD_WINDOW)
                    .map_err(io::Error::other)?,
            ),
            Self::Lz4Legacy => Box::new(Lz4Legacy::new(packed)?),
        })
    }

    /// The plain bytes, at most `limit` of them.
    pub(super) fn unpack(self, packed: &[u8], limit: u64) -> Result<Vec<u8>, UnpackError> {
        let damaged = |source| UnpackError::Damaged {
            format: self.to_string(),
            source,
        };
        let mut plain = Vec::new();
        self.reader(packed)
            .map_err(damaged)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut plain)
            .map_err(damaged)?;
        if plain.len() as u64 > limit {
            return Err(UnpackError::TooLong(limit));
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use proptest::prelude::*;

    const ALL: [Format; 4] = [Format::Gzip, Format::Xz, Format::Zstd, Format::Lz4Legacy];

    fn pack(format: Format, plain: &[u8]) -> Vec<u8> {
        match format {
            Format::Gzip => fixtures::gzip(plain),
            Format::Xz => fixtures::xz(plain),
            Format::Zstd => fixtures::zstd(plain),
            Format::Lz4Legacy => fixtures::lz4(plain),
        }
    }

    #[test]
    fn what_was_packed_comes_out_again_in_every_format() {
        let plain = fixtures::vmlinux("6.1.0");
        for format in ALL {
            let packed = pack(format, &plain);
            assert_eq!(Format::of_bytes(&packed), Some(format));
            let limit = plain.len() as u64;
            assert!(
                format.unpack(&packed, limit).expect("unpacks") == plain,
                "{format}"
            );
            let error = format.unpack(&packed, limit - 1).expect_err("too long");
            assert!(
                matches!(error, UnpackError::TooLong(_)),
                "{format}: {error}"
            );
        }
    }

    #[test]
    fn a_stream_that_lost_its_end_is_damaged_in_every_format() {
        let plain = fixtures::vmlinux("6.1.0");
        for format in ALL {
            let packed = pack(format, &plain);
            let error = format
                .unpack(&packed[..packed.len() - 5], 1 << 30)
                .expect_err("is cut short");
            assert!(error.to_string().contains(&format.to_string()), "{error}");
        }
    }

    proptest! {
        #[test]
        fn garbage_behind_the_magic_never_panics(
            which in 0..4_usize,
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut packed = pack(ALL[which], b"plain");
            packed.truncate(6);
            packed.extend(bytes);
            let _ = ALL[which].unpack(&packed, 1 << 16);
        }

        #[test]
        fn a_flipped_byte_never_panics(which in 0..4_usize, at in 0..200_usize, mask in 1..=255_u8) {
            let mut packed = pack(ALL[which], &fixtures::module("depends=a\0"));
            let at = at % packed.len();
            packed[at] ^= mask;
            let _ = ALL[which].unpack(&packed, 1 << 16);
        }
    }
}
