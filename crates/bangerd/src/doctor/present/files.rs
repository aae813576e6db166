//! Files: what lies in our directories, and in those of everybody under names like ours.

use super::place::Place;
use super::{Clue, Look, Present, Seen};
use banger_proto::owner::doctor::{Kind, Thing};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What names of ours in directories of everybody begin with.
const NAME: &str = "banger";

pub(super) fn read(look: &Look, present: &mut Present) {
    let layout = &look.layout;
    for directory in [
        layout.state.clone(),
        layout.sandboxes(),
        layout.staging(),
        layout.cache.clone(),
        layout.runtime.clone(),
        layout.runtime.join("vm"),
    ] {
        match fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let what = format!("files in {}: {error}", directory.display());
                present.not_seen.push(what);
            }
            Ok(entries) => {
                let paths = entries.flatten().map(|entry| entry.path());
                let clue = |path: &Path| Place::of(layout, path).map_or(Clue::None, Clue::At);
                present
                    .seen
                    .extend(paths.filter_map(|path| file(&path, clue(&path))));
            }
        }
    }
    for directory in &look.common {
        // Who may not look into it can have left nothing there.
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let named = paths.filter(|path| begins(path, NAME) && !look.own.contains(path));
        let named = named.filter(|path| Place::of(layout, path).is_none());
        present
            .seen
            .extend(named.filter_map(|path| file(&path, clue_of(&path))));
    }
}

fn begins(path: &Path, with: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(with))
}

/// Of all that has our name there, banger itself makes what a look makes for itself, and a look that goes on
/// removes it at its end. Other layouts, and whatever else somebody calls so, are not to be missed.
fn clue_of(path: &Path) -> Clue {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some(rest) = name.strip_prefix(crate::doctor::apart::SCRATCH) else {
        return Clue::None;
    };
    let pid: Option<u32> = rest.split('-').next().and_then(|pid| pid.parse().ok());
    let goes_on = pid.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists());
    if goes_on { Clue::None } else { Clue::Named }
}

fn file(path: &Path, clue: Clue) -> Option<Seen> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Seen {
        thing: Thing {
            kind: Kind::File,
            name: path.to_string_lossy().into_owned(),
            id: format!("{:x}-{:x}", found.dev(), found.ino()),
        },
        uid: Some(found.uid()),
        pid: None,
        clue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_call_so_is_not_suspect_and_what_a_look_has_left_is() {
        let own = format!("/tmp/banger-doctor-{}-ab", std::process::id());
        for name in [
            "/tmp/banger-runtime-7",
            "/tmp/banger-notes",
            "/run/banger",
            &own,
        ] {
            assert_eq!(clue_of(Path::new(name)), Clue::None, "{name}");
        }
        for name in ["/tmp/banger-doctor-0-ab", "/tmp/banger-doctor-x"] {
            assert_eq!(clue_of(Path::new(name)), Clue::Named, "{name}");
        }
    }
}
