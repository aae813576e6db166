//! See `banger_testkit::world::reaper`.

use std::process::ExitCode;

fn main() -> ExitCode {
    banger_testkit::world::reaper::main()
}
