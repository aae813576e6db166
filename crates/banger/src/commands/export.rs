//! `banger vm export`.

use super::App;
use crate::client::request::{Ask, Unanswered};
use crate::client::{Client, path};
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::output_file::OutputFile;
use crate::show::progress::Progress;
use crate::show::words::show_bytes;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::export::{ExportKey, ExportRequest};
use banger_proto::owner::operation::Event;
use clap::Args;
use clap_complete::ArgValueCandidates;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  banger vm export dev dev.banger
  banger vm export dev --memory dev.banger      with what runs in it
  banger vm export dev - | ssh other banger vm import - --name dev --trust KEY
  banger vm export --key                        the key that this host signs with

The file has the machine's disks and its image, packed and signed with this host's own key. Whatever was \
written in the machine is in it, but for what makes it itself: ssh host keys, systemd's random seed and key of \
credentials, which the machine that is made of it gets anew. Other secrets that are files are in it, and with \
--memory or --with-secrets those, too. What banger gave to it is not: its id, addresses, ports, links, labels.";
/// Said before memory is written.
const MEMORY: &str =
    "with memory, the file holds the keys and passwords that are in use in the machine";

/// Write a machine to one file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Export {
    /// Name, id, or a unique beginning of the id
    #[arg(value_name = "SANDBOX", required_unless_present = "key", add = ArgValueCandidates::new(complete::sandboxes))]
    sandbox: Option<String>,
    /// The file, which must not be there; '-' writes to standard output
    #[arg(value_name = "FILE", required_unless_present = "key")]
    file: Option<PathBuf>,
    /// With its memory: it goes on where it was, where the same QEMU runs it
    #[arg(long)]
    memory: bool,
    /// Without its image, for a host that has the same one
    #[arg(long)]
    no_image: bool,
    /// With the ssh host keys and the random seed on its disks, which are otherwise left out
    #[arg(long)]
    with_secrets: bool,
    /// Print the public key that exports of this host are signed with
    #[arg(long, conflicts_with_all = ["sandbox", "file", "memory", "no_image", "with_secrets"])]
    key: bool,
}

impl Export {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault, or one about the file; nothing of it is left then.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let (Some(sandbox), Some(path)) = (self.sandbox, self.file) else {
            return tell_key(app).await;
        };
        let request = ExportRequest {
            memory: self.memory,
            no_image: self.no_image,
            with_secrets: self.with_secrets,
        };
        if self.memory {
            app.show.note(MEMORY);
        }
        let file = OutputFile::begin(&path)?;
        let client = app.client().await?;
        let mut signals = app.signals()?;
        let written = tokio::select! {
            written = write(app, &client, &sandbox, &request, file) => written?,
            number = signals.stop() => {
                let fault = Fault::new(FaultCode::Cancelled, "interrupted; nothing of the file is left");
                return Err(Failure { fault, exit: Exit::Signal(number) });
            }
        };
        tell(app, &path, written)
    }
}

async fn tell_key(app: &App) -> Result<Exit, Failure> {
    let key: ExportKey = app.client().await?.get(path::plain("export-key")).await?;
    match app.show.json {
        true => app.show.json(&key)?,
        false => app.show.line(&key.key)?,
    }
    Ok(Exit::Success)
}

/// Where the file itself is the output, nothing is said there.
fn tell(app: &App, path: &Path, bytes: u64) -> Result<Exit, Failure> {
    if path == Path::new("-") {
        return Ok(Exit::Success);
    }
    if app.show.json {
        app.show.json(&json!({ "file": path, "bytes": bytes }))?;
    } else {
        app.show
            .note(&format!("{}: {}", path.display(), show_bytes(bytes)));
    }
    Ok(Exit::Success)
}

async fn write(
    app: &App,
    client: &Client,
    sandbox: &str,
    request: &ExportRequest,
    mut file: OutputFile,
) -> Result<u64, Failure> {
    let progress = app.show.progress();
    progress.stage("saving the machine");
    let path = path::sandbox(sandbox, "/export");
    let answer = client.open(Ask::json(Method::POST, path, request)).await?;
    progress.stage("writing");
    let written = receive(answer.into_body(), &mut file, &progress).await?;
    file.finish()?;
    Ok(written)
}

async fn receive(
    mut body: hyper::body::Incoming,
    file: &mut OutputFile,
    progress: &Progress,
) -> Result<u64, Failure> {
    let mut done = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::from(Unanswered::Lost(error)))?;
        if let Some(data) = frame.data_ref() {
            done = file.write(data)?;
            progress.event(&Event::Amount { done, total: 0 });
        }
    }
    Ok(done)
}
