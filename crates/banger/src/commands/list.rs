//! `banger vm list` and `banger ps`.

use super::App;
use super::options::Filters;
use crate::client::path;
use crate::exit::{Exit, Failure};
use crate::show::{sandbox, words};
use banger_model::filter::Filter;
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;

const LIST_EXAMPLES: &str = "\
Examples:
  banger vm ls
  banger vm ls --json
  banger vm ls --filter label=role=web --filter state=stopped
  banger vm rm $(banger vm ls -q)";

const PS_EXAMPLES: &str = "\
Examples:
  banger ps
  banger ps -a
  banger ps --filter 'name=web-*'
  banger vm stop $(banger ps -q)";

/// List all machines
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct List {
    #[command(flatten)]
    filters: Filters,
}

/// List the machines that run
#[derive(Debug, Args)]
#[command(after_help = PS_EXAMPLES)]
pub struct Ps {
    /// List all, like `banger vm list`
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    filters: Filters,
}

impl List {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        list(app, true, &self.filters).await
    }
}

impl Ps {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        list(app, self.all, &self.filters).await
    }
}

async fn list(app: &App, all: bool, filters: &Filters) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let mut sandboxes: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
    // Who asks for a state means those that are in it, not those of them that run.
    let all = all
        || filters
            .filter
            .iter()
            .any(|one| matches!(one, Filter::State(_)));
    sandboxes.retain(|sandbox| (all || sandbox.state.may_have_vmm()) && filters.fit(sandbox));
    let show = app.show;
    if show.json {
        show.json(&sandboxes)?;
    } else if show.quiet {
        show.lines(sandboxes.iter().map(|sandbox| &sandbox.id))?;
    } else {
        show.table(&sandbox::table(&sandboxes, words::now()))?;
    }
    Ok(Exit::Success)
}
