//! See `banger_testkit::bench` and `docs/bench.md`; run by `cargo xtask bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    banger_testkit::bench::main(&arguments)
}
