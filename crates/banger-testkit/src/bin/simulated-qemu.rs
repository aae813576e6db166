//! See `banger_testkit::simulated_qemu`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    banger_testkit::simulated_qemu::main(Path::new(&program), &arguments.collect::<Vec<_>>())
}
