//! What can be told of an image from its files: which processor it is for, which init it has.

use super::{
    elf::{self, Ident},
    error::ImageError,
    spool::Spool,
    tree::{NodeId, NodeKind, Tree},
};
use std::io::Read;

/// Where programs are; on most images the first two are links to the others.
const PROGRAM_DIRECTORIES: [&[u8]; 4] = [b"bin", b"sbin", b"usr/bin", b"usr/sbin"];
/// Programs that are looked at in each directory: foreign ones may lie among an image's own.
const PROGRAMS_LOOKED_AT: usize = 16;
/// Where systemd is.
const SYSTEMD: [&str; 2] = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];

/// The path of the image's systemd, if it has one.
pub(crate) fn init(tree: &Tree) -> Option<String> {
    let is_file = |path: &&str| {
        let node = tree.find(path.as_bytes()).and_then(|id| tree.node(id));
        node.is_some_and(|node| matches!(node.kind, NodeKind::File { .. }))
    };
    SYSTEMD
        .iter()
        .find(|path| is_file(path))
        .map(|path| format!("/{path}"))
}

/// The processor of the image's programs; `unknown` when it has none.
///
/// # Errors
/// [`ImageError::Architecture`] when it has programs, and none for this host's guests.
pub(crate) fn architecture(tree: &Tree, spool: &Spool) -> Result<String, ImageError> {
    let mut first = None;
    for directory in PROGRAM_DIRECTORIES {
        let names = tree.find(directory).and_then(|id| tree.names(id));
        let programs = names.into_iter().flat_map(|names| names.values());
        let idents = programs.filter_map(|id| ident(tree, spool, *id));
        for ident in idents.take(PROGRAMS_LOOKED_AT) {
            if ident.is_x86_64() {
                return Ok(ident.name());
            }
            first.get_or_insert(ident);
        }
    }
    match first {
        Some(ident) => Err(ImageError::Architecture {
            found: ident.name(),
        }),
        None => Ok("unknown".to_owned()),
    }
}

fn ident(tree: &Tree, spool: &Spool, id: NodeId) -> Option<Ident> {
    let NodeKind::File {
        at,
        size,
        data: None,
    } = &tree.node(id)?.kind
    else {
        return None;
    };
    let mut head = [0; elf::IDENT_LENGTH];
    spool.read(*at, *size).read_exact(&mut head).ok()?;
    elf::ident(&head)
}
