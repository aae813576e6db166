mod t1 {
    use super::super::*;
    use crate::layout::SandboxPaths;
    use crate::vmm::qemu::{Program, Version};
    use crate::vmm::{
        Backend, DiskRole, Earlier, ExitReport, Launched, Machine, MachineFingerprint, Paused,
        ProcessIdentity, RunState, Saved,
    };
    use std::fs;
    use std::process::{Command, Stdio};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What the guest does once it is launched.
    #[derive(Clone, Copy)]
    enum Guest {
        Answers,
        IsSilent,
        Ends,
        ClosesItsPort,
        CannotBeStarted,
        HasNoKernel,
    }

    /// A VMM whose guest is a `sleep`, and the agent in it.
    struct Pretend {
        guest: Guest,
        boots: AtomicUsize,
        last: Mutex<Option<ProcessIdentity>>,
    }

    impl Vmm for Pretend {
        #[expect(
            clippy::zombie_processes,
            reason = "the probe waits for it: that is tested"
        )]
        fn launch<'a>(&'a self, machine: &'a Machine) -> BoxFuture<'a, Result<Launched, VmmError>> {
            Box::pin(async move {
                self.boots.fetch_add(1, Ordering::Relaxed);
                assert!(machine.disks.is_empty() && machine.accelerator == Accelerator::Kvm);
                assert!(machine.paths.state.is_dir() && machine.paths.runtime.is_dir());
                match self.guest {
                    Guest::CannotBeStarted => {
                        let report = ExitReport {
                            status: None,
                            log_tail: "failed to initialize kvm".into(),
                        };
                        return Err(VmmError::EndedEarly { report });
                    }
                    Guest::HasNoKernel => return Err(VmmError::DoubleRole { serial: "kernel" }),
                    _ => {}
                }
                let time = if matches!(self.guest, Guest::Ends) {
                    "0"
                } else {
                    "600"
                };
                let mut command = Command::new("sleep");
                let child = command
                    .arg(time)
                    .stdin(Stdio::null())
                    .spawn()
                    .expect("sleep");
                let process = identity(child.id());
                *self.last.lock().expect("not poisoned") = Some(process.clone());
                Ok(Launched {
                    process,
                    vmm_up: Duration::ZERO,
                    guest_running: Duration::ZERO,
                })
            })
        }

        fn pause<'a>(&'a self, _: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
            Box::pin(async { Ok(()) })
        }

        fn save<'a>(
            &'a self,
            _: &'a Paused<'a>,
            _: &'a Saved,
        ) -> BoxFuture<'a, Result<(), VmmError>> {
            unreachable!("a probe's guest is never saved")
        }

        fn save_over<'a>(
            &'a self,
            _: &'a Paused<'a>,
            _: &'a Saved,
            _: Arc<dyn Earlier>,
        ) -> BoxFuture<'a, Result<(), VmmError>> {
            unreachable!("a probe's guest is never saved")
        }

        fn can_save(&self) -> Result<(), VmmError> {
            Ok(())
        }

        fn power_button<'a>(&'a self, _: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
            Box::pin(async { Ok(()) })
        }

        fn run_state<'a>(
            &'a self,
            _: &'a SandboxPaths,
        ) -> BoxFuture<'a, Result<RunState, VmmError>> {
            Box::pin(async { Ok(RunState::Running) })
        }

        fn go_on<'a>(&'a self, _: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
            Box::pin(async { Ok(()) })
        }

        fn resize_disk<'a>(
            &'a self,
            _: &'a SandboxPaths,
            _: DiskRole,
            _: u64,
        ) -> BoxFuture<'a, Result<(), VmmError>> {
            Box::pin(async { Ok(()) })
        }

        fn exited<'a>(
            &'a self,
            process: &'a ProcessIdentity,
            _: &'a SandboxPaths,
        ) -> BoxFuture<'a, Result<ExitReport, VmmError>> {
            Box::pin(async move {
                Ok(ExitReport {
                    status: process.exited().await.expect("waited"),
                    log_tail: String::new(),
                })
            })
        }

        fn fingerprint(&self, _: &Machine) -> Result<MachineFingerprint, VmmError> {
            Err(VmmError::DoubleRole { serial: "kernel" })
        }

        fn describe(&self) -> Backend {
            Backend {
                name: "pretend",
                version: "1".into(),
                program: "/nonexistent".into(),
            }
        }
    }

    /// `sleep 0` may have ended already: then only its start time is still to be had.
    fn identity(pid: u32) -> ProcessIdentity {
        ProcessIdentity::of(pid).unwrap_or_else(|_| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a zombie has one");
            let start_time = stat.split(' ').nth(21).expect("field 22").parse();
            ProcessIdentity {
                pid,
                start_time: start_time.expect("a number"),
                executable: "/nonexistent".into(),
                boot_id: crate::vmm::process::boot_id().expect("readable"),
            }
        })
    }

    impl AgentAnswers for Pretend {
        fn answers<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async move {
                match self.guest {
                    Guest::Answers => Ok(()),
                    Guest::ClosesItsPort => Err("the port was closed".to_owned()),
                    _ => std::future::pending().await,
                }
            })
        }
    }

    struct World {
        directory: tempfile::TempDir,
        pretend: Arc<Pretend>,
        prober: Prober,
    }

    impl World {
        fn with(guest: Guest) -> Self {
            let directory = tempfile::tempdir().expect("temporary directory");
            let root = directory.path();
            let pretend = Arc::new(Pretend {
                guest,
                boots: AtomicUsize::new(0),
                last: Mutex::new(None),
            });
            let layout = Layout {
                config: root.join("c"),
                state: root.join("s"),
                cache: root.join("k"),
                runtime: root.join("r"),
            };
            let device = root.join("kvm");
            fs::write(&device, "").expect("written");
            let prober = Prober {
                device,
                limit: Duration::from_millis(200),
                ..Prober::new(pretend.clone(), pretend.clone(), layout)
            };
            Self {
                directory,
                pretend,
                prober,
            }
        }

        async fn choose(&self, wish: Wish) -> Result<Probe, VmmError> {
            let program = Program {
                path: "/q".into(),
                version: Version(9, 0, 0),
                modified: SystemTime::UNIX_EPOCH,
            };
            let key = Key::new("kernel", "", "", &program);
            let id = SandboxId::from_random([7; 16]);
            let (kernel, initramfs) = (Path::new("/vmlinux"), Path::new("/initramfs"));
            self.prober.choose(wish, &key, id, kernel, initramfs).await
        }

        fn boots(&self) -> usize {
            self.pretend.boots.load(Ordering::Relaxed)
        }

        /// The guest is reaped, and only the cache and empty parents are there.
        fn nothing_is_left(&self) -> bool {
            let last = self.pretend.last.lock().expect("not poisoned").clone();
            let gone =
                last.is_none_or(|process| !Path::new(&format!("/proc/{}", process.pid)).exists());
            let empty = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count) == 0;
            let layout = &self.prober.layout;
            gone && empty(&layout.staging()) && empty(&layout.runtime.join("vm"))
        }
    }

    #[tokio::test]
    async fn an_answer_means_kvm_and_is_remembered() {
        let world = World::with(Guest::Answers);
        let probe = world.choose(Wish::Auto).await.expect("chosen");
        assert_eq!(probe.accelerator, Accelerator::Kvm, "{}", probe.reason);
        assert!(world.nothing_is_left());
        let again = world.choose(Wish::Auto).await.expect("chosen");
        assert_eq!((again.accelerator, world.boots()), (Accelerator::Kvm, 1));
        assert_eq!(again.reason, probe.reason);
    }

    #[tokio::test]
    async fn a_guest_that_hangs_is_killed_at_the_limit_and_means_emulation() {
        let world = World::with(Guest::IsSilent);
        let probe = world.choose(Wish::Auto).await.expect("chosen");
        assert_eq!(probe.accelerator, Accelerator::Tcg);
        assert!(probe.reason.contains("within 0.2 s"), "{}", probe.reason);
        assert!(world.nothing_is_left());
        world.choose(Wish::Auto).await.expect("chosen");
        assert_eq!(world.boots(), 1);
    }

    #[tokio::test]
    async fn a_guest_that_ends_or_fails_means_emulation_for_this_time() {
        let cases = [
            (Guest::Ends, "exited with status 0"),
            (Guest::ClosesItsPort, "the port was closed"),
            (Guest::CannotBeStarted, "failed to initialize kvm"),
        ];
        for (guest, expected) in cases {
            let mut world = World::with(guest);
            world.prober.limit = Duration::from_secs(20);
            let probe = world.choose(Wish::Auto).await.expect("chosen");
            assert_eq!(probe.accelerator, Accelerator::Tcg);
            assert!(probe.reason.contains(expected), "{}", probe.reason);
            assert!(world.nothing_is_left());
            world.choose(Wish::Auto).await.expect("chosen");
            assert_eq!(world.boots(), 2, "not remembered");
        }
    }

    #[tokio::test]
    async fn what_says_nothing_about_kvm_is_an_error() {
        let world = World::with(Guest::HasNoKernel);
        assert!(world.choose(Wish::Auto).await.is_err());
        assert!(world.nothing_is_left() && !world.prober.layout.probe_cache().exists());
    }

    #[tokio::test]
    async fn nothing_is_booted_when_it_is_settled() {
        let world = World::with(Guest::Answers);
        let settled = world.choose(Wish::Tcg).await.expect("chosen");
        assert_eq!(settled.accelerator, Accelerator::Tcg);
        fs::remove_file(&world.prober.device).expect("removed");
        let missing = world.choose(Wish::Auto).await.expect("chosen");
        assert!(missing.reason.contains("no /dev/kvm"));
        assert_eq!(world.boots(), 0);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_no_guest_behind() {
        let world = World::with(Guest::IsSilent);
        tokio::select! {
            _ = world.choose(Wish::Auto) => panic!("it takes 200 ms"),
            () = until(|| world.boots() == 1) => {}
        }
        until(|| world.prober.layout.probe_cache().exists()).await;
        assert!(world.nothing_is_left());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_an_error() {
        let world = World::with(Guest::Answers);
        fs::write(world.directory.path().join("s"), "").expect("written");
        let error = world
            .choose(Wish::Auto)
            .await
            .expect_err("a file")
            .to_string();
        assert!(error.contains("make a directory"), "{error}");
    }

    #[tokio::test]
    async fn a_guest_of_a_killed_daemon_is_swept_at_the_next_start() {
        let world = World::with(Guest::IsSilent);
        let layout = &world.prober.layout;
        sweep(layout).expect("nothing to do");
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
        let process = identity(child.id());
        let left = layout.staging().join("probe-0101");
        fs::create_dir_all(&left).expect("made");
        let recorded = serde_json::json!({
            "pid": process.pid, "start_time": process.start_time,
            "executable": process.executable, "boot_id": process.boot_id,
        });
        fs::write(left.join("process.json"), recorded.to_string()).expect("written");
        fs::create_dir_all(layout.staging().join("probe-0202")).expect("made");
        fs::create_dir_all(layout.staging().join("image-03")).expect("made");
        sweep(layout).expect("swept");
        assert!(!child.wait().expect("reaped").success(), "killed");
        let kept = fs::read_dir(layout.staging()).expect("read").count();
        assert_eq!(kept, 1, "what is not a probe's stays");
    }

    async fn until(mut condition: impl FnMut() -> bool) {
        let limit = std::time::Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(
                std::time::Instant::now() < limit,
                "the condition never held"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
