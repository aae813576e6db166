//! See `banger_root::simulated::program`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let rest: Vec<_> = arguments.collect();
    banger_root::simulated::program::program(Path::new(&program), &rest)
}
