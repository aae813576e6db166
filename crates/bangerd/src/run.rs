//! The program: which of its few faces is wanted.

use crate::layout::Layout;
use crate::{api, config, doctor, publish, serve, standalone, vmm};
use banger_proto::fault::Fault;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
bangerd: the daemon behind `banger`

Usage: bangerd serve      serve the owner API (the command line starts this itself)
       bangerd doctor     check without a daemon, as JSON; `prove`, `prove --all`, `baseline` likewise
       bangerd openapi    print the API's description
       bangerd --version  print the version

Environment: BANGER_AGENT, BANGER_QEMU, XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME,
XDG_RUNTIME_DIR; see docs/configuration.md.
";

/// The daemon's own log is begun anew beyond this, the old one kept once.
const LOG_LIMIT: u64 = 8 << 20;

/// Files that the daemon may have open, if it is allowed to: published connections alone may be 256 for
/// each sandbox, and the usual soft limit is 1024 (it is for programs that use `select`, see select(2)).
const DESCRIPTORS: u64 = 16_384;

/// Runs the program with its arguments, the program's name left out.
#[must_use]
pub fn run(arguments: &[OsString]) -> ExitCode {
    let words: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["serve"] => match serve_standalone() {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                complain(&fault);
                ExitCode::FAILURE
            }
        },
        [verb, rest @ ..] if doctor::apart::VERBS.contains(verb) => {
            let all = rest.contains(&doctor::apart::ALL);
            match look_apart(verb, all) {
                Ok(found) => {
                    println!("{found}");
                    ExitCode::SUCCESS
                }
                Err(fault) => {
                    complain(&fault);
                    ExitCode::FAILURE
                }
            }
        }
        ["openapi"] => {
            print!("{}", api::openapi::text());
            ExitCode::SUCCESS
        }
        ["--version" | "version"] => {
            println!("bangerd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        [vmm::qemu::LAUNCH_VERB, ..] => vmm::qemu::launcher_main(arguments.iter().skip(1).cloned()),
        [publish::carrier::CARRY_VERB, ..] => {
            publish::carrier::main(arguments.get(1..).unwrap_or_default())
        }
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn complain(fault: &Fault) {
    eprintln!("bangerd: {fault}");
    if let Some(remedy) = &fault.remedy {
        eprintln!("remedy: {remedy}");
    }
}

/// What the command line asks for where no daemon answers.
fn look_apart(verb: &str, all: bool) -> Result<String, Fault> {
    let uid = rustix::process::getuid().as_raw();
    let layout = standalone::layout(|name| std::env::var_os(name), uid)?;
    let executable = std::env::current_exe();
    let failed =
        |error: std::io::Error| Fault::from_error(banger_proto::fault::FaultCode::Failed, &error);
    doctor::apart::run(layout, executable.map_err(failed)?, verb, all)
}

fn serve_standalone() -> Result<(), Fault> {
    let uid = rustix::process::getuid().as_raw();
    let layout = standalone::layout(|name| std::env::var_os(name), uid)?;
    let config = config::Config::load(&layout.config_file())?;
    let Some(claim) = serve::claim_in_turn(&layout)? else {
        // Another daemon serves this layout: whoever started this one will find that one.
        return Ok(());
    };
    let failed =
        |error: std::io::Error| Fault::from_error(banger_proto::fault::FaultCode::Failed, &error);
    begin_log(&layout, &config.log_level).map_err(failed)?;
    raise_descriptor_limit();
    // A session of its own: the terminal that started it may go. Fails only when it has one already.
    let _own_session = rustix::process::setsid();
    let executable = std::env::current_exe().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(failed)?;
    let outcome = runtime.block_on(async {
        let listener = serve::bind(&layout, &claim)?;
        serve::serve(layout.clone(), config, executable, listener).await
    });
    let _gone_already = std::fs::remove_file(layout.socket());
    runtime.shutdown_timeout(Duration::from_secs(2));
    // Its helper ends with it.
    let _not_there = std::fs::remove_file(layout.root_socket());
    drop(claim);
    outcome
}

/// Without it the daemon works as well, with fewer connections.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!("cannot raise the limit of open files: {error}");
        }
    }
}

/// From here on what is printed goes to the log: whoever started the daemon will not read for long.
fn begin_log(layout: &Layout, level: &str) -> std::io::Result<()> {
    let path = layout.daemon_log();
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > LOG_LIMIT) {
        std::fs::rename(&path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)?;
    let filter = tracing_subscriber::EnvFilter::try_new(level)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::sync::Mutex::new(log))
        .init();
    Ok(())
}
