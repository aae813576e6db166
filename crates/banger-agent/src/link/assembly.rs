//! Messages that come in parts, put together within bounds.

use banger_proto::guest::frame::MAX_MESSAGE;
use std::collections::BTreeMap;

/// How many streams may be in the middle of a long message.
const MOST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Assembly(BTreeMap<u32, Vec<u8>>);

/// A message is longer than it may be, or too many are begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Assembly {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps a part. What is too much is forgotten as a whole.
    pub(super) fn part(&mut self, stream: u32, bytes: &[u8]) -> Result<(), TooMuch> {
        if !self.0.contains_key(&stream) && self.0.len() >= MOST {
            return Err(TooMuch);
        }
        let message = self.0.entry(stream).or_default();
        if message.len() + bytes.len() > MAX_MESSAGE {
            self.0.remove(&stream);
            return Err(TooMuch);
        }
        message.extend_from_slice(bytes);
        Ok(())
    }

    /// The whole message that ends with `bytes`.
    pub(super) fn whole(&mut self, stream: u32, bytes: &[u8]) -> Result<Vec<u8>, TooMuch> {
        if self.0.contains_key(&stream) {
            self.part(stream, bytes)?;
        }
        Ok(self.0.remove(&stream).unwrap_or_else(|| bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_a_whole_and_streams_do_not_mix() {
        let mut assembly = Assembly::default();
        assembly.part(1, b"ab").expect("short");
        assembly.part(2, b"xy").expect("short");
        assert_eq!(assembly.whole(1, b"c"), Ok(b"abc".to_vec()));
        assert_eq!(assembly.whole(1, b"d"), Ok(b"d".to_vec()));
        assert_eq!(assembly.whole(2, b""), Ok(b"xy".to_vec()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembly = Assembly::default();
        let part = vec![0; MAX_MESSAGE];
        for stream in 0..8 {
            assembly.part(stream, &part).expect("as long as may be");
        }
        assert_eq!(assembly.part(8, b"x"), Err(TooMuch));
        assert_eq!(assembly.part(0, b"x"), Err(TooMuch));
        assert_eq!(
            assembly.part(8, b"x"),
            Ok(()),
            "the absurd one was forgotten"
        );
        assert_eq!(assembly.whole(1, b"x"), Err(TooMuch));
    }
}
