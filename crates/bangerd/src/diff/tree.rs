//! The files of one side: a file system by itself, or one laid over the image as the kernel's overlay does it
//! (overlayfs in the kernel's documentation): whiteouts, opaque directories, directories that were renamed.

use super::DiffError;
use super::layer::{File, Layer};
use mkext4::spec::ROOT_INO;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The namespace `trusted.` of extended attributes.
const TRUSTED: u8 = 4;
/// The directory of the system disk that is laid over the image.
const UPPER: &[u8] = b"upper";

/// One side.
pub(super) struct Tree<'a> {
    lower: Option<&'a Layer>,
    upper: Option<&'a Layer>,
    /// Which directory of the upper one is the root.
    root: Option<u32>,
}

/// A file of a tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What the upper file system has of it; else the lower one has all.
    pub(super) upper: Option<Rc<File>>,
    /// What the lower one has of it: the names of a directory, the content of a file.
    pub(super) lower: Option<u32>,
}

impl Node {
    /// Whether it is certainly the same file of the image.
    pub(super) fn is_same_of_image(&self, other: &Self) -> bool {
        self.upper.is_none() && other.upper.is_none() && self.lower == other.lower
    }
}

impl<'a> Tree<'a> {
    /// The image, and what was written over it, if anything.
    pub(super) fn overlay(image: &'a Layer, system: Option<&'a Layer>) -> Result<Self, DiffError> {
        let root = match system {
            None => None,
            Some(system) => {
                let names = system.names(&system.file(ROOT_INO)?)?;
                // It is made by the first start.
                names.get(UPPER).copied()
            }
        };
        Ok(Self {
            lower: Some(image),
            upper: system,
            root,
        })
    }

    /// A file system by itself; none has no files.
    pub(super) fn plain(disk: Option<&'a Layer>) -> Result<Self, DiffError> {
        Ok(Self {
            lower: None,
            upper: disk,
            root: disk.map(|_| ROOT_INO),
        })
    }

    /// Its root, if it has any file.
    pub(super) fn root(&self) -> Result<Option<Node>, DiffError> {
        let upper = match (self.upper, self.root) {
            (Some(layer), Some(root)) => Some(Rc::new(layer.file(root)?)),
            _ => None,
        };
        let lower = self.lower.map(|_| ROOT_INO);
        Ok((upper.is_some() || lower.is_some()).then_some(Node { upper, lower }))
    }

    /// What is known of a file.
    pub(super) fn file(&self, node: &Node) -> Result<Rc<File>, DiffError> {
        match (&node.upper, self.lower, node.lower) {
            (Some(file), _, _) => Ok(Rc::clone(file)),
            (None, Some(layer), Some(number)) => layer.file(number).map(Rc::new),
            (None, _, _) => Err(DiffError::Damaged {
                disk: "system disk",
                why: "it leads nowhere".into(),
            }),
        }
    }

    /// Which file system has the content of a file or the target of a link, and as which file.
    pub(super) fn content(&self, node: &Node) -> Result<Option<(&'a Layer, Rc<File>)>, DiffError> {
        match (&node.upper, node.lower) {
            (Some(file), None) => Ok(self.upper.map(|layer| (layer, Rc::clone(file)))),
            (_, Some(number)) => match self.lower {
                Some(layer) => Ok(Some((layer, Rc::new(layer.file(number)?)))),
                None => Ok(None),
            },
            (None, None) => Ok(None),
        }
    }

    /// The files in a directory.
    pub(super) fn children(&self, node: &Node) -> Result<BTreeMap<Vec<u8>, Node>, DiffError> {
        let beneath = match (self.lower, node.lower) {
            (Some(layer), Some(number)) => layer.names(&layer.file(number)?)?,
            _ => BTreeMap::new(),
        };
        let of_lower = |(name, number): (&Vec<u8>, &u32)| {
            let node = Node {
                upper: None,
                lower: Some(*number),
            };
            (name.clone(), node)
        };
        let mut all: BTreeMap<_, _> = beneath.iter().map(of_lower).collect();
        let (Some(layer), Some(directory)) = (self.upper, &node.upper) else {
            return Ok(all);
        };
        for (name, number) in layer.names(directory)? {
            let file = layer.file(number)?;
            if self.lower.is_some() && is_whiteout(&file) {
                all.remove(&name);
                continue;
            }
            let lower = self.below(&name, &file, &beneath)?;
            let upper = Some(Rc::new(file));
            all.insert(name, Node { upper, lower });
        }
        Ok(all)
    }

    /// What of the lower file system a file of the upper one still has.
    fn below(
        &self,
        name: &[u8],
        file: &File,
        beneath: &BTreeMap<Vec<u8>, u32>,
    ) -> Result<Option<u32>, DiffError> {
        let Some(image) = self.lower else {
            return Ok(None);
        };
        let attribute = |name: &[u8]| file.attribute(TRUSTED, name);
        let is_opaque = attribute(b"overlay.opaque") == Some(b"y");
        let has_only_metadata = file.is_regular() && attribute(b"overlay.metacopy").is_some();
        if is_opaque || !(file.is_directory() || has_only_metadata) {
            return Ok(None);
        }
        let found = match attribute(b"overlay.redirect") {
            None => beneath.get(name).copied(),
            Some(path) => match path.strip_prefix(b"/") {
                None => beneath.get(path).copied(),
                Some(path) => resolve(image, path)?,
            },
        };
        let Some(number) = found else {
            return Ok(None);
        };
        let lower = image.file(number)?;
        Ok((lower.kind() == file.kind()).then_some(number))
    }
}

/// Follows a path of directories from the root; none where it leads nowhere.
fn resolve(layer: &Layer, path: &[u8]) -> Result<Option<u32>, DiffError> {
    let mut number = ROOT_INO;
    for part in path.split(|byte| *byte == b'/') {
        let directory = layer.file(number)?;
        if !directory.is_directory() {
            return Ok(None);
        }
        match layer.names(&directory)?.get(part) {
            Some(next) => number = *next,
            None => return Ok(None),
        }
    }
    Ok(Some(number))
}

/// A device of numbers zero stands for a file that was removed.
fn is_whiteout(file: &File) -> bool {
    file.kind() == 0o020_000 && file.device == Some((0, 0))
}
