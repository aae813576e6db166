//! The cache in a directory of its own.

use super::*;
use crate::kernels::{KernelManifest, fixtures};

struct World {
    place: tempfile::TempDir,
    layout: Layout,
    agent: PathBuf,
}

fn world() -> World {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    let layout = Layout {
        config: at("config"),
        state: at("state"),
        cache: at("cache"),
        runtime: at("run"),
    };
    let agent = at("agent");
    fs::write(&agent, fixtures::program(false)).expect("writes");
    fs::write(at("00-virtio.ko"), fixtures::module("depends=\0")).expect("writes");
    World {
        layout,
        agent,
        place,
    }
}

impl World {
    fn kernel(&self, sha256: &str) -> Kernel {
        Kernel {
            manifest: KernelManifest {
                name: "k".parse().expect("is a name"),
                version: "6.1".to_owned(),
                architecture: "x86_64".to_owned(),
                sha256: sha256.to_owned(),
                modules_sha256: None,
                generation_id: true,
                origin: String::new(),
                length: 0,
                imported: 0,
            },
            vmlinux: self.place.path().join("vmlinux"),
            modules_disk: None,
            boot_modules: vec![self.place.path().join("00-virtio.ko")],
        }
    }

    fn ensure(&self, sha256: &str) -> Result<PathBuf, InitramfsError> {
        ensure(&self.kernel(sha256), &self.agent, &self.layout)
    }

    fn cached(&self) -> usize {
        fs::read_dir(self.layout.initramfs_cache()).map_or(0, Iterator::count)
    }
}

#[test]
fn a_second_call_reads_neither_agent_nor_modules() {
    let world = world();
    let first = world.ensure("aa").expect("is made");
    let bytes = fs::read(&first).expect("reads");
    assert!(bytes.starts_with(b"070701") && bytes.len() > 400);
    fs::remove_file(world.place.path().join("00-virtio.ko")).expect("is removed");
    assert_eq!(world.ensure("aa").expect("is there"), first);
    assert_eq!(world.cached(), 1);
}

#[test]
fn another_kernel_or_agent_gets_another_file() {
    let world = world();
    let first = world.ensure("aa").expect("is made");
    assert_ne!(world.ensure("bb").expect("is made"), first);
    let mut longer = fixtures::program(false);
    longer.push(0);
    fs::write(&world.agent, longer).expect("writes");
    assert_ne!(world.ensure("aa").expect("is made"), first);
}

#[test]
fn only_the_newest_eight_are_kept_and_the_present_one_always() {
    let world = world();
    for number in 0..12 {
        let path = world.ensure(&number.to_string()).expect("is made");
        assert!(path.is_file());
    }
    assert_eq!(world.cached(), KEPT);
}

#[test]
fn many_calls_at_once_agree() {
    let world = world();
    let paths: Vec<PathBuf> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| world.ensure("aa"))).collect();
        let done = calls.into_iter().map(|call| call.join().expect("ends"));
        done.map(|path| path.expect("is made")).collect()
    });
    assert!(paths.iter().all(|path| path == &paths[0] && path.is_file()));
    assert_eq!(world.cached(), 1);
}

#[test]
fn a_failed_call_leaves_nothing() {
    let world = world();
    fs::remove_file(world.place.path().join("00-virtio.ko")).expect("is removed");
    let error = world.ensure("aa").expect_err("lacks a module");
    assert!(error.to_string().contains("00-virtio.ko"), "{error}");
    fs::write(&world.agent, fixtures::program(true)).expect("writes");
    assert!(matches!(
        world.ensure("aa"),
        Err(InitramfsError::BadAgent { .. })
    ));
    fs::remove_file(&world.agent).expect("is removed");
    assert!(matches!(
        world.ensure("aa"),
        Err(InitramfsError::NoAgent { .. })
    ));
    assert_eq!(world.cached(), 0);
}
