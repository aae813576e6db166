//! `banger capacity`.

use super::App;
use crate::client::{Client, path};
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::show::capacity::{table, verdict};
use banger_model::{MemorySize, VcpuCount};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::capacity as proto;
use clap::Args;
use clap_complete::ArgValueCandidates;

const EXAMPLES: &str = "\
Examples:
  banger capacity                        new machines of the default size
  banger capacity --memory 2GiB
  banger capacity --of dev               forks of dev
  banger capacity --of dev -q            the number alone
  banger capacity --json | jq .memory

A machine takes what those of its kind take that run, once two do; before that it is estimated. What
the host's kernel calls available may be taken, but for a reserve (memory_reserve in the configuration).";

/// Show how many more machines this host has room for, and what there is least of
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Capacity {
    /// Forks of this one
    #[arg(long, value_name = "SANDBOX", conflicts_with_all = ["vcpu", "memory"], add = ArgValueCandidates::new(complete::sandboxes))]
    of: Option<String>,
    /// Virtual processors of a new machine
    #[arg(long, value_name = "N")]
    vcpu: Option<VcpuCount>,
    /// Memory of a new machine
    #[arg(long, value_name = "SIZE")]
    memory: Option<MemorySize>,
}

impl Capacity {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let query = [
            self.of.map(|of| ("of", of)),
            self.vcpu.map(|count| ("vcpu", count.get().to_string())),
            self.memory
                .map(|size| ("memory_mib", size.mib().to_string())),
        ];
        let found = ask(&client, query.into_iter().flatten()).await?;
        if app.show.json {
            app.show.json(&found)?;
        } else if app.show.quiet {
            app.show.lines([found.machines.to_string()])?;
        } else {
            app.show.table(&table(&found))?;
            app.show.lines([verdict(&found)])?;
        }
        Ok(Exit::Success)
    }
}

async fn ask(
    client: &Client,
    query: impl Iterator<Item = (&'static str, String)>,
) -> Result<proto::Capacity, Fault> {
    let query: Vec<String> = query
        .map(|(name, value)| format!("{name}={}", path::percent_encode(&value)))
        .collect();
    client
        .get(path::plain(&format!("capacity?{}", query.join("&"))))
        .await
}

/// Refuses so many forks of a machine at once for which there is no room, before any is made.
///
/// # Errors
/// `Unavailable`, with how many would fit.
pub async fn require(client: &Client, of: &str, wanted: u64) -> Result<(), Fault> {
    let found = ask(client, std::iter::once(("of", of.to_owned()))).await?;
    match refusal(&found, of, wanted) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

fn refusal(found: &proto::Capacity, of: &str, wanted: u64) -> Option<Fault> {
    if found.machines >= wanted {
        return None;
    }
    let message = match found.machines {
        0 => format!(
            "no fork of {of} fits on this host: there is not enough {}",
            found.limit
        ),
        fits => format!(
            "{wanted} forks of {of} do not fit on this host: {fits} would, then there is not enough {}",
            found.limit
        ),
    };
    Some(
        Fault::new(FaultCode::Unavailable, message).with_remedy(format!(
            "ask for fewer, stop or suspend machines, or see `banger capacity --of {of}`"
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::capacity::tests::sample;

    #[test]
    fn too_many_forks_are_refused_with_how_many_would_fit() {
        let found = sample();
        assert_eq!(refusal(&found, "dev", 40), None);
        let fault = refusal(&found, "dev", 41).expect("refused");
        assert!(fault.message.contains("40 would"), "{fault}");
        assert!(fault.message.contains("memory"), "{fault}");
        let none = proto::Capacity {
            machines: 0,
            ..found
        };
        let fault = refusal(&none, "dev", 1).expect("refused");
        assert!(fault.message.contains("no fork of dev fits"), "{fault}");
    }
}
