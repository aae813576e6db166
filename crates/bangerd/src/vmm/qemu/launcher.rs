//! Puts a program into a session of its own, so that what ends the daemon does not end its guests.
//!
//! A new session needs code that runs between fork and exec, which only unsafe code can give to a
//! child. Instead the daemon's own program is run once more with [`LAUNCH_VERB`]: it does the few
//! things and then becomes the other program, with the same pid.

use rustix::fs::Mode;
use rustix::process::PTracer;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The first argument by which `main` knows that it is to call [`launcher_main`].
pub const LAUNCH_VERB: &str = "__launch";

/// What a VMM gets of the daemon's environment: where its own libraries and modules lie. The rest
/// is not its business: a guest that takes its VMM over must not find the owner's tokens there.
const ENVIRONMENT: [&str; 3] = ["LD_LIBRARY_PATH", "QEMU_MODULE_DIR", "TMPDIR"];

/// The program that runs [`launcher_main`], and how it is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// What comes before the launched program and its arguments.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// This very program, even if its file was replaced since it began.
    #[must_use]
    pub fn this_program() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            arguments: vec![LAUNCH_VERB.into(), "--".into()],
        }
    }

    /// The command that runs `program`, in `/` and with next to no environment.
    pub(super) fn command(&self, program: &Path, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(program).args(arguments);
        command.current_dir("/").env_clear().env("LC_ALL", "C");
        let kept = ENVIRONMENT.into_iter();
        command.envs(kept.filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
        command
    }
}

/// Becomes another program: `arguments` are what follows [`LAUNCH_VERB`], as
/// `-- program argument…`. Returns only if that fails, having said why on standard error.
///
/// The program leads a session of its own, without a terminal, and what it creates belongs to its
/// user alone (umask 077).
pub fn launcher_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let program = match (arguments.next(), arguments.next()) {
        (Some(dashes), Some(program)) if dashes == OsStr::new("--") => program,
        _ => return failed("no program is named"),
    };
    if let Err(error) = rustix::process::setsid() {
        return failed(format_args!("no session of its own: {error}"));
    }
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Where Yama lets only a parent look into its child (its `ptrace_scope` of 1), the daemon that saves a
    // guest's memory may be another than the one that started it. Without Yama there is nothing to allow.
    let _ = rustix::process::set_ptracer(PTracer::Any);
    let error = Command::new(&program).args(arguments).exec();
    failed(format_args!("cannot run {}: {error}", program.display()))
}

/// The status by which a shell says that it cannot run a program.
const CANNOT_RUN: u8 = 127;

fn failed(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("banger launcher: {why}");
    ExitCode::from(CANNOT_RUN)
}

#[cfg(test)]
mod tests {
    mod t1 {
        use super::super::*;
        use std::process::Stdio;

        const PROGRAM: &str = "BANGER_TEST_LAUNCH";
        const SELF: &str = "vmm::qemu::launcher::tests::t1::becomes_what_its_environment_names";

        /// Not a test but what the tests below run: this program, as a launcher.
        #[test]
        fn becomes_what_its_environment_names() {
            let Some(line) = std::env::var_os(PROGRAM) else {
                return;
            };
            let line = line.to_string_lossy().into_owned();
            let code = launcher_main(line.split('|').map(OsString::from));
            assert_eq!(code, ExitCode::SUCCESS, "could not become it");
        }

        fn launched(line: &str) -> std::process::Output {
            let test = std::env::current_exe().expect("this program");
            let mut command = Command::new(test);
            command
                .args(["--exact", SELF, "--nocapture"])
                .env(PROGRAM, line);
            command.stdin(Stdio::null()).output().expect("it ran")
        }

        #[test]
        fn the_program_leads_a_session_and_keeps_files_to_its_user() {
            // Field 6 of proc_pid_stat(5) is the session.
            let script = "umask; read -r pid name state parent group session rest \
                          < /proc/$$/stat; echo $((session - $$))";
            let output = launched(&format!("--|/bin/sh|-c|{script}"));
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.ends_with("0077\n0\n"), "{text}");
        }

        #[test]
        fn a_program_that_cannot_be_run_is_named() {
            let output = launched("--|/nonexistent/qemu");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("cannot run /nonexistent/qemu"), "{text}");
        }

        #[test]
        fn nothing_happens_without_a_program() {
            for line in ["--", "sh|-c|true", ""] {
                let text = String::from_utf8_lossy(&launched(line).stderr).into_owned();
                assert!(text.contains("no program is named"), "{text}");
            }
        }

        #[test]
        fn the_environment_stays_behind() {
            let launcher = Launcher {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), "exec \"$@\"".into(), "sh".into()],
            };
            let output = launcher.command(Path::new("env"), &[]).output();
            let text = String::from_utf8(output.expect("it ran").stdout).expect("text");
            // A shell adds some of its own.
            let ours = ["LC_ALL", "PWD", "OLDPWD", "_", "SHLVL"];
            for line in text.lines() {
                let name = line.split('=').next().unwrap_or_default();
                assert!(
                    ours.contains(&name) || ENVIRONMENT.contains(&name),
                    "{line}"
                );
            }
            assert!(text.contains("PWD=/\n"));
        }
    }
}
