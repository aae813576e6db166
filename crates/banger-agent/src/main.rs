//! `/init` of the initramfs: the supervisor as process 1, the agent as its child.

use std::process::ExitCode;

fn main() -> ExitCode {
    banger_agent::guest::main()
}
