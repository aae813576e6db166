//! The store as a whole, in directories of its own.

use super::*;

struct World {
    place: tempfile::TempDir,
    store: KernelStore,
}

fn world() -> World {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    let store = KernelStore::new(Layout {
        config: at("config"),
        state: at("state"),
        cache: at("cache"),
        runtime: at("run"),
    });
    World { place, store }
}

fn name(name: &str) -> ArtifactName {
    name.parse().expect("is a name")
}

impl World {
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.place.path().join(name);
        fs::write(&path, bytes).expect("writes");
        path
    }

    fn import(&self, kernel: &str, bytes: &[u8]) -> Result<Kernel, KernelError> {
        let source = KernelSource::File(self.file("source", bytes));
        self.store
            .import(&name(kernel), &source, &Progress::silent())
    }

    /// What a failed import must not leave.
    fn assert_clean(&self) {
        let count = |path: PathBuf| fs::read_dir(path).map_or(0, Iterator::count);
        assert_eq!(count(self.store.layout.staging()), 0);
        assert_eq!(count(self.store.layout.kernels()), 0);
    }
}

#[test]
fn a_file_becomes_a_kernel_without_modules() {
    let world = world();
    let plain = fixtures::vmlinux("6.1.0-x");
    let image = fixtures::bzimage(&fixtures::gzip(&plain));
    let kernel = world.import("one", &image).expect("is imported");
    assert!(fs::read(&kernel.vmlinux).expect("reads") == plain);
    assert_eq!(kernel.manifest.version, "6.1.0-x");
    assert_eq!(kernel.manifest.architecture, "x86_64");
    assert_eq!(
        (kernel.modules_disk.as_ref(), kernel.boot_modules.len()),
        (None, 0)
    );
    assert_eq!(world.store.get(&name("one")).expect("is there"), kernel);
    assert_eq!(world.store.list().expect("lists"), [kernel]);
}

#[test]
fn a_taken_name_is_a_conflict_and_changes_nothing() {
    let world = world();
    world
        .import("one", &fixtures::vmlinux("1.0"))
        .expect("is imported");
    let error = world
        .import("one", &fixtures::vmlinux("2.0"))
        .expect_err("is taken");
    assert!(matches!(error, KernelError::Exists(_)), "{error}");
    let kernel = world.store.get(&name("one")).expect("is there");
    assert_eq!(kernel.manifest.version, "1.0");
}

#[test]
fn a_deleted_kernel_is_gone_and_an_unknown_one_has_a_remedy() {
    let world = world();
    world
        .import("one", &fixtures::vmlinux("1.0"))
        .expect("is imported");
    world.store.delete(&name("one")).expect("is deleted");
    world.assert_clean();
    for error in [
        world.store.delete(&name("one")).expect_err("is gone"),
        world.store.get(&name("one")).expect_err("is gone"),
    ] {
        let fault = error.fault();
        assert_eq!(fault.code, banger_proto::fault::FaultCode::NotFound);
        assert!(fault.remedy.is_some());
    }
}

#[test]
fn a_failed_import_leaves_nothing() {
    let world = world();
    let error = world.import("one", b"text").expect_err("is no kernel");
    assert!(
        error.to_string().contains("neither a bzImage nor an ELF"),
        "{error}"
    );
    for source in [
        KernelSource::File("/nonexistent/kernel".into()),
        KernelSource::Directory("/nonexistent".into()),
        KernelSource::Package(world.file("p.deb", b"text")),
        KernelSource::DistributionPackage("--option".to_owned()),
    ] {
        let imported = world
            .store
            .import(&name("one"), &source, &Progress::silent());
        assert!(imported.is_err(), "{source:?}");
    }
    world.assert_clean();
}

#[test]
fn modules_of_another_kernel_are_refused() {
    let world = world();
    let directory = world.place.path().join("tree");
    fs::create_dir_all(directory.join("lib/modules/6.2/kernel")).expect("is made");
    fs::write(directory.join("vmlinux"), fixtures::vmlinux("6.1")).expect("writes");
    fs::write(directory.join("lib/modules/6.2/modules.builtin"), "").expect("writes");
    let source = KernelSource::Directory(directory);
    let error = world
        .store
        .import(&name("one"), &source, &Progress::silent());
    let error = error.expect_err("is refused").to_string();
    assert!(error.contains("6.1") && error.contains("6.2"), "{error}");
    world.assert_clean();
}

#[test]
fn one_kernel_that_is_damaged_does_not_hide_the_others_and_can_be_deleted() {
    let world = world();
    world
        .import("good", &fixtures::vmlinux("1.0"))
        .expect("is imported");
    world
        .import("bad", &fixtures::vmlinux("1.0"))
        .expect("is imported");
    let manifest = world
        .store
        .layout
        .kernel(&name("bad"))
        .join("manifest.json");
    fs::write(manifest, "{").expect("writes");
    let listed = world.store.list().expect("lists");
    assert_eq!(listed.len(), 1);
    assert!(matches!(
        world.store.get(&name("bad")),
        Err(KernelError::Stored { .. })
    ));
    world.store.delete(&name("bad")).expect("is deleted");
}

#[test]
fn a_kernel_that_lost_a_file_says_which() {
    let world = world();
    let kernel = world
        .import("one", &fixtures::vmlinux("1.0"))
        .expect("is imported");
    fs::remove_file(kernel.vmlinux).expect("is removed");
    let error = world.store.get(&name("one")).expect_err("is incomplete");
    assert!(error.to_string().contains("vmlinux is missing"), "{error}");
}
