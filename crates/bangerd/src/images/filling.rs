//! The bytes that a file system's builder wants for each file.

use super::{
    holes::{self, Piece},
    spool::Spool,
    tree::{NodeId, NodeKind, Tree},
};
use std::{
    collections::VecDeque,
    io::{self, Read},
};

/// Whether a node has bytes at all that the builder asks for.
pub(crate) fn has_content(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::File {
            data: Some(data), ..
        } => !data.is_empty(),
        NodeKind::File { size, .. } => *size > 0,
        _ => false,
    }
}

/// The bytes that the builder wants for a file: all of it, or its blocks that have data.
pub(crate) fn content<'a>(tree: &Tree, spool: &'a Spool, id: NodeId) -> Box<dyn Read + 'a> {
    match tree.node(id).map(|node| &node.kind) {
        Some(NodeKind::File {
            at,
            size,
            data: None,
        }) => Box::new(spool.read(*at, *size)),
        Some(NodeKind::File {
            at,
            size,
            data: Some(data),
        }) => {
            let (_, pieces) = holes::rounded(data, *size);
            let mut at = *at;
            let mut all: Vec<Box<dyn Read + 'a>> = Vec::new();
            for piece in pieces {
                match piece {
                    Piece::Zeros(count) => all.push(Box::new(io::repeat(0).take(count))),
                    Piece::Stored(count) => {
                        all.push(Box::new(spool.read(at, count)));
                        at += count;
                    }
                }
            }
            Box::new(InTurn(all.into_iter().collect()))
        }
        _ => Box::new(io::empty()),
    }
}

/// Readers, one after another.
struct InTurn<'a>(VecDeque<Box<dyn Read + 'a>>);

impl Read for InTurn<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(first) = self.0.front_mut() {
            let read = first.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.0.pop_front();
        }
        Ok(0)
    }
}
