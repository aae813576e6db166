//! Standalone mode: where things are when nothing is installed (the XDG base directory
//! specification), and how one daemon serves them.

use crate::layout::Layout;
use banger_proto::fault::{Fault, FaultCode};
use std::ffi::OsString;
use std::path::PathBuf;

/// The layout of the caller, from its environment.
///
/// # Errors
/// When neither the XDG variables nor `HOME` say where to put state.
pub fn layout(variable: impl Fn(&str) -> Option<OsString>, uid: u32) -> Result<Layout, Fault> {
    // The specification: a variable that is not an absolute path is to be ignored.
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = absolute("HOME");
    let base = |name: &str, under_home: &str| {
        absolute(name)
            .or_else(|| home.as_ref().map(|home| home.join(under_home)))
            .ok_or_else(|| {
                Fault::new(
                    FaultCode::BadRequest,
                    format!("neither {name} nor HOME is an absolute path"),
                )
                .with_remedy("set HOME")
            })
    };
    let runtime = match absolute("XDG_RUNTIME_DIR") {
        Some(directory) => directory.join("banger"),
        None => PathBuf::from(format!("/tmp/banger-runtime-{uid}")),
    };
    Ok(Layout {
        config: base("XDG_CONFIG_HOME", ".config")?.join("banger"),
        state: base("XDG_STATE_HOME", ".local/state")?.join("banger"),
        cache: base("XDG_CACHE_HOME", ".cache")?.join("banger"),
        runtime,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Layout, Fault> {
        layout(
            |name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            },
            7,
        )
    }

    #[test]
    fn the_xdg_variables_say_where_things_are() {
        let found = with(&[
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CACHE_HOME", "/k"),
            ("XDG_RUNTIME_DIR", "/r"),
        ])
        .expect("all given");
        let wanted = ["/c/banger", "/s/banger", "/k/banger", "/r/banger"].map(PathBuf::from);
        assert_eq!(
            [found.config, found.state, found.cache, found.runtime],
            wanted
        );
    }

    #[test]
    fn without_them_home_does_and_tmp_for_the_sockets() {
        let found = with(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative")]).expect("a home");
        assert_eq!(found.state, PathBuf::from("/h/.local/state/banger"));
        assert_eq!(found.runtime, PathBuf::from("/tmp/banger-runtime-7"));
    }

    #[test]
    fn without_a_home_it_is_refused() {
        assert!(with(&[("HOME", "")]).is_err());
    }
}
