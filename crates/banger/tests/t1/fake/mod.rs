//! A daemon without guests: scripted answers, sessions of made-up programs, and a directory that
//! stands for a guest's files.

mod files;
mod program;
mod routes;
pub mod session;

use routes::{Reply, route};
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How creating a sandbox goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Creating {
    /// It runs.
    #[default]
    Works,
    /// It is accepted and never ends.
    Hangs,
    /// It is accepted without the sandbox's id, and works once the test says so.
    WaitsUnnamed,
    /// The guest does not come up, and the sandbox is kept.
    Fails,
}

/// What the daemon knows and does.
#[derive(Default)]
pub struct State {
    pub requests: Vec<String>,
    pub bodies: Vec<Vec<u8>>,
    pub sandboxes: Vec<serde_json::Value>,
    pub creating: Creating,
    pub go_on: Arc<tokio::sync::Notify>,
    pub sessions: HashMap<String, session::Guest>,
    pub starts: Vec<banger_proto::owner::exec::Start>,
    pub sizes: Vec<String>,
    /// Drop each session's connection after about so many bytes.
    pub drop_after: Option<usize>,
    pub drops: usize,
    /// Begin the sessions of so many connections and break those before they are answered.
    pub unanswered: usize,
    pub guest_root: PathBuf,
    pub version: serde_json::Value,
    pub stop: Option<oneshot::Sender<()>>,
}

pub type Shared = Arc<Mutex<State>>;

pub fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sandbox as the daemon would show it.
pub fn sandbox(digit: char, name: &str, state: &str) -> serde_json::Value {
    let text = |text: &str| serde_json::json!({"value": text, "source": "builtin"});
    let number = |number: u64| serde_json::json!({"value": number, "source": "builtin"});
    serde_json::json!({
        "id": digit.to_string().repeat(32), "name": name, "state": state,
        "image": text("debian"), "kernel": text("default"), "vcpu": number(1),
        "memory_mib": number(1024), "disk_mib": number(8192), "system_disk_mib": number(8192),
        "nat": false, "init": "auto", "ephemeral": false, "created_at": 0, "disk_used": 1048576,
        "directory": "/state/x",
        "run": {"pid": 7, "backend": "qemu-tcg", "started_at": 0, "kernel_release": "6.12.0",
            "init_started": false, "times": {"vmm_up_ms": 120.0, "guest_running_ms": 130.0,
            "agent_answered_ms": 1520.0}}
    })
}

/// A daemon in a thread of this process.
pub struct Fake {
    pub directory: TempDir,
    pub state: Shared,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let guest_root = directory.path().join("guest");
        std::fs::create_dir(&guest_root).expect("guest's files");
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(Mutex::new(State {
            guest_root,
            stop: Some(stop),
            version: serde_json::json!({
                "version": env!("CARGO_PKG_VERSION"), "build": "", "api": "v1"
            }),
            sandboxes: vec![
                sandbox('a', "dev", "running"),
                sandbox('b', "old", "stopped"),
            ],
            ..State::default()
        }));
        let listener = std::os::unix::net::UnixListener::bind(directory.path().join("sock"));
        let (listener, shared) = (listener.expect("bound"), state.clone());
        let thread = std::thread::spawn(move || serve(listener, &shared, stopped));
        Self {
            directory,
            state,
            thread: Some(thread),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command line, told to use this daemon.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = banger(arguments);
        command.env("BANGER_SOCKET", self.path("sock"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().expect("runs").into()
    }

    /// Whether such a request came.
    pub fn saw(&self, request: &str) -> bool {
        self.state().requests.iter().any(|seen| seen == request)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.state().stop.take() {
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

pub fn banger(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banger"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_clear();
    command
}

/// What a run came to.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub raw: Vec<u8>,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            raw: output.stdout,
        }
    }
}

/// Waits for a condition; says what it last saw when it gives up.
pub fn eventually<T: std::fmt::Debug>(mut look: impl FnMut() -> Result<(), T>) {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(()) => return,
            Err(seen) => assert!(Instant::now() < deadline, "last seen: {seen:?}"),
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Sends a signal to a child of this test.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("sent");
}

pub fn serve(
    listener: std::os::unix::net::UnixListener,
    state: &Shared,
    stopped: oneshot::Receiver<()>,
) {
    listener.set_nonblocking(true).expect("non-blocking");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener).expect("listener");
        tokio::select! {
            () = accept(&listener, state) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: &UnixListener, state: &Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let state = state.clone();
                async move { Ok::<Reply, Infallible>(route(&state, request).await) }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .with_upgrades();
            let _broken = connection.await;
        });
    }
}

/// All names below a directory, with what they are.
pub fn tree(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut out = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        for entry in std::fs::read_dir(&path).expect("directory") {
            let path = entry.expect("entry").path();
            let found = path.symlink_metadata().expect("there");
            let name = path
                .strip_prefix(root)
                .expect("inside")
                .display()
                .to_string();
            let mode = found.mode() & 0o7777;
            if found.is_symlink() {
                out.push(format!(
                    "{name} -> {}",
                    path.read_link().expect("link").display()
                ));
            } else if found.is_dir() {
                out.push(format!("{name}/ {mode:o}"));
                waiting.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("text");
                out.push(format!("{name} {mode:o} {} {text:?}", found.mtime()));
            }
        }
    }
    out.sort();
    out
}
