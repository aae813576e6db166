//! How publications and selectors are written.

use super::{PortSelector, Protocol, Publication};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::{fmt, str::FromStr};

/// Why a text is no publication or selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPublication {
    /// Not of the form.
    #[error("{text:?} does not have the form {form}")]
    Form {
        /// What was given.
        text: String,
        /// How it is written.
        form: &'static str,
    },
    /// No port number.
    #[error("{part:?} in {text:?} is not a port: give a number from {least} to 65535")]
    Port {
        /// What was given.
        text: String,
        /// What should have been a port.
        part: String,
        /// The least number that is possible there.
        least: u16,
    },
    /// No address.
    #[error(
        "{part:?} in {text:?} is not an address: give one of this host's like 127.0.0.1, or [::1]"
    )]
    Address {
        /// What was given.
        text: String,
        /// What should have been an address.
        part: String,
    },
    /// Any free port of the host, but which of the guest?
    #[error("{0:?} does not say which port of the guest: write it behind, as 0:80")]
    NoGuestPort(String),
    /// Neither TCP nor UDP.
    #[error("{part:?} in {text:?} is not a protocol: give tcp or udp")]
    Protocol {
        /// What was given.
        text: String,
        /// What should have been a protocol.
        part: String,
    },
}

/// The parts of a text, none of them looked into.
struct Parts<'a> {
    address: Option<&'a str>,
    ports: Vec<&'a str>,
    protocol: Option<&'a str>,
}

/// Takes a text apart. Only an IPv4 address has a dot in it, only an IPv6 address brackets.
fn take_apart(text: &str) -> Option<Parts<'_>> {
    let (body, protocol) = match text.split_once('/') {
        Some((body, protocol)) => (body, Some(protocol)),
        None => (text, None),
    };
    let (address, rest) = match body.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            (Some(address), rest.strip_prefix(':')?)
        }
        None => match body.split_once(':') {
            Some((first, rest)) if !is_number(first) => (Some(first), rest),
            _ => (None, body),
        },
    };
    let ports = rest.split(':').collect();
    Some(Parts {
        address,
        ports,
        protocol,
    })
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A port as it is written everywhere: digits only, so neither `+80` nor ` 80`.
fn port(text: &str, part: &str, least: u16) -> Result<u16, BadPublication> {
    let number = part.parse().ok().filter(|_| is_number(part));
    number
        .filter(|number| *number >= least)
        .ok_or_else(|| BadPublication::Port {
            text: text.to_owned(),
            part: part.to_owned(),
            least,
        })
}

fn protocol(text: &str, part: Option<&str>) -> Result<Option<Protocol>, BadPublication> {
    match part {
        None => Ok(None),
        Some("tcp") => Ok(Some(Protocol::Tcp)),
        Some("udp") => Ok(Some(Protocol::Udp)),
        Some(other) => Err(BadPublication::Protocol {
            text: text.to_owned(),
            part: other.to_owned(),
        }),
    }
}

/// An address; a family's form belongs to its place, so that what is shown reads back.
fn address(text: &str, part: Option<&str>) -> Result<Option<IpAddr>, BadPublication> {
    let Some(part) = part else { return Ok(None) };
    let parsed = match text.starts_with('[') {
        true => part.parse().ok().map(IpAddr::V6),
        false => part.parse().ok().map(IpAddr::V4),
    };
    parsed.map(Some).ok_or_else(|| BadPublication::Address {
        text: text.to_owned(),
        part: part.to_owned(),
    })
}

impl FromStr for Publication {
    type Err = BadPublication;

    fn from_str(text: &str) -> Result<Self, BadPublication> {
        let form = || BadPublication::Form {
            text: text.to_owned(),
            form: "[ADDR:]PORT[:GUEST][/tcp|udp]",
        };
        let parts = take_apart(text).ok_or_else(form)?;
        let address = address(text, parts.address)?;
        let (host, guest) = match parts.ports.as_slice() {
            [host] => (port(text, host, 0)?, None),
            [host, guest] => (port(text, host, 0)?, Some(port(text, guest, 1)?)),
            _ => return Err(form()),
        };
        let guest = NonZeroU16::new(guest.unwrap_or(host))
            .ok_or_else(|| BadPublication::NoGuestPort(text.to_owned()))?;
        Ok(Self {
            protocol: protocol(text, parts.protocol)?.unwrap_or_default(),
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: NonZeroU16::new(host),
            guest,
        })
    }
}

impl FromStr for PortSelector {
    type Err = BadPublication;

    fn from_str(text: &str) -> Result<Self, BadPublication> {
        let form = || BadPublication::Form {
            text: text.to_owned(),
            form: "[ADDR:]PORT[/tcp|udp]",
        };
        let parts = take_apart(text).ok_or_else(form)?;
        let address = address(text, parts.address)?;
        let [number] = parts.ports.as_slice() else {
            return Err(form());
        };
        let port = NonZeroU16::new(port(text, number, 1)?).ok_or_else(form)?;
        Ok(Self {
            protocol: protocol(text, parts.protocol)?,
            address,
            port,
        })
    }
}

/// The address as it stands before a port.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (bracketed(self.address), self.port.map_or(0, u16::from));
        write!(f, "{address}:{port}:{}/{}", self.guest, self.protocol)
    }
}

impl fmt::Display for PortSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{}:", bracketed(address))?;
        }
        write!(f, "{}", self.port)?;
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

macro_rules! text_form {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = BadPublication;
            fn try_from(text: String) -> Result<Self, BadPublication> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
text_form!(Publication);
text_form!(PortSelector);
