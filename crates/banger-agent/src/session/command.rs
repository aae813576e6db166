//! What is executed, as whom, where: decided from the call and the guest's files.

use crate::account::Account;
use crate::agent::Environment;
use crate::fault::{fault, shown};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Exec, GuestFault};
use std::collections::BTreeMap;

/// Where commands are looked for when nobody says otherwise (Debian's default for root).
pub(crate) const DEFAULT_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The shell of an account that names none.
const SHELL: &[u8] = b"/bin/sh";
/// A terminal that every terminal library knows.
const TERM: &[u8] = b"xterm-256color";

/// A program to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Looked for in `PATH` if it has no slash.
    pub(super) file: Vec<u8>,
    /// With argument 0.
    pub(super) arguments: Vec<Vec<u8>>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// In order of preference: the next is tried when one is not there.
    pub(super) programs: Vec<Program>,
    pub(super) environment: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) directory: Vec<u8>,
    /// Whether `directory` was asked for; otherwise `/` will do.
    pub(super) needs_directory: bool,
}

/// Decides. `guest` is the environment of every command, beneath the call's own.
pub(super) fn plan(
    exec: &Exec,
    account: &Account,
    guest: &Environment,
) -> Result<Plan, GuestFault> {
    let given = guest.iter().chain(&exec.environment);
    let mut environment = defaults(account, exec.terminal.is_some());
    for (name, value) in given {
        let is_name = !name.is_empty() && !name.contains(&b'=') && !name.contains(&0);
        if !is_name || value.contains(&0) {
            let message = format!("not an environment variable: \"{}\"", shown(name));
            return Err(fault(FaultCode::BadRequest, message));
        }
        environment.insert(name.clone(), value.clone());
    }
    let directory = exec.directory.as_ref();
    let strings = exec.argv.iter().chain(directory);
    if let Some(bad) = strings.into_iter().find(|string| string.contains(&0)) {
        let message = format!("an argument contains a zero byte: \"{}\"", shown(bad));
        return Err(fault(FaultCode::BadRequest, message));
    }
    Ok(Plan {
        programs: programs(&exec.argv, account),
        environment,
        directory: directory.unwrap_or(&account.home).clone(),
        needs_directory: directory.is_some(),
    })
}

fn programs(argv: &[Vec<u8>], account: &Account) -> Vec<Program> {
    if let Some(first) = argv.first() {
        return vec![Program {
            file: first.clone(),
            arguments: argv.to_vec(),
        }];
    }
    let own = account.shell.clone();
    let fallback = own.as_deref() != Some(SHELL);
    let shells = own.into_iter().chain(fallback.then(|| SHELL.to_vec()));
    shells.map(login).collect()
}

/// A login shell's argument 0 begins with a dash.
fn login(shell: Vec<u8>) -> Program {
    let name = shell
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    let argument = [b"-", name].concat();
    Program {
        file: shell,
        arguments: vec![argument],
    }
}

fn defaults(account: &Account, terminal: bool) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let shell = account.shell.as_deref().unwrap_or(SHELL);
    let mut defaults: BTreeMap<Vec<u8>, Vec<u8>> = [
        (&b"PATH"[..], DEFAULT_PATH),
        (b"HOME", &account.home),
        (b"USER", &account.name),
        (b"LOGNAME", &account.name),
        (b"SHELL", shell),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_vec(), value.to_vec()))
    .collect();
    if terminal {
        defaults.insert(b"TERM".to_vec(), TERM.to_vec());
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::guest::message::TerminalSize;

    fn account(shell: Option<&str>) -> Account {
        Account {
            name: b"dev".to_vec(),
            uid: 1000,
            gid: 1000,
            groups: vec![],
            home: b"/home/dev".to_vec(),
            shell: shell.map(|shell| shell.as_bytes().to_vec()),
        }
    }

    fn call(argv: &[&str]) -> Exec {
        Exec {
            session: [0; 16],
            argv: argv
                .iter()
                .map(|argument| argument.as_bytes().to_vec())
                .collect(),
            environment: vec![],
            directory: None,
            user: None,
            terminal: None,
            stdin: false,
        }
    }

    #[test]
    fn the_calls_variables_win_over_the_guests_and_those_over_the_defaults() {
        let mut exec = call(&["env"]);
        exec.environment = vec![(b"A".to_vec(), b"call".to_vec())];
        exec.terminal = Some(TerminalSize {
            rows: 1,
            columns: 1,
        });
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let guest = vec![
            pair("A", "guest"),
            pair("TERM", "dumb"),
            pair("HOME", "/h=o"),
        ];
        let plan = plan(&exec, &account(None), &guest).expect("plain");
        let get = |name: &str| plan.environment.get(name.as_bytes()).map(Vec::as_slice);
        assert_eq!(get("A"), Some(&b"call"[..]));
        assert_eq!(get("TERM"), Some(&b"dumb"[..]));
        assert_eq!(get("HOME"), Some(&b"/h=o"[..]));
        assert_eq!(get("SHELL"), Some(SHELL));
        assert_eq!(get("USER"), Some(&b"dev"[..]));
    }

    #[test]
    fn without_arguments_the_users_shell_is_a_login_shell_with_sh_behind_it() {
        let files = |shell| {
            let plan = plan(&call(&[]), &account(shell), &vec![]).expect("plain");
            let show = |program: &Program| {
                (
                    shown(&program.file),
                    shown(program.arguments.first().expect("argument 0")),
                )
            };
            plan.programs.iter().map(show).collect::<Vec<_>>()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            files(Some("/bin/bash")),
            [pair("/bin/bash", "-bash"), pair("/bin/sh", "-sh")]
        );
        assert_eq!(files(Some("/bin/sh")), [pair("/bin/sh", "-sh")]);
        assert_eq!(files(None), [pair("/bin/sh", "-sh")]);
    }

    #[test]
    fn home_is_only_the_default_directory() {
        let home = plan(&call(&["pwd"]), &account(None), &vec![]).expect("plain");
        assert_eq!(
            (home.directory.as_slice(), home.needs_directory),
            (&b"/home/dev"[..], false)
        );
        let mut exec = call(&["pwd"]);
        exec.directory = Some(b"/srv".to_vec());
        let asked = plan(&exec, &account(None), &vec![]).expect("plain");
        assert_eq!(
            (asked.directory.as_slice(), asked.needs_directory),
            (&b"/srv"[..], true)
        );
    }

    #[test]
    fn what_no_program_can_be_given_is_refused() {
        let bad_argument = call(&["echo", "a\0b"]);
        let mut bad_name = call(&["env"]);
        bad_name.environment = vec![(b"A=B".to_vec(), vec![])];
        let mut bad_value = call(&["env"]);
        bad_value.environment = vec![(b"A".to_vec(), vec![0])];
        let mut bad_directory = call(&["pwd"]);
        bad_directory.directory = Some(vec![0]);
        for exec in [bad_argument, bad_name, bad_value, bad_directory] {
            let fault = plan(&exec, &account(None), &vec![]).expect_err("refused");
            assert_eq!(fault.code, FaultCode::BadRequest);
        }
    }
}
