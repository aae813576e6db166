//! `banger vm label`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::client::request::Ask;
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::operation;
use banger_model::label::LabelChange;
use banger_proto::owner::sandbox::{Sandbox, SetRequest};
use clap::Args;
use clap_complete::ArgValueCandidates;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm label dev role=web ci    writes two labels, one without a value
  banger vm label dev ci-            removes one
  banger ps --filter label=role=web

A key has up to 128 letters, digits, '.', '-', '_' and '/', with a letter or digit at either end; a
value is up to 256 bytes of text in one line. A machine has at most 64 labels.";

/// Write labels on a machine, or remove them
///
/// Prints the labels that it has then.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Label {
    #[command(flatten)]
    sandbox: Reference,
    /// A label that it is to have, or KEY- for one that it is to have no longer
    #[arg(required = true, value_name = "KEY[=VALUE]|KEY-",
        add = ArgValueCandidates::new(complete::labels))]
    labels: Vec<LabelChange>,
}

impl Label {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let request = SetRequest {
            labels: self.labels,
            ..SetRequest::default()
        };
        let path = path::sandbox(&self.sandbox.reference, "/set");
        let ask = Ask::json(Method::POST, path, &request);
        let sandbox: Sandbox = operation::run(&client, ask, &app.show.progress()).await?;
        if app.show.json {
            app.show.json(&sandbox)?;
        } else if app.show.quiet {
            app.show.line(&sandbox.id)?;
        } else {
            let label = |(key, value): (&String, &String)| match value.as_str() {
                "" => key.clone(),
                value => format!("{key}={value}"),
            };
            app.show.lines(sandbox.labels.iter().map(label))?;
        }
        Ok(Exit::Success)
    }
}
