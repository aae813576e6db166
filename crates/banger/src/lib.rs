//! The command line: arguments in, requests out, answers shown.

pub mod client;
pub mod exit;
pub mod place;
pub mod runtime_directory;
pub mod show;

pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
