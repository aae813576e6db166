//! The command line of banger: see the library.

fn main() -> std::process::ExitCode {
    banger::run()
}
