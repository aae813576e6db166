//! Whether a file can be the first program of a guest: there is nothing beside it, no loader and
//! no libraries, so it must be static.

use super::InitramfsError;
use crate::{
    disks::DiskError,
    kernels::elf::{Elf, ElfError},
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The longest agent that is accepted, in bytes; with debug information one has about 40 MiB.
const LONGEST: u64 = 256 << 20;

fn judge(bytes: &[u8]) -> Result<(), String> {
    let in_words = |error: ElfError| error.to_string();
    let elf = Elf::parse(bytes).map_err(in_words)?;
    elf.check_whole().map_err(in_words)?;
    if elf.wants_interpreter().map_err(in_words)? {
        return Err("it is linked dynamically, it must be static".to_owned());
    }
    Ok(())
}

/// Checks that the agent is there and is a static program for x86-64.
///
/// # Errors
/// What is wrong with it, and that `cargo xtask build` makes it.
pub fn check_agent(agent: &Path) -> Result<(), InitramfsError> {
    read_agent(agent).map(drop)
}

/// The agent's bytes, checked.
pub(super) fn read_agent(agent: &Path) -> Result<Vec<u8>, InitramfsError> {
    let bad = |problem: String| InitramfsError::BadAgent {
        agent: agent.to_owned(),
        problem,
    };
    let file = match File::open(agent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(InitramfsError::NoAgent {
                agent: agent.to_owned(),
            });
        }
        opened => opened.map_err(DiskError::io("open", agent))?,
    };
    let found = file.metadata().map_err(DiskError::io("read", agent))?;
    if !found.is_file() || found.len() > LONGEST {
        return Err(bad("it is not a program".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(DiskError::io("read", agent))?;
    judge(&bytes).map_err(bad)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::fixtures;

    #[test]
    fn only_a_static_program_of_this_machine_will_do() {
        assert_eq!(judge(&fixtures::program(false)), Ok(()));
        let dynamic = judge(&fixtures::program(true)).expect_err("is dynamic");
        assert!(dynamic.contains("must be static"), "{dynamic}");
        let mut other = fixtures::program(false);
        other[18] = 183;
        assert!(judge(&other).expect_err("is for another").contains("arm64"));
        assert!(judge(b"#!/bin/sh").is_err());
        assert!(judge(&fixtures::program(false)[..100]).is_err());
    }

    mod t1 {
        use super::*;
        use banger_proto::fault::{Fault, FaultCode};

        #[test]
        fn a_missing_or_wrong_agent_is_named_with_how_to_make_it() {
            let place = tempfile::tempdir().expect("a directory");
            let dynamic = place.path().join("dynamic");
            std::fs::write(&dynamic, fixtures::program(true)).expect("writes");
            for path in [
                place.path().join("absent"),
                dynamic,
                place.path().to_owned(),
            ] {
                let fault = Fault::from(check_agent(&path).expect_err("is refused"));
                assert_eq!(fault.code, FaultCode::Unavailable);
                assert!(
                    fault.message.contains(&path.display().to_string()),
                    "{fault}"
                );
                assert!(fault.remedy.expect("has one").contains("cargo xtask build"));
            }
        }

        #[test]
        fn a_static_agent_is_accepted() {
            let place = tempfile::tempdir().expect("a directory");
            let agent = place.path().join("agent");
            std::fs::write(&agent, fixtures::program(false)).expect("writes");
            check_agent(&agent).expect("is accepted");
        }
    }
}
