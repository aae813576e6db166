//! Machines that leave as one file and come back from it, through the whole daemon.

use banger_testkit::checks::refusal::is_refused;
use banger_testkit::checks::{disks, start};
use banger_testkit::world::LIMIT;
use banger_testkit::{World, eventually, run};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};

/// A machine that runs, with something on its work disk.
fn written(world: &World) {
    world.configure_small("");
    start(world, "dev");
    disks::write(world, "dev", "one");
}

fn file(world: &World, name: &str) -> String {
    world.path(name).display().to_string()
}

fn good(world: &World, arguments: &[&str]) -> run::Ran {
    world.run(arguments).good()
}

/// Exports the machine; the file's path.
fn exported(world: &World) -> String {
    let path = file(world, "dev.banger");
    let _ = good(world, &["vm", "export", "dev", &path]);
    path
}

/// Nothing of an import is anywhere.
fn nothing_of_it(world: &World, names: &[&str], images: &[&str]) {
    let mut found = world.names();
    // They may be of the same second.
    found.sort();
    assert_eq!(found, names);
    let listed = good(world, &["image", "list", "-q"]).text();
    assert_eq!(listed.lines().collect::<Vec<_>>(), images);
    // Who reads may be a moment behind who was told.
    eventually("nothing to be staged", LIMIT, || {
        let staging = world.state().join("staging");
        match fs::read_dir(staging).map_or(0, Iterator::count) {
            0 => Ok(()),
            left => Err(left),
        }
    });
}

#[test]
fn a_machine_comes_back_as_another_one_with_its_disks_and_goes_on_with_its_memory() {
    let world = World::simulated();
    written(&world);
    let (cold, warm) = (file(&world, "cold.banger"), file(&world, "warm.banger"));
    let told = good(&world, &["vm", "export", "dev", &cold, "--json"]).json();
    let found = fs::metadata(&cold).expect("there");
    assert_eq!(told["bytes"], found.len());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let _ = good(&world, &["vm", "export", "dev", &warm, "--memory"]);
    assert_eq!(world.show("dev")["state"], "running");
    // The moment was only for that.
    assert_eq!(good(&world, &["vm", "snapshots", "dev", "-q"]).text(), "");
    disks::write(&world, "dev", "two");
    assert_eq!(good(&world, &["vm", "import", &cold]).text(), "cold\n");
    let _ = good(&world, &["vm", "import", &warm, "--name", "copy"]);
    for (name, state, resumed) in [("cold", "created", false), ("copy", "suspended", true)] {
        assert_eq!(world.show(name)["state"], state);
        assert_eq!(disks::read(&world, name), "one");
        let _ = good(&world, &["vm", "start", name]);
        assert_eq!(world.show(name)["run"]["resumed"], resumed, "{name}");
        let _ = good(&world, &["exec", name, "--", "true"]);
        assert_ne!(world.show(name)["id"], world.show("dev")["id"]);
    }
    // The image that is here is not taken twice.
    assert_eq!(good(&world, &["image", "list", "-q"]).text(), "debian\n");
    world.assert_nothing_corrupted();
    let _ = good(&world, &["rm", "dev", "cold", "copy"]);
    world.assert_nothing_left();
}

const SECRET: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// Whether there is a secret on the system disk of a machine, and what is beside it.
fn has_secret(world: &World, name: &str) -> bool {
    let bytes = fs::read(disks::path(world, name, "system.ext4")).expect("read");
    let has = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("public half"), "{name}");
    has(SECRET)
}

#[test]
fn what_makes_a_machine_itself_is_in_its_file_only_where_that_is_wanted() {
    let world = World::simulated();
    written(&world);
    let system = disks::path(&world, "dev", "system.ext4");
    let mut commands = "mkdir upper\ncd upper\nmkdir etc\ncd etc\nmkdir ssh\ncd ssh\n".to_owned();
    for (name, text) in [
        ("ssh_host_rsa_key", SECRET),
        ("ssh_host_rsa_key.pub", "public half"),
    ] {
        let content = world.path(name);
        fs::write(&content, text).expect("written");
        commands.push_str(&format!("write {} {name}\n", content.display()));
    }
    disks::debugfs(&world, &system, &commands);
    for (name, options, has) in [
        ("without", &[][..], false),
        ("with", &["--with-secrets"], true),
        ("memory", &["--memory"], true),
    ] {
        let path = file(&world, &format!("{name}.banger"));
        let ran = good(&world, &[&["vm", "export", "dev", &path], options].concat());
        assert_eq!(
            ran.stderr.contains("keys and passwords that are in use"),
            name == "memory"
        );
        let _ = good(&world, &["vm", "import", &path]);
        assert_eq!(has_secret(&world, name), has, "{name}");
    }
    assert!(has_secret(&world, "dev"), "its own stays");
    // What cannot be looked through is written only as it is.
    let superblock = fs::File::options()
        .write(true)
        .open(&system)
        .expect("opened");
    superblock.write_all_at(&[7; 1024], 1024).expect("written");
    let path = file(&world, "damaged.banger");
    let export = ["vm", "export", "dev", &path];
    is_refused(&world, &export, "--with-secrets");
    assert!(!world.path("damaged.banger").exists());
    let _ = good(&world, &[&export[..], &["--with-secrets"]].concat());
}

#[test]
fn what_is_at_rest_is_exported_with_the_memory_that_is_saved_of_it() {
    let world = World::simulated();
    written(&world);
    let path = file(&world, "dev.banger");
    let _ = good(&world, &["vm", "suspend", "dev"]);
    let _ = good(&world, &["vm", "export", "dev", &path, "--memory"]);
    assert_eq!(world.show("dev")["state"], "suspended");
    let _ = good(&world, &["vm", "import", &path, "--name", "warm"]);
    let _ = good(&world, &["exec", "warm", "--", "true"]);
    assert_eq!(world.show("warm")["run"]["resumed"], true);
    let _ = good(&world, &["vm", "stop", "dev"]);
    let with_memory = ["vm", "export", "dev", "none", "--memory"];
    is_refused(&world, &with_memory, "has no memory");
    // Through a pipe, as between hosts.
    let bytes = good(&world, &["vm", "export", "dev", "-"]).stdout;
    let import = ["vm", "import", "-", "--name", "cold"];
    assert_eq!(world.run_with(import, bytes).good().text(), "cold\n");
    assert_eq!(disks::read(&world, "cold"), "one");
    world.assert_nothing_corrupted();
}

#[test]
fn what_cannot_be_written_or_made_is_refused_and_harms_nothing() {
    let world = World::simulated();
    written(&world);
    let path = exported(&world);
    let before = fs::read(&path).expect("there");
    is_refused(&world, &["vm", "export", "dev", &path], "there already");
    assert_eq!(fs::read(&path).expect("there"), before);
    let elsewhere = file(&world, "no-such/dev.banger");
    let ran = world.run(["vm", "export", "dev", &elsewhere]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let nobody = file(&world, "nobody.banger");
    is_refused(&world, &["vm", "export", "nobody", &nobody], "nobody");
    assert!(!world.path("nobody.banger").exists());
    is_refused(&world, &["vm", "import", &path], "already");
    let key = ["vm", "import", &path, "--name", "x", "--trust", "5f0c"];
    is_refused(&world, &key, "64 hexadecimal digits");
    let ran = world.run(["vm", "import", &path, "--name", "../x"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    nothing_of_it(&world, &["dev"], &["debian"]);
}

#[test]
fn a_file_that_is_harmed_is_refused_and_nothing_of_it_is_left() {
    let world = World::simulated();
    written(&world);
    let bytes = fs::read(exported(&world)).expect("read");
    let bad = file(&world, "bad.banger");
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (bytes, why) in [
        (bytes[..bytes.len() - 1].to_vec(), "cut off"),
        (bytes[..100].to_vec(), "cut off"),
        (flipped(40), "signature"),
        (flipped(bytes.len() - 40), "damaged"),
        ([&bytes[..], b"x"].concat(), "behind its end"),
        (b"something else".to_vec(), "no export"),
        (vec![], "no export"),
    ] {
        fs::write(&bad, bytes).expect("written");
        is_refused(&world, &["vm", "import", &bad], why);
        nothing_of_it(&world, &["dev"], &["debian"]);
    }
}

#[test]
fn a_strangers_file_is_taken_where_its_key_is_trusted_and_its_image_comes_with_it() {
    let world = World::simulated();
    written(&world);
    let path = exported(&world);
    let key = good(&world, &["vm", "export", "--key"]).text();
    let key = key.trim();
    let other = World::simulated();
    other.configure_small("");
    let _ = good(&other, &["image", "rm", "debian"]);
    is_refused(&other, &["vm", "import", &path], key);
    nothing_of_it(&other, &[], &[]);
    let trusted = format!("trusted_exporters = [\"{key}\"]\n");
    other.configure_small(&trusted);
    let _ = good(&other, &["daemon", "stop"]);
    let bare = file(&world, "bare.banger");
    let _ = good(&world, &["vm", "export", "dev", &bare, "--no-image"]);
    is_refused(&other, &["vm", "import", &bare], "neither here nor in it");
    let _ = good(&other, &["vm", "import", &path]);
    assert_eq!(disks::read(&other, "dev"), "one");
    // What machines are made of unasked stays this host's own to make.
    let image = good(&other, &["image", "list", "-q"]).text();
    assert!(image.starts_with("imported-"), "{image}");
    // Now that it is there.
    let _ = good(&other, &["vm", "import", &bare]);
    nothing_of_it(&other, &["bare", "dev"], &[image.trim()]);
}

/// An import of which the last bytes have not come.
fn half(world: &World) -> std::process::Child {
    let bytes = fs::read(exported(world)).expect("read");
    let mut importing = run::start(&mut world.banger(["vm", "import", "-", "--name", "half"]));
    let input = importing.stdin.as_mut().expect("piped");
    input.write_all(&bytes[..bytes.len() - 10]).expect("sent");
    eventually("the import to begin", LIMIT, || {
        let staging = world.state().join("staging");
        match fs::read_dir(staging).map_or(0, Iterator::count) {
            0 => Err("nothing is staged"),
            _ => Ok(()),
        }
    });
    importing
}

#[test]
fn a_daemon_that_is_killed_while_it_reads_a_file_leaves_nothing_of_it() {
    let world = World::simulated();
    written(&world);
    let importing = half(&world);
    world.kill_daemon();
    let ended = run::finish(importing, vec![], LIMIT);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("send the file again"), "{ended:?}");
    nothing_of_it(&world, &["dev"], &["debian"]);
}

#[test]
fn a_client_that_leaves_while_it_sends_leaves_nothing_of_it() {
    let world = World::simulated();
    written(&world);
    let mut importing = half(&world);
    importing.kill().expect("killed");
    let _ = importing.wait().expect("ended");
    nothing_of_it(&world, &["dev"], &["debian"]);
    let _ = good(&world, &["vm", "create", "--no-start", "--name", "half"]);
}
