use super::super::fixtures::{Place, debugfs};
use super::*;
use std::fs;

const KEY: &str = "etc/ssh/ssh_host_ed25519_key";
const SECRET: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

fn found(image: &Path, system: &Path, work: Option<&Path>) -> Result<Secrets, DiffError> {
    let disks = Disks {
        taken_at: 0,
        system: Some(system.to_owned()),
        work: work.map(Path::to_owned),
    };
    let limit = Duration::from_secs(60);
    secrets(image, &disks, limit, CancellationToken::new())
}

/// What is left of a disk without them.
fn without(disk: &Path, ranges: &[Range<u64>]) -> String {
    let mut bytes = fs::read(disk).expect("read");
    crate::blocks::blank(&mut bytes, 0, ranges);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn secrets_of_the_machine_go_and_everything_else_stays() {
    let place = Place::new();
    let image = place.disk("image", &[("etc/ssh/ssh_host_rsa_key", "of the image")]);
    let long = format!("{SECRET}{}", "x".repeat(2 << 20));
    let files = [
        (KEY, SECRET),
        ("etc/ssh/ssh_host_ed25519_key.pub", "public half"),
        ("etc/ssh/sshd_config", "configuration"),
        ("etc/ssh/ssh_host_ecdsa_key", long.as_str()),
        ("var/lib/systemd/random-seed", SECRET),
        ("var/lib/systemd/credential.secret", SECRET),
        ("var/lib/systemd/other", "another file"),
    ];
    let system = place.system("system", &files);
    let secrets = found(&image, &system, None).expect("read");
    let paths: Vec<_> = secrets.paths.iter().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/etc/ssh/ssh_host_ecdsa_key",
            "/etc/ssh/ssh_host_ed25519_key",
            "/var/lib/systemd/credential.secret",
            "/var/lib/systemd/random-seed",
        ]
    );
    let left = without(&system, &secrets.system);
    assert!(!left.contains(SECRET) && !left.contains("xxxxxxxx"));
    for kept in ["public half", "configuration", "another file"] {
        assert!(left.contains(kept), "{kept}");
    }
}

#[test]
fn links_are_followed_as_the_guest_does_onto_the_work_disk_too() {
    let place = Place::new();
    let image = place.disk("image", &[("etc/passwd", ""), ("data", "->srv/./deep/..")]);
    let system = place.system(
        "system",
        &[
            ("etc/ssh", "->../data/ssh"),
            ("srv/deep/", ""),
            ("srv/ssh/ssh_host_rsa_key", SECRET),
            ("srv/ssh/ssh_host_ed25519_key", "->/root/key"),
        ],
    );
    let work = place.disk("work", &[("key", SECRET), ("other", "work of mine")]);
    let secrets = found(&image, &system, Some(&work)).expect("read");
    assert_eq!(secrets.paths.len(), 2, "{secrets:?}");
    assert!(!without(&system, &secrets.system).contains(SECRET));
    let left = without(&work, &secrets.work);
    assert!(!left.contains(SECRET) && left.contains("work of mine"));
}

#[test]
fn links_in_a_circle_and_into_nothing_lead_nowhere() {
    let place = Place::new();
    let image = place.disk("image", &[]);
    let files = [
        ("etc/ssh", "->ssh"),
        ("var/lib/systemd/random-seed", "->/nowhere"),
        ("var/lib/systemd/credential.secret/", ""),
    ];
    let system = place.system("system", &files);
    let secrets = found(&image, &system, None).expect("read");
    assert_eq!(secrets, Secrets::default());
}

#[test]
fn a_machine_that_never_started_has_none() {
    let place = Place::new();
    let image = place.disk("image", &[(KEY, SECRET)]);
    let system = place.disk("system", &[]);
    let secrets = found(&image, &system, None).expect("read");
    assert_eq!(secrets, Secrets::default());
}

#[test]
fn what_is_damaged_is_refused() {
    let place = Place::new();
    let image = place.disk("image", &[]);
    let nonsense = place.file("nonsense", &[7; 1 << 16]);
    found(&image, &nonsense, None).expect_err("no ext4");
    // A key of which the content would lie beyond the end of the disk: 16 MiB have 4096 blocks.
    let system = place.unsummed("system", &[(&format!("upper/{KEY}"), SECRET)]);
    debugfs(&system, &format!("sif /upper/{KEY} block[5] 4096\n"));
    let error = found(&image, &system, None).expect_err("beyond the end");
    assert!(error.to_string().contains("system disk"), "{error}");
}

#[test]
fn names_are_compared_as_a_whole_and_ranges_joined() {
    for (name, expected) in [
        ("ssh_host_rsa_key", true),
        ("ssh_host_rsa_key.pub", false),
        ("ssh_host_key", false),
        ("my_ssh_host_rsa_key", false),
    ] {
        assert_eq!(
            is_like(name.as_bytes(), "ssh_host_*_key"),
            expected,
            "{name}"
        );
    }
    assert!(!is_like(b"random-seed.old", "random-seed"));
    assert_eq!(merged(vec![8..12, 0..4, 4..6, 9..10]), [0..6, 8..12]);
}
