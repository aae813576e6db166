//! See `banger_testkit::soak` and `docs/testing.md`; run by `cargo xtask soak`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    banger_testkit::soak::main(&arguments)
}
