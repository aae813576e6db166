//! The command line: the helper has no configuration file.

use crate::VERSION;
use crate::judge::Place;
use banger_model::host_names::{BridgeName, Installation};
use std::ffi::OsString;
use std::path::PathBuf;

/// How it is called.
pub(crate) const USAGE: &str = "\
Usage: banger-root --owner UID --installation ID [--bridge NAME]
                   (--socket PATH [--until-stdin-ends] | --listen-stdin)

Makes and removes host network objects for one user's banger daemon. Started by it, or by systemd.

  --owner UID         the user, besides root, who may ask
  --installation ID   whose objects: 16 hexadecimal digits
  --socket PATH       make this socket, for the owner alone
  --until-stdin-ends  leave when its standard input ends, as it does with whoever started it
  --listen-stdin      serve the listening socket that is its standard input
  --bridge NAME       the bridge: br-fc (the default) or br-fc-SUFFIX
  --version           print the version
";

/// Where the socket comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It is made at this path.
    Path(PathBuf),
    /// It is made at this path, and served until standard input ends.
    PathUntilInputEnds(PathBuf),
    /// It was handed over as standard input.
    Input,
}

/// What was asked on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flags {
    /// Serve.
    Serve(Place, Door),
    /// Print the version.
    Version,
    /// Print how it is called.
    Help,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Flags, String> {
    let (mut owner, mut installation, mut door) = (None, None, None);
    let mut bridge = BridgeName::default();
    let mut until_input_ends = false;
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let flag = flag.to_str().unwrap_or_default();
        match flag {
            "--version" => return Ok(Flags::Version),
            "--help" => return Ok(Flags::Help),
            "--listen-stdin" if door.is_none() => {
                door = Some(Door::Input);
                continue;
            }
            "--until-stdin-ends" => {
                until_input_ends = true;
                continue;
            }
            _ => {}
        }
        let value = rest
            .next()
            .ok_or_else(|| format!("{flag:?} is unknown, or its value is missing"))?;
        let text = value.to_str().unwrap_or_default();
        let bad = |error: &dyn std::fmt::Display| format!("{flag} {text:?}: {error}");
        match flag {
            "--owner" => owner = Some(text.parse::<u32>().map_err(|error| bad(&error))?),
            "--installation" => {
                installation = Some(text.parse::<Installation>().map_err(|error| bad(&error))?);
            }
            "--bridge" => bridge = text.parse().map_err(|error| bad(&error))?,
            "--socket" if door.is_none() => door = Some(Door::Path(value.into())),
            _ => return Err(format!("{flag:?} is unknown, or given beside another")),
        }
    }
    let place = Place {
        owner: owner.ok_or("--owner is missing")?,
        installation: installation.ok_or("--installation is missing")?,
        bridge,
        version: VERSION.to_owned(),
    };
    let door = match (door, until_input_ends) {
        (Some(Door::Path(path)), true) => Door::PathUntilInputEnds(path),
        (Some(Door::Input), true) => {
            return Err("--until-stdin-ends cannot be given beside --listen-stdin".into());
        }
        (door, _) => door.ok_or("--socket or --listen-stdin is missing")?,
    };
    Ok(Flags::Serve(place, door))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Result<Flags, String> {
        let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        parse(&arguments)
    }

    #[test]
    fn a_whole_command_line_is_read() {
        let Ok(Flags::Serve(place, door)) = flags(
            "--owner 1000 --installation 0123456789abcdef --bridge br-fc-2 --socket /run/x.sock",
        ) else {
            panic!("it is whole");
        };
        assert_eq!((place.owner, place.bridge.as_str()), (1000, "br-fc-2"));
        assert_eq!(door, Door::Path("/run/x.sock".into()));
        let inherited = flags("--listen-stdin --owner 0 --installation 0123456789abcdef");
        assert!(matches!(inherited, Ok(Flags::Serve(_, Door::Input))));
        let bound = "--socket /x --until-stdin-ends --owner 0 --installation 0123456789abcdef";
        assert!(matches!(
            flags(bound),
            Ok(Flags::Serve(_, Door::PathUntilInputEnds(_)))
        ));
        assert_eq!(flags("--version"), Ok(Flags::Version));
        assert_eq!(flags("--owner 1 --help"), Ok(Flags::Help));
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (line, why) in [
            ("", "--owner is missing"),
            ("--owner 1000", "--installation is missing"),
            (
                "--owner 1000 --installation 0123456789abcdef",
                "--socket or --listen-stdin is missing",
            ),
            ("--owner", "value is missing"),
            (
                "--owner 0 --installation 0123456789abcdef --listen-stdin --until-stdin-ends",
                "beside --listen-stdin",
            ),
            ("--owner root", "--owner"),
            ("--owner -1", "--owner"),
            ("--owner 4294967296", "--owner"),
            ("--installation x", "16 lower-case"),
            ("--bridge eth0", "br-fc"),
            ("--listen-stdin --socket /a", "given beside another"),
            ("--socket /a --listen-stdin --owner 1", "unknown"),
            ("--run id", "is unknown"),
        ] {
            let error = flags(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
