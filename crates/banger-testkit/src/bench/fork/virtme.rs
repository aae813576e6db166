//! `vm run --rm -- true` beside virtme-ng, which boots a kernel for each command, on the same QEMU.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::process::{self, Finished};
use super::super::{milliseconds, repeat};
use super::{SHAPE, banger};
use crate::World;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NAME: &str = "fork.run.virtme";
const GOAL: f64 = 0.1;

/// What `cargo xtask bench` has made for virtme-ng; see `xtask/src/bench/virtme.rs`.
const VARIABLE: &str = "BANGER_BENCH_VIRTME";
/// Why it could not.
const WITHOUT_VARIABLE: &str = "BANGER_BENCH_WITHOUT_VIRTME";

/// It takes many seconds each time: not more of them than this.
const MOST: usize = 5;

pub(super) fn measure(world: &World, count: usize) -> Result<Figure, Error> {
    let place = match place(|name| std::env::var_os(name)) {
        Ok(place) => place,
        Err(why) => return Ok(without(why)),
    };
    // The first lists the kernel's modules.
    if let Err(why) = once(world, &place)? {
        return Ok(without(why));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    repeat(NAME, count.min(MOST), |_| {
        let rest = [&SHAPE[..], &["--", "true"]].concat();
        ours.push(banger(world, &["vm", "run", "--rm"], &rest)?.took);
        theirs.push(once(world, &place)?);
        Ok(())
    })?;
    let theirs: Vec<Duration> = match theirs.into_iter().collect() {
        Ok(theirs) => theirs,
        Err(why) => return Ok(without(why)),
    };
    let ours = milliseconds("vm run", &ours)?;
    let theirs = milliseconds("virtme-ng", &theirs)?;
    Ok(Figure::new(NAME, Unit::Milliseconds, &ours, Some(&theirs)).with_goal(Some(GOAL), None))
}

fn without(why: String) -> Figure {
    Figure::not_run(NAME, Unit::Milliseconds, why).with_goal(Some(GOAL), None)
}

/// Where it is, or why there is none.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    match (variable(VARIABLE), variable(WITHOUT_VARIABLE)) {
        (Some(place), _) => Ok(place.into()),
        (None, Some(why)) => Err(why.to_string_lossy().into_owned()),
        (None, None) => {
            Err("virtme-ng is not there: `cargo xtask bench runs` fetches it".to_owned())
        }
    }
}

/// How long it took, or why it did not succeed: virtme-ng's failures are none of banger's.
fn once(world: &World, place: &Path) -> Result<Result<Duration, String>, Error> {
    let image = world.state().join("images/debian/image.ext4");
    let mut command = world.program(&text(&place.join("python/bin/vng")));
    arrange(&mut command, place, &image, &world.path("home"));
    judge(process::run_for_output(&mut command))
}

fn judge(ran: Result<Finished<Vec<u8>>, Error>) -> Result<Result<Duration, String>, Error> {
    match ran {
        Ok(ran) => Ok(Ok(ran.took)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The fastest way that also tells how the command ended: the kernel uncompressed, and banger's own image as the
/// root, read only. The host's root would be shared with the guest by 9p.
fn arrange(command: &mut Command, place: &Path, image: &Path, scratch: &Path) {
    let at = |name: &str| place.join(name);
    command.arg("--disable-kvm").arg("--run");
    command.arg(at("root/boot/vmlinux"));
    command.arg("--busybox").arg(at("bin/busybox"));
    command.arg("--root-disk").arg(image);
    command.args(["--root-fstype", "ext4", "--cpus", "1", "--memory", "512M"]);
    command.args(["--exec", "true"]);
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let own = [at("python/bin"), at("bin")].map(PathBuf::into_os_string);
    let path = [&own[0], &own[1], &usual].map(OsString::as_os_str);
    command.env("PATH", path.join(OsStr::new(":")));
    command.env("TMPDIR", scratch);
    // Its QEMU is a child of a child's.
    command.process_group(0);
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn without_it_there_is_a_reason() {
        let none = place(|_| None).expect_err("none");
        assert!(none.contains("cargo xtask bench runs"), "{none}");
        let told = |name: &str| (name == WITHOUT_VARIABLE).then(|| "no network".into());
        assert_eq!(place(told).expect_err("none"), "no network");
        let there = |name: &str| (name == VARIABLE).then(|| "/t/virtme".into());
        assert_eq!(place(there).expect("there"), Path::new("/t/virtme"));
    }

    #[test]
    fn its_failures_are_told_in_the_row_and_ctrl_c_ends_all() {
        let ran = Finished {
            took: Duration::from_secs(9),
            output: Vec::new(),
            notes: Vec::new(),
        };
        assert_eq!(judge(Ok(ran)).expect("told"), Ok(Duration::from_secs(9)));
        let told = judge(Err(Error::wrong("exit status: 255"))).expect("told");
        assert_eq!(told, Err("exit status: 255".to_owned()));
        assert!(judge(Err(Error::Interrupted)).is_err());
        let figure = without("no network".into());
        assert_eq!((figure.ratio(), figure.holds()), (None, None));
    }

    #[test]
    fn it_gets_the_same_shape_root_and_emulator_as_our_own() {
        let mut command = Command::new("vng");
        let [place, image, scratch] = ["/t/virtme", "/s/image.ext4", "/w/home"].map(Path::new);
        arrange(&mut command, place, image, scratch);
        let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        assert_eq!(
            words.join(" "),
            "--disable-kvm --run /t/virtme/root/boot/vmlinux --busybox /t/virtme/bin/busybox \
             --root-disk /s/image.ext4 --root-fstype ext4 --cpus 1 --memory 512M --exec true"
        );
        assert!(SHAPE.contains(&"512MiB"));
        let path = command.get_envs().find(|(name, _)| *name == "PATH");
        let path = path.and_then(|(_, value)| value).expect("a path");
        let path = path.to_string_lossy();
        assert!(
            path.starts_with("/t/virtme/python/bin:/t/virtme/bin:"),
            "{path}"
        );
    }
}
