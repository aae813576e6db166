use super::*;

#[test]
fn a_replaced_program_is_still_the_same_program() {
    let cases = [
        ("/usr/bin/qemu (deleted)", "/usr/bin/qemu"),
        ("/usr/bin/qemu", "/usr/bin/qemu"),
        ("/a (deleted)/b", "/a (deleted)/b"),
    ];
    for (seen, name) in cases {
        assert_eq!(without_deleted_mark(seen.into()), Path::new(name));
    }
}

mod t1 {
    use super::*;
    use futures_util::FutureExt;
    use std::process::{Command, Stdio};

    /// A child that nobody but the test waits for. After `spawn` the exec has happened, so that the
    /// program is the final one.
    #[expect(
        clippy::zombie_processes,
        reason = "who waits for it is what is tested"
    )]
    fn sleeper() -> ProcessIdentity {
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::null());
        let child = command.spawn().expect("sleep starts");
        ProcessIdentity::of(child.id()).expect("it runs")
    }

    #[tokio::test]
    async fn a_child_is_alive_until_killed_and_its_status_is_told_once() {
        let process = sleeper();
        assert!(process.executable.is_absolute());
        assert!(process.is_alive().expect("readable"));
        assert_eq!(process.kill(Signal::KILL).expect("sent"), Signalled::Sent);
        let ended = process.exited().await.expect("waited");
        assert_eq!(ended, Some(Ended::Killed(9)));
        assert!(!process.is_alive().expect("readable"));
        assert_eq!(process.exited().await.expect("waited"), None);
        assert_eq!(
            process.kill(Signal::KILL).expect("no error"),
            Signalled::GoneAlready
        );
    }

    #[tokio::test]
    async fn a_zombie_is_not_alive_but_still_tells_its_status() {
        let process = sleeper();
        let pidfd = open_pidfd(process.pid).expect("opened").expect("runs");
        process.kill(Signal::TERM).expect("sent");
        readable(pidfd).await.expect("ended");
        assert!(!process.is_alive().expect("readable"), "a zombie");
        assert_eq!(
            process.kill(Signal::KILL).expect("no error"),
            Signalled::GoneAlready
        );
        let ended = process.exited().await.expect("waited");
        assert_eq!(ended, Some(Ended::Killed(15)));
    }

    #[tokio::test]
    async fn one_that_has_ended_is_gone_even_without_any_time() {
        let process = sleeper();
        let none = |waited| tokio::time::timeout(std::time::Duration::ZERO, waited);
        assert!(none(process.exited()).await.is_err(), "it runs");
        let open = || open_pidfd(process.pid).expect("opened").expect("runs");
        let (pidfd, another) = (open(), open());
        process.kill(Signal::KILL).expect("sent");
        readable(pidfd).await.expect("ended");
        // Also for who looked just before it ended.
        let seen = readable(another).now_or_never();
        let _pidfd = seen.expect("already gone").expect("watched");
        let ended = none(process.exited()).await.expect("already gone");
        assert_eq!(ended.expect("waited"), Some(Ended::Killed(9)));
    }

    #[tokio::test]
    async fn another_process_with_the_same_pid_is_left_alone() {
        let real = sleeper();
        let impostors = [
            ProcessIdentity {
                start_time: real.start_time - 1,
                ..real.clone()
            },
            ProcessIdentity {
                executable: "/usr/bin/other".into(),
                ..real.clone()
            },
            ProcessIdentity {
                boot_id: "earlier".into(),
                ..real.clone()
            },
        ];
        for old in impostors {
            assert!(!old.is_alive().expect("readable"), "{old:?}");
            assert_eq!(
                old.kill(Signal::KILL).expect("no error"),
                Signalled::GoneAlready
            );
            assert_eq!(old.exited().await.expect("no wait"), None);
        }
        assert!(real.is_alive().expect("readable"));
        real.kill(Signal::KILL).expect("killed");
        real.exited().await.expect("reaped");
    }

    #[tokio::test]
    async fn a_process_that_is_not_our_child_is_waited_for_without_status() {
        // The shell leaves its grandchild behind and prints its pid.
        let script = "sleep 600 >/dev/null 2>&1 & echo $!";
        let output = Command::new("sh").args(["-c", script]).output();
        let output = output.expect("sh runs").stdout;
        let pid = String::from_utf8_lossy(&output).trim().parse();
        let adopted = running(pid.expect("a pid"), "sleep").await;
        assert_eq!(adopted.kill(Signal::KILL).expect("sent"), Signalled::Sent);
        assert_eq!(adopted.exited().await.expect("waited"), None);
        assert!(!adopted.is_alive().expect("readable"));
    }

    /// Waits until the process has become the program: a shell forks first and executes then.
    async fn running(pid: u32, program: &str) -> ProcessIdentity {
        for _ in 0..1000 {
            match ProcessIdentity::of(pid) {
                Ok(identity) if comm(pid) == program => return identity,
                _ => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            }
        }
        panic!("process {pid} did not become {program}");
    }

    fn comm(pid: u32) -> String {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.unwrap_or_default().trim_end().to_owned()
    }

    #[test]
    fn a_pid_that_cannot_be_has_no_identity() {
        for pid in [0, u32::MAX] {
            let error = ProcessIdentity::of(pid).expect_err("none such");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }
}
