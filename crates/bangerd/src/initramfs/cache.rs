//! Which initramfs there are: named for what they are made of, so that a name that is there is
//! right and a warm call has nothing to read.

use super::{
    InitramfsError,
    agent::read_agent,
    archive::{self, Contents},
};
use crate::{
    disks::{DiskError, staging::make_private_directory},
    kernels::Kernel,
    layout::Layout,
};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, Metadata},
    io::{self, BufWriter, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// To be raised with any change of the archive's form.
const FORMAT: u32 = 1;

/// How many are kept, those used last.
const KEPT: usize = 8;

/// When an unfinished one is taken for left behind: it takes well under a second to write.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

const ENDING: &str = ".cpio";
const UNFINISHED: &str = ".unfinished";

/// The file name of what is made of that agent and that kernel.
fn file_name(agent: &Metadata, kernel: &Kernel) -> String {
    let modules = kernel.manifest.modules_sha256.as_deref().unwrap_or("none");
    let parts = format!(
        "{FORMAT} {} {} {} {}.{:09} {} {modules}",
        agent.dev(),
        agent.ino(),
        agent.size(),
        agent.mtime(),
        agent.mtime_nsec(),
        kernel.manifest.sha256,
    );
    let digest = Sha256::digest(parts);
    let mut name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    name.push_str(ENDING);
    name
}

/// The initramfs of that kernel with that agent: one that is there, or a new one.
///
/// Safe to call at the same time from several threads and processes. Checks the agent when it
/// makes one; a call that finds one costs two looks at files.
///
/// # Errors
/// The agent is not there or cannot be used, or the host refuses.
pub fn ensure(kernel: &Kernel, agent: &Path, layout: &Layout) -> Result<PathBuf, InitramfsError> {
    let found = match agent.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(InitramfsError::NoAgent {
                agent: agent.to_owned(),
            });
        }
        found => found.map_err(DiskError::io("read", agent))?,
    };
    let directory = layout.initramfs_cache();
    let path = directory.join(file_name(&found, kernel));
    if mark_used(&path) {
        return Ok(path);
    }
    make_private_directory(&directory)?;
    make(kernel, agent, &path)?;
    prune(&directory, SystemTime::now())?;
    Ok(path)
}

/// Whether it is there; if so, it counts as used now.
fn mark_used(path: &Path) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Makes one aside and puts it in its place; whoever does so last at the same time does no harm,
/// both are the same.
fn make(kernel: &Kernel, agent: &Path, path: &Path) -> Result<(), InitramfsError> {
    let init = read_agent(agent)?;
    let mut modules = Vec::new();
    for module in &kernel.boot_modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(module).map_err(DiskError::io("read", module))?;
        if u32::try_from(bytes.len()).is_err() {
            return Err(InitramfsError::TooLong {
                part: module.clone(),
            });
        }
        modules.push((name.into_owned(), bytes));
    }
    let contents = Contents {
        init: &init,
        modules: &modules,
    };
    let unfinished = unfinished_beside(path)?;
    let written = File::create_new(&unfinished).and_then(|file| {
        let mut to = BufWriter::new(file);
        archive::write(&mut to, &contents)?;
        to.flush()?;
        // A crash must not leave a name that is there with bytes that are not.
        to.get_ref().sync_all()?;
        fs::rename(&unfinished, path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        InitramfsError::Disk(DiskError::io("write", path)(error))
    })
}

fn unfinished_beside(path: &Path) -> Result<PathBuf, DiskError> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random)
        .map_err(|error| DiskError::io("name", path)(io::Error::other(error)))?;
    let number = u64::from_ne_bytes(random);
    Ok(path.with_extension(format!("{number:016x}{UNFINISHED}")))
}

/// What to remove of the files of the cache: all but the newest, and what was left unfinished.
fn superfluous(mut files: Vec<(PathBuf, SystemTime)>, now: SystemTime) -> Vec<PathBuf> {
    let is = |path: &Path, ending: &str| path.to_string_lossy().ends_with(ending);
    files.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
    let (finished, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(path, _)| is(path, ENDING));
    let old = others.into_iter().filter(|(path, used)| {
        let age = now.duration_since(*used).unwrap_or_default();
        is(path, UNFINISHED) && age > LEFT_BEHIND
    });
    let surplus = finished.into_iter().skip(KEPT);
    surplus.chain(old).map(|(path, _)| path).collect()
}

fn prune(directory: &Path, now: SystemTime) -> Result<(), DiskError> {
    let listed = fs::read_dir(directory).map_err(DiskError::io("list", directory))?;
    let dated = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?));
    for path in superfluous(listed.flatten().filter_map(dated).collect(), now) {
        match fs::remove_file(&path) {
            // Another call was first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(DiskError::io("remove", &path))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_beyond_eight_and_what_was_left_behind_are_superfluous() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut files: Vec<_> = (0..10)
            .map(|n| (PathBuf::from(format!("{n}{ENDING}")), at(n)))
            .collect();
        files.push((format!("old{UNFINISHED}").into(), at(0)));
        files.push((format!("new{UNFINISHED}").into(), at(3000)));
        files.push(("notes".into(), at(0)));
        let mut removed = superfluous(files, at(3601));
        removed.sort();
        let expected = ["0.cpio", "1.cpio", "old.unfinished"].map(PathBuf::from);
        assert_eq!(removed, expected);
    }
}

#[cfg(test)]
mod t1;
