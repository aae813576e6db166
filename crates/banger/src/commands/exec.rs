//! `banger vm exec` and `banger vm shell`.

use super::App;
use super::options::{Reference, Session};
use crate::exec;
use crate::exit::{Exit, Failure};
use clap::Args;
use std::ffi::OsString;

const EXEC_EXAMPLES: &str = "\
Examples:
  banger vm exec dev -- make test
  banger vm exec -w /srv -e DEBUG=1 -u app dev -- ./run
  banger vm exec dev -- cat /var/log/syslog | grep error
  pg_dump db | banger vm exec dev -- psql
  while read -r line; do banger vm exec -n dev -- echo \"$line\"; done < list

The exit status is the command's own, 128+n when signal n ended it, 125 when banger itself failed,
126 when it cannot be executed, 127 when it is not there. See `banger help exit-codes`.

Input (`banger help stdin`): a pipe, a socket or a file is sent; a terminal when the command gets a
terminal, or with -i; /dev/null and a closed input only with -i. The command gets a terminal with
-t, or when input and output both are terminals.";

const SHELL_EXAMPLES: &str = "\
Examples:
  banger shell dev
  banger shell -u app -w /srv dev";

/// Run a command in a running machine
///
/// The arguments arrive as the bytes they are, without another shell between.
#[derive(Debug, Args)]
#[command(after_help = EXEC_EXAMPLES)]
pub struct Exec {
    #[command(flatten)]
    sandbox: Reference,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
    #[command(flatten)]
    session: Session,
}

/// Open a login shell in a running machine
#[derive(Debug, Args)]
#[command(after_help = SHELL_EXAMPLES)]
pub struct Shell {
    #[command(flatten)]
    sandbox: Reference,
    #[command(flatten)]
    session: Session,
}

impl Exec {
    /// Does it.
    ///
    /// # Errors
    /// A failure with exit status 125 to 127.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        run(app, &self.sandbox.reference, self.session, self.command).await
    }
}

impl Shell {
    /// Does it.
    ///
    /// # Errors
    /// A failure with exit status 125 to 127.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        run(app, &self.sandbox.reference, self.session, Vec::new()).await
    }
}

async fn run(
    app: &App,
    reference: &str,
    session: Session,
    argv: Vec<OsString>,
) -> Result<Exit, Failure> {
    let client = app.client().await.map_err(Failure::around)?;
    let mut signals = app.signals().map_err(Failure::around)?;
    let command = session.command(argv);
    exec::run(&client, reference, app.show, &command, &mut signals).await
}
