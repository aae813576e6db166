//! The exit status is a type: meaning first, number last. `docs/cli.md` lists the same.

use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::exec::Ended;

/// How the command line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked was done.
    Success,
    /// Something failed; it was said on standard error.
    Failed,
    /// The request itself was wrong: nothing was done.
    Usage,
    /// banger itself failed before or around a command (docker's convention).
    Around,
    /// The command is there and cannot be executed (POSIX shells).
    NotExecutable,
    /// The command is not there (POSIX shells).
    NotFound,
    /// The guest's command ended so.
    Command(u8),
    /// A signal ended the guest's command, or this one.
    Signal(u8),
}

impl Exit {
    /// The number for the shell.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Around => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Command(code) => code,
            Self::Signal(signal) => 128_u8.saturating_add(signal),
        }
    }

    /// Of a verb that failed.
    #[must_use]
    pub const fn of_fault(code: FaultCode) -> Self {
        match code {
            FaultCode::BadRequest => Self::Usage,
            _ => Self::Failed,
        }
    }

    /// Of a command that could not be started in the guest.
    #[must_use]
    pub const fn of_unstarted(code: FaultCode) -> Self {
        match code {
            FaultCode::NotFound => Self::NotFound,
            FaultCode::Refused => Self::NotExecutable,
            _ => Self::Around,
        }
    }

    /// Of a session's end; `None` where the command's own end is not known.
    #[must_use]
    pub const fn of_ended(ended: &Ended) -> Option<Self> {
        match ended {
            Ended::Code { code } => Some(Self::Command(*code)),
            Ended::Signal { signal } => Some(Self::Signal(*signal)),
            Ended::Taken | Ended::Failed { .. } => None,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command of ours failed, and the exit status that follows.
#[derive(Debug)]
pub struct Failure {
    /// What is printed.
    pub fault: Fault,
    /// The exit status.
    pub exit: Exit,
}

impl Failure {
    /// The request itself is wrong.
    pub fn usage(message: impl std::fmt::Display, remedy: impl std::fmt::Display) -> Self {
        Fault::new(FaultCode::BadRequest, message)
            .with_remedy(remedy)
            .into()
    }

    /// The same fault with the exit status of something that failed around a guest's command.
    #[must_use]
    pub fn around(self) -> Self {
        let exit = match self.exit {
            Exit::Failed | Exit::Usage => Exit::Around,
            other => other,
        };
        Self { exit, ..self }
    }

    /// Nobody reads our output any more: end like a program that SIGPIPE ended.
    #[must_use]
    pub fn output(error: &std::io::Error) -> Self {
        let fault = Fault::from_error(FaultCode::Failed, error);
        let fault = Fault {
            message: format!("cannot write the output: {}", fault.message),
            ..fault
        };
        let exit = match error.kind() {
            std::io::ErrorKind::BrokenPipe => Exit::Signal(SIGPIPE),
            _ => Exit::Failed,
        };
        Self { fault, exit }
    }

    /// Whether it needs no words: the reader of our output has left, as `head` does.
    #[must_use]
    pub fn is_closed_output(&self) -> bool {
        self.exit == Exit::Signal(SIGPIPE)
    }
}

/// signal(7); the same on all of Linux' usual architectures.
pub const SIGPIPE: u8 = 13;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let exit = Exit::of_fault(fault.code);
        Self { fault, exit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_shells_and_of_docker() {
        let numbers = [
            (Exit::Success, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Around, 125),
            (Exit::NotExecutable, 126),
            (Exit::NotFound, 127),
            (Exit::Command(42), 42),
            (Exit::Signal(9), 137),
            (Exit::Signal(200), 255),
        ];
        for (exit, number) in numbers {
            assert_eq!(exit.number(), number, "{exit:?}");
        }
    }

    #[test]
    fn a_fault_around_a_command_is_never_taken_for_the_commands_own_end() {
        for code in FaultCode::ALL {
            let failure = Failure::from(Fault::new(code, "x")).around();
            assert_eq!(failure.exit, Exit::Around, "{code:?}");
            assert!(Exit::of_unstarted(code).number() >= 125);
        }
    }

    #[test]
    fn only_a_wrong_request_is_a_usage_error() {
        for code in FaultCode::ALL {
            let usage = Exit::of_fault(code) == Exit::Usage;
            assert_eq!(usage, code == FaultCode::BadRequest, "{code:?}");
        }
    }

    #[test]
    fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() {
        let of = |kind| Failure::output(&std::io::Error::from(kind));
        assert!(of(std::io::ErrorKind::BrokenPipe).is_closed_output());
        assert!(!of(std::io::ErrorKind::StorageFull).is_closed_output());
    }
}
