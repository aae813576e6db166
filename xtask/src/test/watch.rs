//! Watching a test runner: what it prints is passed on as it comes, and its closing lines are kept.

use super::counts;
use crate::command::{self, Outcome};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

/// The stream on which a runner reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs a command to its end, passes the stream on to standard error line by line, and gives the
/// lines that may be closing lines, without colours.
pub(crate) fn watch(command: &mut Command, source: Source) -> Outcome<(ExitStatus, Vec<String>)> {
    command.stdin(Stdio::null());
    match source {
        Source::Out => command.stdout(Stdio::piped()),
        Source::Err => command.stderr(Stdio::piped()),
    };
    let failed = |error, command: &Command| command::not_started(command, &error);
    let mut child = command.spawn().map_err(|error| failed(error, command))?;
    let stream: Option<Box<dyn Read>> = match source {
        Source::Out => child.stdout.take().map(|out| Box::new(out) as _),
        Source::Err => child.stderr.take().map(|err| Box::new(err) as _),
    };
    let closing = stream.map(pass_on).unwrap_or_default();
    let status = child.wait().map_err(|error| failed(error, command))?;
    Ok((status, closing))
}

fn pass_on(stream: impl Read) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut closing) = (Vec::new(), Vec::new());
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        let text = String::from_utf8_lossy(&line);
        eprint!("{text}");
        let plain = counts::plain(text.trim_end());
        if plain.trim_start().starts_with("Summary [") || plain.starts_with("test result: ") {
            closing.push(plain);
        }
        line.clear();
    }
    closing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_kept_from_the_stream_that_is_asked_for() {
        let script = "echo 'Summary [out]'; echo 'Summary [err]' >&2; echo other; exit 3";
        for (source, kept) in [
            (Source::Out, "Summary [out]"),
            (Source::Err, "Summary [err]"),
        ] {
            let (status, closing) = watch(Command::new("sh").args(["-c", script]), source).unwrap();
            assert_eq!((status.code(), closing), (Some(3), vec![kept.to_owned()]));
        }
    }

    #[test]
    fn output_that_is_no_text_is_passed_on_and_does_no_harm() {
        let script = "printf '\\377\\n  Summary [x]'";
        let (_, closing) = watch(Command::new("sh").args(["-c", script]), Source::Out).unwrap();
        assert_eq!(closing, ["  Summary [x]"]);
    }
}
