//! `banger vm set`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use banger_model::{DiskSize, MemorySize, VcpuCount};
use banger_proto::owner::sandbox::SetRequest;
use clap::{ArgGroup, Args};
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm set --nat dev          let it reach the outside from now on
  banger vm set --no-nat dev web   and no longer
  banger vm set dev --vcpu 4 --memory 8GiB
  banger vm set dev --disk-size 32GiB --system-disk-size 16GiB

Of a machine that runs disks grow at once, where its guest can do that; processors and memory change with
the next start; the way outside changes at once on the bridge, connections that are open included, and
with the next start in user mode. Of one that does not run everything changes at once, but for what is in
its disks: that grows with the next start. What holds from when is said. Disks only grow.";

/// Change what machines are to be
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("change").required(true).multiple(true))]
pub struct Set {
    #[command(flatten)]
    sandboxes: Targets,
    /// Let the guest reach the outside
    #[arg(long, group = "change")]
    nat: bool,
    /// Let it reach the outside no longer
    #[arg(long, group = "change", conflicts_with = "nat")]
    no_nat: bool,
    /// Virtual processors, 1 to 64
    #[arg(long, value_name = "COUNT", group = "change")]
    vcpu: Option<VcpuCount>,
    /// Memory, as 512MiB or 4GiB
    #[arg(long, value_name = "SIZE", group = "change")]
    memory: Option<MemorySize>,
    /// Size of the work disk at /root; it only grows
    #[arg(long, value_name = "SIZE", group = "change")]
    disk_size: Option<DiskSize>,
    /// Size of the system disk over the image; it only grows
    #[arg(long, value_name = "SIZE", group = "change")]
    system_disk_size: Option<DiskSize>,
}

impl Set {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = SetRequest {
            nat: (self.nat || self.no_nat).then_some(self.nat),
            vcpu: self.vcpu,
            memory_mib: self.memory,
            disk_mib: self.disk_size,
            system_disk_mib: self.system_disk_size,
            ..SetRequest::default()
        };
        app.change(&self.sandboxes, "changed", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/set"), &request)
        })
        .await
    }
}
