//! What the user named: a path here, a path in a guest, or a stream.

use crate::exit::Failure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// On this host.
    Host(PathBuf),
    /// In a guest.
    Guest {
        /// The sandbox.
        reference: String,
        /// Absolute, or relative to `/root`.
        path: Vec<u8>,
    },
    /// Standard input or output.
    Stream,
}

/// The direction of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    /// From this host.
    Into {
        /// The sandbox.
        reference: String,
        /// Files and directories here; or one stream.
        sources: Vec<Endpoint>,
        /// Where to.
        target: Vec<u8>,
    },
    /// To this host.
    OutOf {
        /// The sandbox.
        reference: String,
        /// Files and directories there.
        sources: Vec<Vec<u8>>,
        /// Where to: a path here, or the stream.
        target: Endpoint,
    },
}

/// `NAME:PATH` is in a guest unless something that only a path has comes before the colon.
#[must_use]
pub fn parse(text: &OsStr) -> Endpoint {
    let bytes = text.as_bytes();
    if bytes == b"-" {
        return Endpoint::Stream;
    }
    let colon = bytes.iter().position(|byte| *byte == b':').unwrap_or(0);
    let (name, rest) = bytes.split_at(colon);
    let is_name = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    match (std::str::from_utf8(name), rest.split_first()) {
        (Ok(name), Some((_colon, path))) if is_name && !name.is_empty() => Endpoint::Guest {
            reference: name.to_owned(),
            path: if path.is_empty() {
                b".".into()
            } else {
                path.into()
            },
        },
        _ => Endpoint::Host(text.into()),
    }
}

/// Finds out which way it goes.
///
/// # Errors
/// A usage failure when it is none or several.
pub fn direction(sources: &[OsString], target: &OsStr) -> Result<Direction, Failure> {
    let refuse = |message: &str| {
        let remedy = "one side is NAME:PATH, the other is here; write ./a:b for a file named so";
        Err(Failure::usage(message, remedy))
    };
    let sources: Vec<Endpoint> = sources.iter().map(|source| parse(source)).collect();
    match parse(target) {
        Endpoint::Guest { reference, path } => {
            if sources.iter().any(|s| matches!(s, Endpoint::Guest { .. })) {
                return refuse("both sides are in machines");
            }
            if sources.len() > 1 && sources.contains(&Endpoint::Stream) {
                return refuse("standard input cannot be copied beside other sources");
            }
            Ok(Direction::Into {
                reference,
                sources,
                target: path,
            })
        }
        target => {
            let mut paths = Vec::new();
            let mut name = None;
            for source in sources {
                let Endpoint::Guest { reference, path } = source else {
                    return refuse("neither side is in a machine");
                };
                if name.get_or_insert_with(|| reference.clone()) != &reference {
                    return refuse("the sources are in several machines");
                }
                paths.push(path);
            }
            if target == Endpoint::Stream && paths.len() > 1 {
                return refuse("several files cannot go to one stream");
            }
            match name {
                Some(reference) => Ok(Direction::OutOf {
                    reference,
                    sources: paths,
                    target,
                }),
                None => refuse("there is no source"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(reference: &str, path: &str) -> Endpoint {
        Endpoint::Guest {
            reference: reference.into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_colon_behind_a_name_means_a_guest() {
        for (text, endpoint) in [
            ("dev:/etc", guest("dev", "/etc")),
            ("dev:", guest("dev", ".")),
            ("3fa9:a:b", guest("3fa9", "a:b")),
            ("-", Endpoint::Stream),
            ("./a:b", Endpoint::Host("./a:b".into())),
            ("/x/y:z", Endpoint::Host("/x/y:z".into())),
            (":x", Endpoint::Host(":x".into())),
            ("a b:c", Endpoint::Host("a b:c".into())),
            ("plain", Endpoint::Host("plain".into())),
        ] {
            assert_eq!(parse(text.as_ref()), endpoint, "{text}");
        }
    }

    #[test]
    fn exactly_one_side_is_in_one_machine() {
        let of = |sources: &[&str], target: &str| {
            let sources: Vec<OsString> = sources.iter().map(Into::into).collect();
            direction(&sources, target.as_ref())
        };
        assert!(matches!(
            of(&["a", "b"], "dev:/x"),
            Ok(Direction::Into { .. })
        ));
        assert!(matches!(of(&["-"], "dev:/x"), Ok(Direction::Into { .. })));
        assert!(matches!(
            of(&["dev:a", "dev:b"], "."),
            Ok(Direction::OutOf { .. })
        ));
        assert!(matches!(of(&["dev:a"], "-"), Ok(Direction::OutOf { .. })));
        for (sources, target) in [
            (&["a"][..], "b"),
            (&["dev:a"], "dev:b"),
            (&["dev:a", "db:b"], "."),
            (&["dev:a", "b"], "."),
            (&["-", "a"], "dev:/x"),
            (&["dev:a", "dev:b"], "-"),
            (&["-"], "x"),
        ] {
            assert!(of(sources, target).is_err(), "{sources:?} {target}");
        }
    }
}
