//! The store as a whole, in directories of its own.

use super::*;
use crate::kernels::fixtures;

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

#[test]
fn a_package_becomes_a_kernel_with_modules() {
    let world = world();
    let package = world.file("p.deb", &fixtures::kernel_package("6.1.0-1-cloud-amd64"));
    let source = KernelSource::Package(package);
    let imported = world
        .store
        .import(&name("cloud"), &source, &Progress::silent());
    let kernel = imported.expect("is imported");
    assert_eq!(kernel.manifest.version, "6.1.0-1-cloud-amd64");
    assert!(kernel.manifest.modules_sha256.is_some());
    assert!(!kernel.manifest.generation_id, "its list says so");
    let names = kernel
        .boot_modules
        .iter()
        .filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    let expected = [
        "00-virtio.ko",
        "01-virtio_ring.ko",
        "02-virtio_pci.ko",
        "03-virtio_rng.ko",
    ];
    assert_eq!(names, expected);
    let disk = fs::File::open(kernel.modules_disk.expect("has one")).expect("opens");
    let disk = mkext4::reader::Fs::open(disk).expect("is a file system");
    let read = |path: &str| disk.read_file(disk.resolve(path).expect(path)).expect(path);
    let dependencies = String::from_utf8(read("/modules.dep")).expect("is text");
    assert!(dependencies.contains("virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko\n"));
    let packed = read("/kernel/drivers/virtio/virtio_ring.ko.xz");
    assert!(packed.starts_with(b"\xfd7zXZ"), "stays as it was packed");
    assert_eq!(
        fs::read_dir(world.store.layout.staging())
            .expect("lists")
            .count(),
        0
    );
}

#[test]
fn tables_that_depmod_made_are_kept() {
    let world = world();
    let directory = world.place.path().join("tree");
    fs::create_dir_all(directory.join("kernel")).expect("is made");
    fs::write(directory.join("vmlinuz"), fixtures::vmlinux("6.1")).expect("writes");
    fs::write(
        directory.join("kernel/a.ko"),
        fixtures::module("depends=\0"),
    )
    .expect("writes");
    fs::write(directory.join("modules.dep"), "made by depmod").expect("writes");
    let source = KernelSource::Directory(directory);
    let imported = world
        .store
        .import(&name("one"), &source, &Progress::silent());
    let disk = imported
        .expect("is imported")
        .modules_disk
        .expect("has one");
    let disk = mkext4::reader::Fs::open(fs::File::open(disk).expect("opens")).expect("opens");
    let table = disk.resolve("/modules.dep").expect("is there");
    assert_eq!(disk.read_file(table).expect("reads"), b"made by depmod");
    assert!(disk.resolve("/vmlinuz").is_err());
}

#[test]
fn of_two_imports_at_once_one_wins_and_the_other_is_a_conflict() {
    let world = world();
    let source = KernelSource::File(world.file("source", &fixtures::vmlinux("1.0")));
    let import = || {
        world
            .store
            .import(&name("one"), &source, &Progress::silent())
    };
    let results = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(import)).collect();
        let results = calls.into_iter().map(|call| call.join().expect("ends"));
        results.collect::<Vec<_>>()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let lost = results.into_iter().filter_map(Result::err);
    assert!(
        lost.into_iter()
            .all(|error| matches!(error, KernelError::Exists(_)))
    );
}

#[test]
fn a_source_that_is_not_there_is_the_askers_fault() {
    let world = world();
    let source = KernelSource::File("/nonexistent/kernel".into());
    let imported = world
        .store
        .import(&name("one"), &source, &Progress::silent());
    let fault = imported.expect_err("is absent").fault();
    assert_eq!(fault.code, banger_proto::fault::FaultCode::BadRequest);
    assert!(fault.message.contains("/nonexistent/kernel"), "{fault}");
}
