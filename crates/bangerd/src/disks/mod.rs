//! Disks of sandboxes, and what every builder of files on the host's disk shares: the programs it
//! runs, the room it needs, the directory it builds in.

mod child;
mod error;
pub(crate) mod grow;
pub mod programs;
pub(crate) mod space;
pub(crate) mod sparse_ext4;
pub(crate) mod staging;
pub(crate) mod whole;

pub(crate) use child::RunningChild;
pub use error::DiskError;
pub use programs::ProgramError;
pub use sparse_ext4::{make_sparse_ext4, require_room};
