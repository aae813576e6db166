//! The disks of a simulated guest: files, made larger as QEMU does it, and a guest that sees it late.

use banger_proto::guest::disk_serial;
use banger_proto::guest::message::GrowDisk;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SimulatedDisks {
    /// By the names of their nodes.
    files: BTreeMap<String, PathBuf>,
    /// How large the guest has seen them.
    seen: Mutex<BTreeMap<String, u64>>,
    /// None becomes larger.
    fixed: bool,
}

impl SimulatedDisks {
    /// The disks in QEMU's arguments.
    pub(crate) fn of(arguments: &[String], fixed: bool) -> Self {
        let files: BTreeMap<_, _> = arguments.iter().filter_map(|one| disk(one)).collect();
        let sizes = files.iter().map(|(node, file)| {
            let size = file.metadata().map_or(0, |found| found.len());
            (node.clone(), size)
        });
        Self {
            seen: Mutex::new(sizes.collect()),
            files,
            fixed,
        }
    }

    /// `block_resize`, or why not.
    pub(crate) fn resize(&self, arguments: &Value) -> Result<(), String> {
        let node = arguments["node-name"].as_str().unwrap_or_default();
        let size = arguments["size"].as_u64().ok_or("no size")?;
        let path = self.files.get(node).ok_or("no such node")?;
        if self.fixed {
            return Err("the disk has a size that is fixed".into());
        }
        let file = File::options().write(true).open(path);
        let resized = file.and_then(|file| file.set_len(size));
        resized.map_err(|error| error.to_string())
    }

    /// How large the guest sees a disk: as at the look before this one.
    pub(crate) fn look(&self, disk: GrowDisk) -> u64 {
        let node = match disk {
            GrowDisk::Work => disk_serial::WORK,
            GrowDisk::System => disk_serial::SYSTEM,
        };
        let size = self.files[node].metadata().expect("a disk").len();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.insert(node.to_owned(), size).unwrap_or_default();
        println!("simulated guest: {node} has {seen} bytes");
        seen
    }
}

/// The node's name and the file of a `-blockdev`.
fn disk(argument: &str) -> Option<(String, PathBuf)> {
    let single = argument.replace(",,", "\u{1}");
    let value = |key: &str| {
        let found = single.split(',').find_map(|part| part.strip_prefix(key))?;
        Some(found.replace('\u{1}', ","))
    };
    Some((value("node-name=")?, value("file.filename=")?.into()))
}
