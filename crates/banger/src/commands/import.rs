//! `banger vm import`.

use super::App;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::{operation, upload};
use banger_model::SandboxName;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;
use hyper::Method;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  banger vm import dev.banger
  banger vm import dev.banger --name copy
  banger vm import dev.banger --trust 5f0c…     signed on a host whose key this is
  ssh other banger vm export dev - | banger vm import - --name dev --trust 5f0c…

The machine is another one than the one that was exported, as a fork is. `banger vm start` starts it.";

/// Make a machine of a file that was exported
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The file; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The machine's name [default: the file's, without its ending; else an invented one]
    #[arg(long, value_name = "NAME")]
    name: Option<SandboxName>,
    /// The public key of the host that exported it, where that is another
    #[arg(long, value_name = "KEY")]
    trust: Option<String>,
}

impl Import {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault, or one about the file; nothing of it is left then.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let (source, length) = open(&self.file)?;
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let name = self.name.or_else(|| stem.parse().ok());
        let given = [
            ("name", name.map(|name| name.to_string())),
            ("trust", self.trust),
        ];
        let given = given.into_iter().filter_map(|(key, value)| {
            let value = path::percent_encode(&value?);
            Some(format!("{key}={value}"))
        });
        let query = given.collect::<Vec<_>>().join("&");
        let mut ask = Ask::bare(Method::PUT, path::plain(&format!("import?{query}")));
        ask.headers = vec![("content-type", "application/octet-stream".into())];
        ask.headers
            .extend(length.map(|length| ("content-length", length.to_string())));
        let ask = ask.with_long_body(upload::parts(source));
        let client = app.client().await?;
        let progress = app.show.progress();
        let sandbox: Sandbox = operation::run(&client, ask, &progress).await?;
        drop(progress);
        app.created(&sandbox)?;
        Ok(Exit::Success)
    }
}

fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(Failure::usage(
                "standard input is a terminal",
                "give a file, or pipe an export into this",
            ));
        }
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Fault::new(FaultCode::BadRequest, message)
    };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if found.is_dir() {
        return Err(Failure::usage(
            format!("{} is a directory, not an export", path.display()),
            "give a file that `banger vm export` has written",
        ));
    }
    let length = found.is_file().then_some(found.len());
    Ok((Box::new(file), length))
}
