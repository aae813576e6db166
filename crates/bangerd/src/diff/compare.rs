//! Two trees, walked side by side.

use super::content::{self, Content};
use super::layer::File;
use super::source::Watch;
use super::tree::{Node, Tree};
use super::{DiffError, layer::Layer};
use std::rc::Rc;

/// The most bytes of paths that are listed; what comes after them is counted.
const MOST_LISTED: usize = 8 << 20;
/// The most files that wait to be looked at.
const MOST_WAITING: usize = 1_000_000;
/// The longest path, in bytes: that of Linux (`PATH_MAX`). It bounds how deep directories lead.
const LONGEST_PATH: usize = 4096;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was not there before.
    Added,
    /// It was there and is another one.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What of a file is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// It is of another kind: a link and not a file, say.
    Type,
    /// Its bytes.
    Content,
    /// Where the link leads.
    Target,
    /// The numbers of the device.
    Device,
    /// Who may do what.
    Mode,
    /// User or group.
    Owner,
    /// Extended attributes: capabilities, access control lists, those of users.
    Attributes,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the root, with `/` at its beginning; any bytes but zero.
    pub path: Vec<u8>,
    /// What became of it.
    pub kind: Kind,
    /// What is different, of one that was changed.
    pub what: Vec<Aspect>,
    /// Mode and kind as `st_mode` has them (inode(7)): as it is, or of one that was removed as it was.
    pub mode: u16,
    /// Bytes that it had, of a regular file that was there.
    pub size_before: Option<u64>,
    /// Bytes that it has, of a regular file.
    pub size: Option<u64>,
}

/// All differences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sorted by path, part by part.
    pub listed: Vec<Change>,
    /// How many were added, changed, removed: those that are not listed as well.
    pub counts: [u64; 3],
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    changes: Changes,
    bytes: usize,
}

impl Found {
    pub(super) fn sorted(mut self) -> Changes {
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|byte| *byte == b'/')
                .map(<[u8]>::to_vec)
                .collect()
        };
        self.changes
            .listed
            .sort_by_cached_key(|one| parts(&one.path));
        self.changes
    }

    fn add(&mut self, change: Change) {
        let count = match change.kind {
            Kind::Added => 0,
            Kind::Changed => 1,
            Kind::Removed => 2,
        };
        self.changes
            .counts
            .iter_mut()
            .skip(count)
            .take(1)
            .for_each(|count| *count += 1);
        self.bytes = self.bytes.saturating_add(change.path.len());
        if self.bytes <= MOST_LISTED {
            self.changes.listed.push(change);
        }
    }
}

/// A walk over two trees.
pub(super) struct Walk<'a, 'f> {
    pub(super) before: Tree<'a>,
    pub(super) after: Tree<'a>,
    /// A file that is older, in seconds since 1970, and has the same metadata is the same.
    pub(super) settled: i64,
    /// A directory that something is mounted over.
    pub(super) hidden: Option<&'static [u8]>,
    pub(super) watch: &'a Watch,
    pub(super) found: &'f mut Found,
}

/// Files of one path, to be looked at.
struct Pair {
    path: Vec<u8>,
    before: Option<Node>,
    after: Option<Node>,
}

impl Walk<'_, '_> {
    /// Walks; all paths begin with the prefix.
    pub(super) fn run(&mut self, prefix: &[u8]) -> Result<(), DiffError> {
        let (before, after) = (self.before.root()?, self.after.root()?);
        let is_new = before.is_none();
        let mut waiting = vec![];
        let root = Pair {
            path: prefix.to_vec(),
            before,
            after,
        };
        match (&root.before, &root.after) {
            (Some(_), Some(_)) => self.pair(&root, &mut waiting)?,
            _ => self.enter(&root, &mut waiting)?,
        }
        if is_new {
            // `mke2fs` makes it, and not the guest.
            waiting.retain(|pair| !self.is_as_made(pair));
        }
        while let Some(pair) = waiting.pop() {
            self.pair(&pair, &mut waiting)?;
            if waiting.len() > MOST_WAITING {
                return Err(DiffError::TooMuch {
                    disk: "sandbox",
                    why: format!("more than {MOST_WAITING} files beside each other"),
                });
            }
        }
        Ok(())
    }

    fn is_as_made(&self, pair: &Pair) -> bool {
        let Some(node) = pair.after.as_ref() else {
            return false;
        };
        let is_it = pair.path.ends_with(b"/lost+found");
        is_it
            && self
                .after
                .children(node)
                .is_ok_and(|names| names.is_empty())
    }

    fn pair(&mut self, pair: &Pair, waiting: &mut Vec<Pair>) -> Result<(), DiffError> {
        self.watch.check("sandbox")?;
        match (&pair.before, &pair.after) {
            (Some(before), Some(after)) if before.is_same_of_image(after) => return Ok(()),
            (Some(before), Some(after)) => {
                let files = [self.before.file(before)?, self.after.file(after)?];
                self.both(pair, before, after, &files)?;
                if !files.iter().any(|file| file.is_directory()) {
                    return Ok(());
                }
            }
            (None, Some(node)) => {
                let file = self.after.file(node)?;
                self.one(&pair.path, Kind::Added, &file);
                if !file.is_directory() {
                    return Ok(());
                }
            }
            (Some(node), None) => {
                let file = self.before.file(node)?;
                self.one(&pair.path, Kind::Removed, &file);
                if !file.is_directory() {
                    return Ok(());
                }
            }
            (None, None) => return Ok(()),
        }
        self.enter(pair, waiting)
    }

    fn enter(&self, pair: &Pair, waiting: &mut Vec<Pair>) -> Result<(), DiffError> {
        let names = |tree: &Tree<'_>, node: &Option<Node>| match node {
            Some(node) if tree.file(node)?.is_directory() => tree.children(node),
            _ => Ok(Default::default()),
        };
        let mut before = names(&self.before, &pair.before)?;
        let after = names(&self.after, &pair.after)?;
        let mut pairs = vec![];
        for (name, after) in after {
            let before = before.remove(&name);
            pairs.push((name, before, Some(after)));
        }
        pairs.extend(
            before
                .into_iter()
                .map(|(name, one)| (name, Some(one), None)),
        );
        for (name, before, after) in pairs {
            let path = [&pair.path, b"/".as_slice(), &name].concat();
            if path.len() > LONGEST_PATH {
                return Err(DiffError::TooMuch {
                    disk: "sandbox",
                    why: "directories in one another without end".into(),
                });
            }
            if self.hidden != Some(path.as_slice()) {
                waiting.push(Pair {
                    path,
                    before,
                    after,
                });
            }
        }
        Ok(())
    }

    fn one(&mut self, path: &[u8], kind: Kind, file: &File) {
        let size = file.is_regular().then_some(file.size);
        let (size_before, size) = match kind {
            Kind::Removed => (size, None),
            Kind::Added | Kind::Changed => (None, size),
        };
        self.found.add(Change {
            path: path.to_vec(),
            kind,
            what: vec![],
            mode: file.mode,
            size_before,
            size,
        });
    }

    fn both(
        &mut self,
        pair: &Pair,
        before: &Node,
        after: &Node,
        [old, new]: &[Rc<File>; 2],
    ) -> Result<(), DiffError> {
        let are_upper = before.upper.is_some() && after.upper.is_some();
        let is_settled = old.changed_at() < self.settled;
        if are_upper && is_settled && old == new && before.lower == after.lower {
            return Ok(());
        }
        let mut what = differences(old, new);
        if old.kind() == new.kind() && old.is_regular() && !self.has_same_content(before, after)? {
            what.push(Aspect::Content);
        }
        if old.is_link()
            && new.is_link()
            && self.target(&self.before, before)? != self.target(&self.after, after)?
        {
            what.push(Aspect::Target);
        }
        if what.is_empty() {
            return Ok(());
        }
        what.sort_unstable();
        let path = match pair.path.is_empty() {
            true => b"/".to_vec(),
            false => pair.path.clone(),
        };
        let size = |file: &File| file.is_regular().then_some(file.size);
        self.found.add(Change {
            path,
            kind: Kind::Changed,
            what,
            mode: new.mode,
            size_before: size(old),
            size: size(new),
        });
        Ok(())
    }

    fn has_same_content(&self, before: &Node, after: &Node) -> Result<bool, DiffError> {
        let (old, new) = (self.before.content(before)?, self.after.content(after)?);
        let Some(((one, old), (other, new))) = old.zip(new) else {
            return Ok(false);
        };
        if old.size != new.size {
            return Ok(false);
        }
        if std::ptr::eq(one, other) && old.number == new.number {
            return Ok(true);
        }
        let (one, other) = (Content::of(one, &old)?, Content::of(other, &new)?);
        content::same(&one, &other, old.size)
    }

    fn target(&self, tree: &Tree<'_>, node: &Node) -> Result<Vec<u8>, DiffError> {
        match tree.content(node)? {
            Some((layer, file)) => Layer::target(layer, &file),
            None => Ok(vec![]),
        }
    }
}

/// What metadata says.
fn differences(old: &File, new: &File) -> Vec<Aspect> {
    if old.kind() != new.kind() {
        return vec![Aspect::Type];
    }
    let is_other = [
        (Aspect::Device, old.device != new.device),
        (Aspect::Mode, old.mode != new.mode),
        (Aspect::Owner, (old.uid, old.gid) != (new.uid, new.gid)),
        (Aspect::Attributes, !have_same_attributes(old, new)),
    ];
    let others = is_other.into_iter().filter(|(_, is_other)| *is_other);
    others.map(|(aspect, _)| aspect).collect()
}

/// Those of the overlay are its own: they say how it keeps a file, and nothing of the file.
fn have_same_attributes(old: &File, new: &File) -> bool {
    let own = |file: &&File| {
        let own =
            |(namespace, name): &(u8, Vec<u8>)| *namespace == 4 && name.starts_with(b"overlay.");
        let all = file.attributes.iter().filter(move |(name, _)| !own(name));
        all.map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    own(&old) == own(&new)
}
