//! The bytes of netlink messages (netlink(7)): building requests, taking answers apart. Pure.

use rustix::io::Errno;

/// `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// Bits of an attribute's type that are no part of it: nested, byte order (linux/netlink.h).
const NLA_TYPE_MASK: u16 = 0x3fff;

// linux/netlink.h
pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(crate) const NLM_F_CAPPED: u16 = 0x100;
pub(crate) const NLM_F_ACK_TLVS: u16 = 0x200;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A request under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Begins one of that type, with the type's own fixed part.
    pub(crate) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    /// Adds an attribute. Values come from this crate and are shorter than 64 KiB.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.0, kind, value);
        self
    }

    /// Adds an attribute that is a text with a closing zero.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that is one number.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute that is a list of attributes.
    pub(crate) fn nested(self, kind: u16, inner: &Nest) -> Self {
        self.attribute(kind, &inner.0)
    }

    /// The bytes, with their length and the number that the answer will carry.
    pub(crate) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        overwrite(&mut self.0, 0, length);
        overwrite(&mut self.0, 8, sequence);
        self.0
    }
}

/// A list of attributes inside of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nest(Vec<u8>);

impl Nest {
    /// Adds an attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.0, kind, value);
        self
    }

    /// Adds a list in it.
    pub(crate) fn nested(self, kind: u16, inner: &Self) -> Self {
        self.attribute(kind, &inner.0)
    }
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn overwrite(bytes: &mut [u8], at: usize, value: u32) {
    let place = bytes.iter_mut().skip(at);
    place
        .zip(value.to_ne_bytes())
        .for_each(|(to, from)| *to = from);
}

/// One message of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of one datagram. A length that cannot be ends it.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let body = rest.get(HEADER..length)?;
        let message = Received {
            kind: u16_at(rest, 4)?,
            flags: u16_at(rest, 6)?,
            sequence: u32_at(rest, 8)?,
            body,
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in some bytes, each with its type. A length that cannot be ends them.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & NLA_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of that type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut found = attributes(bytes).filter(|(kind, _)| *kind == wanted);
    found.next().map(|(_, value)| value)
}

/// A text without its closing zero.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    let bytes = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    field.try_into().ok().map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_ne_bytes)
}

/// What the kernel answered to a request: done, or an error with the kernel's own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) result: Result<(), Errno>,
    /// The extended acknowledgement's text, where there is one.
    pub(crate) said: Option<String>,
}

/// Reads `struct nlmsgerr`: 0 or a negative error number, the request's header, the request itself
/// unless that was left out, and attributes if the flags say so.
pub(crate) fn verdict(message: Received<'_>) -> Option<Verdict> {
    let code = i32::from_ne_bytes(message.body.get(..4)?.try_into().ok()?);
    let request = usize::try_from(u32_at(message.body, 4).unwrap_or(0)).ok()?;
    let echoed = match message.flags & NLM_F_CAPPED {
        0 => request.max(HEADER),
        _ => HEADER,
    };
    let tail = echoed
        .checked_next_multiple_of(4)
        .and_then(|length| message.body.get(length.checked_add(4)?..));
    let said = tail
        .filter(|_| message.flags & NLM_F_ACK_TLVS != 0)
        .and_then(|tail| attribute(tail, NLMSGERR_ATTR_MSG));
    Some(Verdict {
        result: match code {
            0 => Ok(()),
            // MAX_ERRNO of linux/err.h: rustix panics beyond it.
            -4095..=-1 => Err(Errno::from_raw_os_error(-code)),
            _ => Err(Errno::PROTO),
        },
        said: said.map(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(code: i32, flags: u16, tail: &[u8]) -> Vec<u8> {
        let mut body = code.to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; HEADER]);
        body.extend_from_slice(tail);
        let mut bytes = Message::new(NLMSG_ERROR, 0, &body).finish(7);
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Verdict {
        verdict(messages(bytes).next().expect("one")).expect("an acknowledgement")
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_request_has_the_kernel_s_layout() {
        let nest = Nest::default().attribute(1, b"bridge");
        let message = Message::new(16, NLM_F_ACK, &[1, 2, 3, 4])
            .text(3, "br")
            .nested(18, &nest);
        assert_eq!(
            message.finish(9),
            [
                44, 0, 0, 0, 16, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0, // header
                1, 2, 3, 4, // body
                7, 0, 3, 0, b'b', b'r', 0, 0, // text
                16, 0, 18, 0, 10, 0, 1, 0, b'b', b'r', b'i', b'd', b'g', b'e', 0, 0,
            ]
        );
    }

    #[test]
    fn an_acknowledgement_is_success_an_error_or_an_error_in_the_kernel_s_words() {
        let words = Nest::default()
            .attribute(NLMSGERR_ATTR_MSG, b"Too many\0")
            .0;
        assert_eq!(read(&error(0, 0, &[])).result, Ok(()));
        assert_eq!(read(&error(-17, 0, &words)).said, None, "not flagged");
        let said = read(&error(-17, NLM_F_CAPPED | NLM_F_ACK_TLVS, &words));
        assert_eq!(said.result, Err(Errno::EXIST));
        assert_eq!(said.said.as_deref(), Some("Too many"));
        for odd in [1, -4096, i32::MIN, i32::MAX] {
            assert_eq!(read(&error(odd, 0, &[])).result, Err(Errno::PROTO));
        }
    }

    #[test]
    fn the_words_are_found_behind_a_request_that_is_echoed() {
        let mut tail = vec![9; 8];
        tail.extend(Nest::default().attribute(NLMSGERR_ATTR_MSG, b"no\0").0);
        let mut bytes = error(-22, NLM_F_ACK_TLVS, &tail);
        overwrite(&mut bytes, HEADER + 4, 24);
        assert_eq!(read(&bytes).said.as_deref(), Some("no"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(kind in 0_u16..0x4000, value in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = Message::new(1, 0, &[]).attribute(kind, &value).attribute(1, b"x").finish(3);
            let found: Vec<_> = messages(&bytes).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].sequence, 3);
            let inside: Vec<_> = attributes(found[0].body).collect();
            prop_assert_eq!(inside, vec![(kind, &value[..]), (1, &b"x"[..])]);
        }

        #[test]
        fn any_bytes_are_read_without_panic_and_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            for message in messages(&bytes).chain([Received { kind: 2, flags: NLM_F_ACK_TLVS, sequence: 0, body: &bytes }]) {
                let _ = verdict(message);
                let texts: Vec<_> = attributes(message.body).map(|(_, value)| text(value)).collect();
                prop_assert!(texts.len() <= bytes.len() / 4 + 1);
            }
        }

        #[test]
        fn lengths_at_their_limits_end_the_reading(length in any::<u32>(), rest in prop::collection::vec(any::<u8>(), 0..64)) {
            let bytes = [&length.to_ne_bytes()[..], &rest].concat();
            prop_assert!(messages(&bytes).count() <= 5);
            prop_assert!(attributes(&bytes).count() <= 17);
        }
    }
}
