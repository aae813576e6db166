use super::*;
use std::collections::BTreeSet;

#[test]
fn the_release_is_the_hosts_own_when_that_is_debian() {
    let debian = "NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";
    assert_eq!(debian_codename(debian), Some("bookworm"));
    for other in [
        "ID=ubuntu\nVERSION_CODENAME=noble\n",
        "ID=debian\n",
        "ID=debian\nVERSION_CODENAME=\"--setup-hook=x\"\n",
        "",
    ] {
        assert_eq!(debian_codename(other), None, "{other}");
    }
}

#[test]
fn the_command_names_suite_packages_and_mirrors() {
    let mirrors = ["deb http://m x main".to_owned()];
    let all = arguments("x", &mirrors, false);
    assert!(all.contains(&"--mode=unshare".to_owned()));
    assert!(
        all.iter()
            .any(|one| one.contains("systemd-sysv") && one.contains("openssh-client"))
    );
    assert_eq!(all[all.len() - 3..], ["x", "-", "deb http://m x main"]);
    assert!(arguments("x", &[], true).contains(&"--mode=auto".to_owned()));
}

#[test]
fn what_is_laid_over_has_no_identity_and_masks_each_unit_once() {
    let added = added();
    assert!(added.contains(&Added::File("etc/machine-id", "")));
    let masks: BTreeSet<_> = MASKED.iter().collect();
    assert_eq!(masks.len(), MASKED.len());
    let getty = Added::Symlink("etc/systemd/system/getty.target".to_owned(), "/dev/null");
    assert!(added.contains(&getty));
}

#[test]
fn documentation_is_left_out_and_licences_stay() {
    let is_left_out = |path: &str, kind| {
        left_out(&Entry {
            path: path.into(),
            meta: crate::images::entry::Meta::plain(0o644),
            kind,
        })
    };
    for path in [
        "./usr/share/doc/git/README",
        "./usr/share/man/man1/ls.1.gz",
        "./usr/share/locale/de/x.mo",
    ] {
        assert!(is_left_out(path, Kind::Fifo), "{path}");
    }
    for path in [
        "./usr/share/doc/git/copyright",
        "./usr/share/locale/locale.alias",
        "./usr/share/doc",
        "./usr/share/perl/x",
        "./etc/man/x",
        "../x",
    ] {
        assert!(!is_left_out(path, Kind::Fifo), "{path}");
    }
    assert!(!is_left_out("./usr/share/man/man1/", Kind::Directory));
    for name in LEFT_OUT {
        assert!(
            DPKG_CONFIGURATION.contains(&format!("path-exclude=/usr/share/{name}/*\n")),
            "{name}"
        );
    }
}

#[test]
fn known_failures_have_a_remedy() {
    assert!(
        remedy("E: newuidmap failed")
            .expect("is known")
            .contains("uidmap")
    );
    assert!(
        remedy("write: No space left on device")
            .expect("is known")
            .contains("TMPDIR")
    );
    assert!(
        remedy("E: Failed to fetch http://x")
            .expect("is known")
            .contains("mirror")
    );
    assert_eq!(remedy("something else"), None);
}

mod t1 {
    use super::*;
    use crate::images::ArchiveError;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn read(script: &str) -> Result<String, ImageError> {
        run(shell(script), &Progress::silent(), |stdout, whole| {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map_err(ArchiveError::Io)?;
            if text.is_empty() {
                return Err(ArchiveError::Empty.into());
            }
            whole()?;
            Ok(text)
        })
    }

    #[test]
    fn output_counts_only_when_the_command_succeeded() {
        assert_eq!(read("echo tar").expect("succeeds"), "tar\n");
        for script in [
            "echo tar; echo 'E: gone' >&2; exit 25",
            "echo 'E: gone' >&2; exit 25",
        ] {
            let error = read(script).expect_err("fails");
            let expected = "exit status: 25); its last lines were: E: gone";
            assert!(error.to_string().contains(expected), "{error}");
        }
        let error = read("true").expect_err("is empty");
        assert!(
            matches!(error, ImageError::Archive(ArchiveError::Empty)),
            "{error}"
        );
    }

    #[test]
    fn a_reader_that_gives_up_ends_the_command() {
        let script = "echo $$; exec sleep 600";
        let mut pid = String::new();
        let error = run(shell(script), &Progress::silent(), |stdout, _| {
            let mut line = [0; 16];
            let read = stdout.read(&mut line).map_err(ArchiveError::Io)?;
            pid = String::from_utf8_lossy(&line[..read]).trim().to_owned();
            Err::<(), _>(ImageError::TooLarge { most: 1 })
        });
        assert!(matches!(error, Err(ImageError::TooLarge { .. })));
        assert!(!Path::new("/proc").join(pid).exists());
    }

    #[test]
    fn a_command_that_cannot_start_is_named() {
        let missing = Command::new("/nonexistent/mmdebstrap");
        let error = run(missing, &Progress::silent(), |_, _| Ok(())).expect_err("fails");
        assert!(
            error.to_string().contains("/nonexistent/mmdebstrap"),
            "{error}"
        );
    }
}
