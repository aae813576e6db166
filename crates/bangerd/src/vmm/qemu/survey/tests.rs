use super::*;

#[test]
fn versions_are_read_as_distributions_write_them() {
    let cases = [
        (
            "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)",
            Version(10, 0, 2),
        ),
        ("QEMU emulator version 7.2.22\nCopyright", Version(7, 2, 22)),
        ("QEMU emulator version 9.2 ", Version(9, 2, 0)),
        (
            "QEMU emulator version 8.1.50 (v8.1.0-1-gabc)",
            Version(8, 1, 50),
        ),
        ("QEMU emulator version 6.2.0-rc1", Version(6, 2, 0)),
    ];
    for (said, version) in cases {
        assert_eq!(parse_version(said), Some(version), "{said}");
    }
}

#[test]
fn what_is_not_a_version_is_not_read() {
    for said in [
        "",
        "QEMU emulator version",
        "QEMU emulator version x.y",
        "10.0.2",
        "QEMU emulator version 99999999999.1",
    ] {
        assert_eq!(parse_version(said), None, "{said}");
    }
    assert!(Version(5, 2, 0) < FLOOR && FLOOR < Version(10, 0, 2));
}

mod t1 {
    use super::*;
    use banger_proto::fault::FaultCode;

    /// A shell script, written by another process: if this one had the file open for writing while
    /// a test in another thread forks, running it could fail with "text file busy".
    fn program(directory: &Path, script: &str) -> PathBuf {
        let path = directory.join(NAME);
        let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", write, "sh"]).arg(&path).arg(script);
        assert!(command.status().expect("sh runs").success());
        path
    }

    fn in_search_path(directory: &Path) -> Places {
        let directories = [Path::new("/nonexistent"), directory];
        Places {
            search_path: env::join_paths(directories).ok(),
            ..Places::default()
        }
    }

    #[tokio::test]
    async fn the_program_is_found_in_the_search_path() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = program(directory.path(), "echo QEMU emulator version 9.1.2");
        let found = Program::survey(&in_search_path(directory.path())).await;
        let found = found.expect("usable");
        assert_eq!((found.path, found.version), (path, Version(9, 1, 2)));
    }

    #[tokio::test]
    async fn a_named_program_is_used_or_refused_never_replaced() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = program(directory.path(), "echo QEMU emulator version 9.1.2");
        let mut places = Places {
            named: Some(path.into()),
            configured: Some("/nonexistent/configured".into()),
            search_path: None,
        };
        assert!(
            Program::survey(&places).await.is_ok(),
            "the environment wins"
        );
        places.named = Some("".into());
        let refused = Program::survey(&places).await.expect_err("not there");
        assert_eq!(
            refused.to_string(),
            "no qemu-system-x86_64 found at /nonexistent/configured"
        );
    }

    #[tokio::test]
    async fn a_missing_relative_or_not_executable_program_is_not_found() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let plain = directory.path().join("plain");
        fs::write(&plain, "x").expect("written");
        for named in ["sh".into(), plain, directory.path().to_owned()] {
            let places = Places {
                configured: Some(named),
                ..in_search_path(directory.path())
            };
            let error = Program::survey(&places).await.expect_err("none").fault();
            assert_eq!(error.code, FaultCode::Unavailable);
            assert!(
                error
                    .remedy
                    .is_some_and(|remedy| remedy.contains("apt install"))
            );
        }
        assert!(Program::survey(&Places::default()).await.is_err());
    }

    #[tokio::test]
    async fn an_old_or_strange_program_is_refused_with_its_words() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let places = in_search_path(directory.path());
        let cases = [
            (
                "echo QEMU emulator version 4.2.1",
                "is version 4.2.1, at least 6.0.0 is needed",
            ),
            (
                "echo hello; echo there",
                "does not say its version: \"hello\"",
            ),
            ("exec yes", "does not say its version: \"y\""),
            ("exit 1", "does not say its version: \"\""),
        ];
        for (script, expected) in cases {
            program(directory.path(), script);
            let error = Program::survey(&places)
                .await
                .expect_err(script)
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
