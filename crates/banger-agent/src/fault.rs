//! Faults, as calls answer them.

use banger_proto::fault::FaultCode;
use banger_proto::guest::message::GuestFault;
use rustix::io::Errno;
use std::fmt::Display;

pub(crate) fn fault(code: FaultCode, message: impl Display) -> GuestFault {
    GuestFault {
        code,
        message: message.to_string(),
    }
}

/// The fault of a system call: `cannot <what>: <reason>`.
pub(crate) fn failed(what: impl Display, errno: Errno) -> GuestFault {
    fault(
        code(errno),
        format_args!("cannot {what}: {}", reason(errno)),
    )
}

/// As [`failed`], from the standard library's error.
pub(crate) fn failed_io(what: impl Display, error: &std::io::Error) -> GuestFault {
    let code = Errno::from_io_error(error).map_or(FaultCode::Failed, code);
    fault(code, format_args!("cannot {what}: {}", io_reason(error)))
}

/// The kind that an error number is to the caller.
pub(crate) const fn code(errno: Errno) -> FaultCode {
    match errno {
        Errno::NOENT => FaultCode::NotFound,
        Errno::INVAL | Errno::NAMETOOLONG | Errno::TOOBIG => FaultCode::BadRequest,
        Errno::EXIST | Errno::BUSY | Errno::TXTBSY => FaultCode::Conflict,
        Errno::ACCESS
        | Errno::PERM
        | Errno::ROFS
        | Errno::ISDIR
        | Errno::NOTDIR
        | Errno::NOEXEC
        | Errno::LOOP => FaultCode::Refused,
        Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::MFILE | Errno::NFILE => {
            FaultCode::Unavailable
        }
        _ => FaultCode::Failed,
    }
}

/// An error number in words, lower case, without its number.
pub(crate) fn reason(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// As [`reason`], from the standard library's error.
pub(crate) fn io_reason(error: &std::io::Error) -> String {
    Errno::from_io_error(error).map_or_else(|| error.to_string(), reason)
}

/// A path or an argument, as it is shown in a message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes))
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_what_failed_and_why_in_one_line() {
        let fault = failed("open /x", Errno::NOENT);
        assert_eq!(fault.message, "cannot open /x: no such file or directory");
        assert_eq!(fault.code, FaultCode::NotFound);
        assert_eq!(code(Errno::ROFS), FaultCode::Refused);
        assert_eq!(code(Errno::IO), FaultCode::Failed);
    }

    #[test]
    fn what_is_shown_is_printable_and_bounded() {
        assert_eq!(shown(b"a\nb\xff"), "a\\nb\u{fffd}");
        assert!(shown(&[b'x'; 5000]).len() <= 200);
    }
}
