//! Compressed streams, recognised by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

/// Most memory that unpacking one stream may take: the window of `xz -9` is 64 MiB, that of
/// `zstd --long` 128 MiB.
const MOST_MEMORY: u64 = 192 << 20;

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Xz,
    Zstd,
    /// Known, but not unpacked here; with its name.
    Foreign(&'static str),
}

/// Recognises a stream by its beginning (6 bytes are enough).
pub(crate) fn recognise(head: &[u8]) -> Packing {
    match head {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
        // A frame, or one that is to be skipped, as parallel packers put in front.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Packing::Foreign("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Packing::Foreign("lz4"),
        [0x5d, 0, 0, _, _, ..] => Packing::Foreign("lzma"),
        [b'L', b'Z', b'I', b'P', ..] => Packing::Foreign("lzip"),
        _ => Packing::Plain,
    }
}

/// The unpacked content of a stream, whatever it is packed with.
pub(crate) fn unpacked<'a>(stream: impl Read + 'a) -> io::Result<(Packing, Box<dyn Read + 'a>)> {
    let mut stream = BufReader::with_capacity(256 << 10, stream);
    let packing = recognise(fill(&mut stream)?);
    let unpacked: Box<dyn Read + 'a> = match packing {
        Packing::Plain | Packing::Foreign(_) => Box::new(stream),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Packing::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(
                MOST_MEMORY,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stream, decoder))
        }
        Packing::Zstd => Box::new(ZstdFrames::Between(stream)),
    };
    Ok((packing, unpacked))
}

/// The buffered beginning: at least 6 bytes unless the stream is shorter, given that its first read
/// gives that many, as files and pipes do.
fn fill(stream: &mut impl BufRead) -> io::Result<&[u8]> {
    loop {
        match stream.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => return stream.fill_buf(),
        }
    }
}

type Frame<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

/// One zstd frame after another until the stream ends.
enum ZstdFrames<R: BufRead> {
    Between(R),
    Within(Box<Frame<R>>),
    Ended,
}

impl<R: BufRead> ZstdFrames<R> {
    /// Begins the next frame; skips frames that carry no content.
    fn begin(mut stream: R) -> io::Result<Self> {
        loop {
            let head = fill(&mut stream)?;
            if head.is_empty() {
                return Ok(Self::Ended);
            }
            if !matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
                let most = MOST_MEMORY;
                let frame = Frame::new_with_max_window_size(stream, most).map_err(damaged)?;
                return Ok(Self::Within(Box::new(frame)));
            }
            let mut header = [0; 8];
            stream.read_exact(&mut header)?;
            let [_, _, _, _, a, b, c, d] = header;
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(0),
                Self::Between(stream) => *self = Self::begin(stream)?,
                Self::Within(mut frame) => {
                    let read = frame.read(into)?;
                    if read > 0 || into.is_empty() {
                        *self = Self::Within(frame);
                        return Ok(read);
                    }
                    *self = Self::Between(frame.into_inner());
                }
            }
        }
    }
}

/// Packed samples for tests of whoever reads packed streams.
#[cfg(test)]
pub(crate) mod samples {
    use std::io::Write;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    }
    pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    }
    pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> io::Result<(Packing, Vec<u8>)> {
        let (packing, mut stream) = unpacked(bytes)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        Ok((packing, all))
    }

    fn text() -> Vec<u8> {
        b"some words again and again ".repeat(5000)
    }

    #[test]
    fn each_packing_is_recognised_and_unpacked() {
        let cases = [
            (Packing::Plain, text()),
            (Packing::Gzip, samples::gzip(&text())),
            (Packing::Xz, samples::xz(&text())),
            (Packing::Zstd, samples::zstd(&text())),
        ];
        for (packing, bytes) in cases {
            assert_eq!(read(&bytes).expect("unpacks"), (packing, text()));
        }
    }

    #[test]
    fn streams_packed_in_parts_are_read_to_the_end() {
        let (half, rest) = (&text()[..999], &text()[999..]);
        for pack in [samples::gzip, samples::xz, samples::zstd] {
            let parts = [pack(half), pack(rest)].concat();
            assert_eq!(read(&parts).expect("unpacks").1, text());
        }
        let skipped = [
            &[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9],
            &samples::zstd(b"x")[..],
        ];
        assert_eq!(read(&skipped.concat()).expect("unpacks").1, b"x");
    }

    #[test]
    fn a_cut_stream_is_an_error_not_an_end() {
        for pack in [samples::gzip, samples::xz, samples::zstd] {
            let whole = pack(&text());
            assert!(read(&whole[..whole.len() / 2]).is_err());
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(place in 0_usize..200, value: u8) {
            for pack in [samples::gzip, samples::xz, samples::zstd] {
                let mut bytes = pack(&text());
                let at = place % bytes.len();
                bytes[at] = value;
                let _ = read(&bytes);
            }
        }
    }
}
