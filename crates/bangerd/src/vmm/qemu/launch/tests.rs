//! QEMU is a shell here, and its control socket is served by the test.

mod t1 {
    use super::super::super::Launcher;
    use super::super::super::survey::{Program, Version};
    use super::super::*;
    use crate::layout::SandboxPaths;
    use crate::vmm::machine::{Accelerator, Disk, DiskRole, Network};
    use banger_model::SandboxId;
    use banger_proto::fault::FaultCode;
    use std::path::Path;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    /// A sandbox's two directories, and a shell script that stands for QEMU.
    struct World {
        directory: tempfile::TempDir,
        machine: Machine,
        qemu: Qemu,
    }

    impl World {
        /// `$0` is the directory; the shell's pid goes to the file `pid` there. Scripts keep to what
        /// is built into the shell: killing it would not end a child of its own.
        fn with(script: &str) -> Self {
            let directory = tempfile::tempdir().expect("temporary directory");
            let root = directory.path();
            let paths = SandboxPaths {
                state: root.join("state"),
                runtime: root.join("run"),
            };
            for path in [&paths.state, &paths.runtime] {
                fs::create_dir(path).expect("made");
            }
            for file in ["vmlinux", "initramfs"] {
                fs::write(root.join(file), file).expect("written");
            }
            let machine = machine(root, paths);
            let script = format!("echo $$ > \"$0/pid\"; {script}");
            let launcher = Launcher {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), script.into(), root.into()],
            };
            let program = Program {
                path: "/nonexistent/qemu".into(),
                version: Version(10, 0, 0),
                modified: std::time::SystemTime::UNIX_EPOCH,
            };
            let qemu = Qemu::new(program, launcher);
            Self {
                directory,
                machine,
                qemu,
            }
        }

        async fn launch(&self) -> Result<Launched, VmmError> {
            launch(&self.qemu, &self.machine).await
        }

        async fn pid(&self) -> u32 {
            let path = self.directory.path().join("pid");
            let mut pid = None;
            until(|| {
                let text = fs::read_to_string(&path).unwrap_or_default();
                pid = text.strip_suffix('\n').and_then(|text| text.parse().ok());
                pid.is_some()
            })
            .await;
            pid.expect("found")
        }

        fn was_started(&self) -> bool {
            self.machine.paths.vmm_log().exists()
        }

        fn sockets_left(&self) -> bool {
            let paths = &self.machine.paths;
            paths.vmm_socket().exists() || paths.agent_socket().exists()
        }
    }

    fn machine(root: &Path, paths: SandboxPaths) -> Machine {
        Machine {
            id: SandboxId::from_random([1; 16]),
            vcpu: 1.try_into().expect("in range"),
            memory: 64.try_into().expect("in range"),
            kernel: root.join("vmlinux"),
            initramfs: root.join("initramfs"),
            disks: Vec::new(),
            network: Network::None,
            accelerator: Accelerator::Tcg,
            paths,
            durable: true,
            generation_id: true,
            resume: None,
        }
    }

    async fn until(mut condition: impl FnMut() -> bool) {
        let limit = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < limit, "the condition never held");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn exists(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    /// Serves the control socket once the process was started; each answer to `query-status` is the
    /// next of `states`, the last one for ever.
    async fn serve(paths: SandboxPaths, states: &'static [&'static str]) {
        until(|| paths.vmm_log().exists()).await;
        let listener = UnixListener::bind(paths.vmm_socket()).expect("bound");
        let mut states = states.iter().peekable();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (read, mut write) = stream.split();
            let greeting =
                r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}}}}"#;
            let _ = write.write_all(format!("{greeting}\n").as_bytes()).await;
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let command: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                let state = states.peek().map_or("", |&&state| state);
                let name = command["execute"].as_str().unwrap_or_default();
                if name.starts_with("query-") && states.len() > 1 {
                    states.next();
                }
                let id = &command["id"];
                let answer = format!("{{\"return\": {{\"status\": \"{state}\"}}, \"id\": {id}}}\n");
                let _ = write.write_all(answer.as_bytes()).await;
            }
        }
    }

    #[tokio::test]
    async fn a_guest_that_runs_is_left_running_and_recognised() {
        let world = World::with("exec sleep 600");
        let paths = world.machine.paths.clone();
        let server = tokio::spawn(serve(paths, &["prelaunch", "paused", "running"]));
        let launched = world.launch().await.expect("launched");
        assert!(launched.vmm_up <= launched.guest_running);
        assert_eq!(launched.process.pid, world.pid().await);
        assert!(launched.process.is_alive().expect("readable"));
        launched
            .process
            .kill(rustix::process::Signal::KILL)
            .expect("killed");
        launched.process.exited().await.expect("reaped");
        server.abort();
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_what_it_printed_this_time() {
        let world = World::with("echo 'qemu: no such option' >&2; exit 1");
        fs::write(world.machine.paths.vmm_log(), "qemu: an older failure\n").expect("written");
        let error = world.launch().await.expect_err("ended");
        assert_eq!(
            error.to_string(),
            "qemu exited with status 1: qemu: no such option"
        );
        let VmmError::EndedEarly { report } = error else {
            panic!("another error");
        };
        assert_eq!(report.log_tail, "qemu: no such option");
        assert!(!exists(world.pid().await), "reaped");
    }

    #[tokio::test]
    async fn a_process_that_never_answers_is_killed_and_reaped_at_the_limit() {
        let mut world =
            World::with(": > \"$0/run/qmp.sock\"; : > \"$0/run/agent.sock\"; exec sleep 600");
        world.qemu.launch_limit = Duration::from_millis(300);
        let error = world.launch().await.expect_err("too late");
        assert_eq!(error.fault().code, FaultCode::TimedOut);
        assert!(error.to_string().contains("control socket"), "{error}");
        assert!(!exists(world.pid().await), "reaped");
        assert!(!world.sockets_left());
    }

    #[tokio::test]
    async fn a_guest_that_never_runs_is_killed_and_its_last_state_told() {
        let mut world = World::with("exec sleep 600");
        world.qemu.launch_limit = Duration::from_millis(300);
        let server = tokio::spawn(serve(world.machine.paths.clone(), &["internal-error"]));
        let error = world.launch().await.expect_err("too late").to_string();
        assert!(error.contains("internal-error"), "{error}");
        assert!(!exists(world.pid().await) && !world.sockets_left());
        server.abort();
    }

    #[tokio::test]
    async fn a_guest_that_already_waits_for_room_has_run() {
        let world = World::with("exec sleep 600");
        let server = tokio::spawn(serve(world.machine.paths.clone(), &["io-error"]));
        let launched = world.launch().await.expect("it ran");
        let killed = launched.process.kill(rustix::process::Signal::KILL);
        killed.expect("it is ours");
        let _status = launched.process.exited().await;
        server.abort();
    }

    /// A machine that goes on from something saved.
    fn resuming(script: &str) -> World {
        let mut world = World::with(script);
        world.machine.resume = Some(Saved {
            memory: world.machine.kernel.clone(),
            devices: world.machine.initramfs.clone(),
        });
        world
    }

    #[tokio::test]
    async fn a_saved_guest_goes_on_once_all_of_it_is_loaded() {
        let world = resuming("exec sleep 600");
        let paths = world.machine.paths.clone();
        let server = tokio::spawn(serve(paths, &["active", "completed", "running"]));
        let launched = world.launch().await.expect("launched");
        let killed = launched.process.kill(rustix::process::Signal::KILL);
        killed.expect("it is ours");
        let _status = launched.process.exited().await;
        server.abort();
    }

    #[tokio::test]
    async fn a_saved_guest_that_cannot_be_loaded_leaves_nothing_and_the_reason() {
        let world = resuming("exec sleep 600");
        let server = tokio::spawn(serve(world.machine.paths.clone(), &["active", "failed"]));
        let error = world.launch().await.expect_err("not loaded");
        assert_eq!(
            error.to_string(),
            "qemu cannot load the saved guest: failed"
        );
        assert!(!exists(world.pid().await) && !world.sockets_left());
        server.abort();
    }

    #[tokio::test]
    async fn a_saved_guest_whose_files_are_gone_is_refused_before_anything_is_started() {
        for which in ["memory", "devices' state"] {
            let mut world = resuming("exit 3");
            if let Some(saved) = &mut world.machine.resume {
                let gone = if which == "memory" {
                    &mut saved.memory
                } else {
                    &mut saved.devices
                };
                *gone = "/nonexistent".into();
            }
            let error = world.launch().await.expect_err("gone").to_string();
            assert!(
                error.contains(&format!("the saved {which} /nonexistent")),
                "{error}"
            );
            assert!(!world.was_started());
        }
    }

    #[tokio::test]
    async fn a_cancelled_launch_leaves_neither_process_nor_zombie_nor_socket() {
        let world = World::with(": > \"$0/run/agent.sock\"; exec sleep 600");
        let pid = tokio::select! {
            _ = world.launch() => panic!("it cannot end by itself"),
            pid = world.pid() => pid,
        };
        until(|| !exists(pid) && !world.sockets_left()).await;
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_started_is_named() {
        let mut world = World::with("");
        world.qemu.launcher.program = "/nonexistent/bangerd".into();
        let error = world.launch().await.expect_err("no launcher").fault();
        assert!(
            error.message.contains("start /nonexistent/bangerd"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn sockets_left_by_a_dead_process_are_replaced_and_those_of_a_living_one_are_not() {
        let world = World::with("exit 3");
        let control = world.machine.paths.vmm_socket();
        drop(std::os::unix::net::UnixListener::bind(&control).expect("bound"));
        let error = world.launch().await.expect_err("ended");
        assert!(matches!(error, VmmError::EndedEarly { .. }), "{error}");
        assert!(!control.exists());
        fs::remove_file(world.machine.paths.vmm_log()).expect("removed");
        let _living = std::os::unix::net::UnixListener::bind(&control).expect("bound");
        let error = world.launch().await.expect_err("it runs");
        assert_eq!(error.fault().code, FaultCode::Conflict);
        assert!(control.exists() && !world.was_started());
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_removed_stops_the_launch() {
        let world = World::with("exit 3");
        fs::create_dir(world.machine.paths.agent_socket()).expect("made");
        let error = world.launch().await.expect_err("a directory").to_string();
        assert!(error.contains("agent.sock"), "{error}");
        assert!(!world.was_started());
    }

    #[tokio::test]
    async fn what_a_machine_lacks_is_named_before_anything_is_started() {
        type Change = fn(&mut Machine);
        let changes: [(&str, Change); 8] = [
            ("kernel", |machine| machine.kernel.push("none")),
            ("initramfs", |machine| {
                fs::write(&machine.initramfs, "").expect("emptied");
            }),
            ("banger-work disk", |machine| {
                machine.disks.push(disk(DiskRole::Work, "/dev/null"));
            }),
            ("banger-work disk", |machine| {
                machine.disks.push(disk(DiskRole::Work, "Cargo.toml"));
            }),
            ("two disks with the serial banger-image", |machine| {
                let image = machine.kernel.clone();
                machine.disks = vec![disk(DiskRole::Image, &image); 2];
            }),
            ("runtime directory", |machine| {
                machine.paths.runtime = machine.kernel.clone();
            }),
            ("state directory", |machine| {
                machine.paths.state.push("none");
            }),
            ("more than 107 bytes", |machine| {
                machine.paths.runtime = machine.paths.runtime.join("x".repeat(100));
            }),
        ];
        for (expected, change) in changes {
            let mut world = World::with("exit 3");
            change(&mut world.machine);
            let error = world.launch().await.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!world.was_started());
        }
    }

    fn disk(role: DiskRole, path: impl AsRef<Path>) -> Disk {
        Disk {
            role,
            path: path.as_ref().to_owned(),
            read_only: false,
        }
    }
}
