//! `banger vm fork`.

use super::App;
use super::options::Reference;
use super::snapshot::of_now;
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::creation;
use crate::exec::signals::Signals;
use crate::exit::{Exit, Failure};
use crate::operation;
use banger_model::label::Label;
use banger_model::publish::Publication;
use banger_model::snapshot::Tag;
use banger_model::{SandboxName, Wait};
use banger_proto::owner::sandbox::{CreateRequest, ForkOf, Sandbox, SnapshotRequest};
use clap::Args;
use hyper::Method;

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
    /// The daemon's fault. Of several forks, those that were made before it stay.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let names = self.names()?;
        let client = app.client().await?;
        let mut signals = app.signals()?;
        if names.len() > 1 && !self.no_start {
            let number = u64::from(self.number);
            super::capacity::require(&client, &self.sandbox.reference, number).await?;
        }
        let made_for_it = match &self.from {
            None if names.len() > 1 => Some(self.moment(app, &client).await?),
            _ => None,
        };
        let from = self.from.as_ref().or(made_for_it.as_ref());
        let forks = self.all(app, &client, &names, from, &mut signals).await;
        if let Some(tag) = made_for_it {
            let path = self.path(&format!("/snapshots/{tag}"));
            let removing = client.json(Ask::bare(Method::DELETE, path));
            let _removed: serde::de::IgnoredAny = removing.await?;
        }
        forks
    }

    fn path(&self, rest: &str) -> String {
        path::sandbox(&self.sandbox.reference, rest)
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

    /// One moment for all of them.
    async fn moment(&self, app: &App, client: &Client) -> Result<Tag, Failure> {
        let tag = format!("fork-{}", of_now()?);
        let tag: Tag = tag
            .parse()
            .map_err(|error: banger_model::snapshot::BadTag| {
                Failure::usage(error.to_string(), "take a snapshot and fork that")
            })?;
        let request = SnapshotRequest {
            tag: Some(tag.clone()),
        };
        let ask = Ask::json(Method::POST, self.path("/snapshots"), &request);
        let _of: Sandbox = operation::run(client, ask, &app.show.progress()).await?;
        Ok(tag)
    }

    async fn all(
        &self,
        app: &App,
        client: &Client,
        names: &[Option<SandboxName>],
        from: Option<&Tag>,
        signals: &mut Signals,
    ) -> Result<Exit, Failure> {
        let mut forks = Vec::new();
        for name in names {
            let request = self.request(name.clone(), from);
            let fork = creation::create(client, app.show, &request, signals).await?;
            app.tell_chosen_ports(&fork);
            if !app.show.json {
                app.created(&fork)?;
            }
            forks.push(fork);
        }
        if app.show.json {
            match forks.as_slice() {
                [one] => app.show.json(one)?,
                several => app.show.json(several)?,
            }
        }
        Ok(Exit::Success)
    }

    fn request(&self, name: Option<SandboxName>, from: Option<&Tag>) -> CreateRequest {
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
                snapshot: from.cloned(),
                moment: None,
            }),
            ..CreateRequest::default()
        }
    }
}
