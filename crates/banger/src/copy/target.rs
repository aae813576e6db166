//! Where each source goes: the rules of `cp -r`.

use banger_proto::fault::{Fault, FaultCode};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A directory, or a link to one.
    Directory,
    /// Anything else.
    File,
}

/// Where a source goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// Into the target directory, under its own name.
    Inside,
    /// To the target's very path. A directory's contents go there.
    There,
}

/// Decides for one source.
///
/// # Errors
/// A fault where `cp` would have one.
pub fn decide(
    source: &[u8],
    is_directory: bool,
    sources: usize,
    target: &[u8],
    found: Found,
) -> Result<Goes, Fault> {
    let show = String::from_utf8_lossy(target);
    let refuse = |message: String| Err(Fault::new(FaultCode::BadRequest, message));
    match found {
        Found::Directory if last_component(source).is_none() => Ok(Goes::There),
        Found::Directory => Ok(Goes::Inside),
        _ if sources > 1 => refuse(format!(
            "{show} is not a directory, and there are several sources"
        )),
        Found::File if is_directory => {
            refuse(format!("{show} is a file: a directory cannot go there"))
        }
        Found::File if target.ends_with(b"/") => refuse(format!("{show} is not a directory")),
        Found::Nothing if target.ends_with(b"/") && !is_directory => {
            refuse(format!("there is no directory {show}"))
        }
        Found::File | Found::Nothing => Ok(Goes::There),
    }
}

/// The name of what a path means; `None` where it has none of its own: `/`, `.`, `a/.`, `..`.
#[must_use]
pub fn last_component(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')?;
    let trimmed = path.get(..=end)?;
    let name = trimmed.rsplit(|byte| *byte == b'/').next()?;
    (!matches!(name, b"" | b"." | b"..")).then_some(name)
}

/// A name that a guest sent, if it is one component of a path and nothing else.
#[must_use]
pub fn is_single_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// A path and a name behind it.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, slash, name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_takes_things_in_and_a_new_name_is_taken_on() {
        let goes = |source: &str, directory, target: &str, found| {
            decide(source.as_bytes(), directory, 1, target.as_bytes(), found).ok()
        };
        let (inside, there) = (Some(Goes::Inside), Some(Goes::There));
        assert_eq!(goes("a", false, "d", Found::Directory), inside);
        assert_eq!(goes("x/a/", true, "d/", Found::Directory), inside);
        assert_eq!(goes("a/.", true, "d", Found::Directory), there);
        assert_eq!(goes("a", false, "b", Found::Nothing), there);
        assert_eq!(goes("a", false, "b", Found::File), there);
        assert_eq!(goes("a", true, "b/", Found::Nothing), there);
        assert_eq!(goes("a", false, "b/", Found::Nothing), None);
        assert_eq!(goes("a", false, "b/", Found::File), None);
        assert_eq!(goes("a", true, "b", Found::File), None);
    }

    #[test]
    fn several_sources_need_a_directory() {
        assert!(decide(b"a", false, 2, b"d", Found::Directory).is_ok());
        assert!(decide(b"a", false, 2, b"d", Found::Nothing).is_err());
        assert!(decide(b"a", false, 2, b"d", Found::File).is_err());
    }

    #[test]
    fn paths_have_a_last_component_or_none() {
        let name = |path: &'static str| last_component(path.as_bytes());
        assert_eq!(name("/a/b//"), Some(&b"b"[..]));
        assert_eq!(name("a"), Some(&b"a"[..]));
        for path in ["/", "", ".", "..", "a/.", "a/.."] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn a_guests_names_cannot_leave_their_directory() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/etc", b"a\0b", b"../x"] {
            assert!(!is_single_component(bad), "{bad:?}");
        }
        assert!(is_single_component(b"...") && is_single_component(b"\xff"));
        assert_eq!(join(b"/", b"a"), b"/a");
        assert_eq!(join(b"d", b"a"), b"d/a");
    }
}
