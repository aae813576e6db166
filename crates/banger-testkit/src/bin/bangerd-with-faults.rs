//! The daemon with its fault points: what `bangerd` is in a release, built with the feature.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    bangerd::run(&arguments)
}
