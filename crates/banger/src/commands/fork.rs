//! `banger vm fork`.

use super::App;
use super::options::Reference;
use crate::client::Client;
use crate::creation;
use crate::exit::{Exit, Failure};
use banger_model::label::Label;
use banger_model::publish::Publication;
use banger_model::snapshot::Tag;
use banger_model::{SandboxName, Wait};
use banger_proto::owner::sandbox::{CreateRequest, ForkOf};
use clap::Args;
use futures_util::{StreamExt, stream};
use std::cell::Cell;

/// How many are made at once: each takes a processor for a part of a second.
const AT_ONCE: usize = 8;

const EXAMPLES: &str = "\
Examples:
  banger vm fork dev                      another machine that is what dev is now; dev runs on
  banger vm fork dev -n 3                 three of them, of the same moment
  banger vm fork dev --name experiment
  banger vm fork dev --from before-upgrade -p 8080:80

A fork has its own name, address, host keys and random numbers; what runs in the machine runs in it, too.
Published ports are not taken over.";

/// Make machines that go on from what a machine is now, or was
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Fork {
    #[command(flatten)]
    sandbox: Reference,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    number: u16,
    /// The fork's name; with -n its names are NAME-1, NAME-2, … [default: invented]
    #[arg(long)]
    name: Option<SandboxName>,
    /// From one of its snapshots, instead of what it is now
    #[arg(long, value_name = "TAG")]
    from: Option<Tag>,
    /// Publish a port of the fork on this host (repeatable)
    #[arg(
        short,
        long,
        value_name = "[ADDR:]PORT[:GUEST][/PROTOCOL]",
        conflicts_with = "number"
    )]
    publish: Vec<Publication>,
    /// Write a label on it (repeatable)
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<Label>,
    /// Only make it: it goes on when it is used or started
    #[arg(long)]
    no_start: bool,
}

impl Fork {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault. Of several forks, those that were made stay.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let names = self.names()?;
        let client = app.client().await?;
        let mut signals = app.signals()?;
        if names.len() > 1 && !self.no_start {
            let number = u64::from(self.number);
            super::capacity::require(&client, &self.sandbox.reference, number).await?;
        }
        match names.as_slice() {
            [name] => {
                let request = self.request(name.clone(), None);
                let fork = creation::create(&client, app.show, &request, &mut signals).await?;
                app.tell_chosen_ports(&fork);
                match app.show.json {
                    true => app.show.json(&fork)?,
                    false => app.created(&fork)?,
                }
                Ok(Exit::Success)
            }
            several => self.several(app, &client, several).await,
        }
    }

    fn names(&self) -> Result<Vec<Option<SandboxName>>, Failure> {
        let numbered = |number: u16| match &self.name {
            Some(name) if self.number > 1 => {
                let numbered = format!("{name}-{number}").parse().map(Some);
                numbered.map_err(|error: banger_model::name::BadName| {
                    Failure::usage(error.to_string(), "give a shorter name")
                })
            }
            name => Ok(name.clone()),
        };
        (1..=self.number).map(numbered).collect()
    }

    /// All of one moment, which is there for as long as forks are made of it, whatever becomes of this program.
    async fn several(
        &self,
        app: &App,
        client: &Client,
        names: &[Option<SandboxName>],
    ) -> Result<Exit, Failure> {
        let moment = creation::moment()?;
        let progress = app.show.progress();
        progress.stage(&format!("making {} forks", names.len()));
        let failed = Cell::new(false);
        let making = names.iter().map(|name| async {
            if failed.get() {
                return Ok(None);
            }
            let request = self.request(name.clone(), Some(moment.clone()));
            let made = creation::one_of_several(client, &request).await;
            failed.set(failed.get() || made.is_err());
            made.map(Some)
        });
        let all: Vec<_> = stream::iter(making).buffered(AT_ONCE).collect().await;
        drop(progress);
        let (mut forks, mut failure) = (Vec::new(), None);
        for made in all {
            match made {
                Ok(fork) => forks.extend(fork),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match app.show.json {
            true => app.show.json(&forks)?,
            false => forks.iter().try_for_each(|fork| app.created(fork))?,
        }
        failure.map_or(Ok(Exit::Success), Err)
    }

    fn request(&self, name: Option<SandboxName>, moment: Option<String>) -> CreateRequest {
        CreateRequest {
            name,
            publish: self.publish.clone(),
            labels: self
                .label
                .iter()
                .map(|label| (label.key.clone(), label.value.clone()))
                .collect(),
            start: (!self.no_start).then_some(Wait::Agent),
            from: Some(ForkOf {
                sandbox: self.sandbox.reference.clone(),
                snapshot: self.from.clone(),
                moment,
            }),
            ..CreateRequest::default()
        }
    }
}
