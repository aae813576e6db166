//! `banger completion`.

use super::App;
use crate::exit::{Exit, Failure};
use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

/// The variable by which a shell asks this program for completions.
pub const VARIABLE: &str = "BANGER_COMPLETE";

const EXAMPLES: &str = "\
Examples:
  echo 'source <(banger completion bash)' >> ~/.bashrc
  echo 'source <(banger completion zsh)' >> ~/.zshrc
  banger completion fish > ~/.config/fish/completions/banger.fish

The script asks banger itself, so names of machines, images and kernels are completed, too. That
needs a daemon that runs; none is started for it.";

/// Print the script that makes a shell complete banger's arguments
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

impl Completion {
    /// Does it.
    ///
    /// # Errors
    /// When the script cannot be written.
    pub fn run(self, app: &App) -> Result<Exit, Failure> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Zsh => "zsh",
        };
        let own = std::env::current_exe().unwrap_or_else(|_| "banger".into());
        let mut script = Vec::new();
        if let Some(shell) = Shells::builtins().completer(name) {
            shell
                .write_registration(
                    VARIABLE,
                    "banger",
                    "banger",
                    &own.to_string_lossy(),
                    &mut script,
                )
                .map_err(|error| Failure::output(&error))?;
        }
        app.show.raw(script)?;
        Ok(Exit::Success)
    }
}
