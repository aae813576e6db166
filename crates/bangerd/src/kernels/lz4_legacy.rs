//! The legacy frame format of LZ4, which `lz4 -l` writes and kernels are packed with: a magic
//! number, then blocks of a length (u32, little-endian) and that many bytes, each of at most 8 MiB
//! in plain. There is no end mark.

use std::io::{self, ErrorKind, Read};

const MAGIC: u32 = 0x184c_2102;

/// The largest block in plain, in bytes.
const LARGEST_PLAIN: usize = 8 << 20;

/// The largest block as it is packed: what cannot be compressed grows by a byte in 255, and 16.
const LARGEST_PACKED: usize = LARGEST_PLAIN + LARGEST_PLAIN / 255 + 16;

/// The plain bytes of a stream of blocks.
pub(super) struct Lz4Legacy<R> {
    packed: R,
    plain: Vec<u8>,
    given: usize,
}

fn damaged(words: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, words)
}

impl<R: Read> Lz4Legacy<R> {
    pub(super) fn new(mut packed: R) -> io::Result<Self> {
        match read_number(&mut packed)? {
            Some(MAGIC) => Ok(Self {
                packed,
                plain: Vec::new(),
                given: 0,
            }),
            _ => Err(damaged("its magic number is missing")),
        }
    }

    /// Unpacks the next block; whether there was one.
    fn next_block(&mut self) -> io::Result<bool> {
        let length = loop {
            match read_number(&mut self.packed)? {
                None => return Ok(false),
                // One stream behind another.
                Some(MAGIC) => {}
                Some(length) => break length as usize,
            }
        };
        if length > LARGEST_PACKED {
            return Err(damaged(format!("a block of {length} bytes is too long")));
        }
        let mut block = Vec::new();
        self.packed
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut block)?;
        if block.len() < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.plain.resize(LARGEST_PLAIN, 0);
        let plain = lz4_flex::block::decompress_into(&block, &mut self.plain).map_err(damaged)?;
        self.plain.truncate(plain);
        self.given = 0;
        Ok(true)
    }
}

/// A number, or none at the clean end of the stream.
fn read_number(from: &mut impl Read) -> io::Result<Option<u32>> {
    let mut bytes = Vec::with_capacity(4);
    from.by_ref().take(4).read_to_end(&mut bytes)?;
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(number) => Ok(Some(u32::from_le_bytes(number))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(ErrorKind::UnexpectedEof.into()),
    }
}

impl<R: Read> Read for Lz4Legacy<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let mut rest = self.plain.get(self.given..).unwrap_or_default();
        let taken = rest.read(buffer)?;
        self.given += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Lz4Legacy::new(packed)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn several_blocks_and_streams_join() {
        let plain: Vec<u8> = (0..(9 << 20) / 4).flat_map(u32::to_le_bytes).collect();
        let mut packed = fixtures::lz4(&plain);
        packed.extend(fixtures::lz4(b"more"));
        let got = unpack(&packed).expect("unpacks");
        assert!(got.strip_suffix(b"more") == Some(plain.as_slice()));
    }

    #[test]
    fn a_block_that_is_longer_than_any_is_refused_before_it_is_read() {
        let mut packed = MAGIC.to_le_bytes().to_vec();
        packed.extend(u32::MAX.to_le_bytes());
        let error = unpack(&packed).expect_err("is refused");
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_it_may_is_refused() {
        let mut packed = MAGIC.to_le_bytes().to_vec();
        let block = lz4_flex::block::compress(&vec![0; LARGEST_PLAIN + 1]);
        packed.extend(fixtures::length(&block));
        packed.extend(block);
        assert!(unpack(&packed).is_err());
    }

    #[test]
    fn an_empty_stream_has_no_bytes() {
        assert_eq!(unpack(&MAGIC.to_le_bytes()).expect("unpacks"), b"");
        assert!(unpack(b"").is_err());
    }
}
