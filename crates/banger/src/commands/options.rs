//! Options that several commands share.

use crate::complete;
use crate::exec::{Command, input::Wish};
use banger_model::filter::{self, Filter, Subject};
use banger_model::label::Label;
use banger_model::publish::Publication;
use banger_model::spec::NetworkMode;
use banger_model::{ArtifactName, DiskSize, Init, MemorySize, SandboxName, VcpuCount};
use banger_proto::owner::sandbox::{CreateRequest, Sandbox};
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::ffi::OsString;

/// What kind of machine. Whatever is left out, the daemon fills in.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Machine")]
pub struct Machine {
    /// Its name: lower-case letters, digits and '-' [default: invented]
    #[arg(long)]
    pub name: Option<SandboxName>,
    /// The image it boots [default: see `banger image list`]
    #[arg(long, add = ArgValueCandidates::new(complete::images))]
    pub image: Option<ArtifactName>,
    /// The kernel it boots [default: see `banger kernel list`]
    #[arg(long, add = ArgValueCandidates::new(complete::kernels))]
    pub kernel: Option<ArtifactName>,
    /// Virtual processors, 1 to 64 [default: a quarter of the host's, at most 4]
    #[arg(long, value_name = "COUNT")]
    pub vcpu: Option<VcpuCount>,
    /// Memory, as 512MiB or 4GiB [default: an eighth of the host's, 1GiB to 8GiB]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemorySize>,
    /// Size of the work disk at /root; sparse [default: 8GiB]
    #[arg(long, value_name = "SIZE")]
    pub disk_size: Option<DiskSize>,
    /// Size of the system disk over the image; sparse [default: 8GiB]
    #[arg(long, value_name = "SIZE")]
    pub system_disk_size: Option<DiskSize>,
    /// How it is connected: bridge (an address and a name of its own, needs root), user, none
    /// [default: bridge where that is possible]
    #[arg(long, value_name = "MODE")]
    pub network: Option<NetworkMode>,
    /// Let the guest reach the outside
    #[arg(long)]
    pub nat: bool,
    /// Let it talk to the others that join the network NAME (repeatable)
    #[arg(long, value_name = "NAME")]
    pub join: Vec<SandboxName>,
    /// Let it and that sandbox talk to each other (repeatable)
    #[arg(long, value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    pub link: Vec<String>,
    /// Write a label on it, to find it by with --filter (repeatable)
    #[arg(long, value_name = "KEY[=VALUE]", add = ArgValueCandidates::new(complete::labels))]
    pub label: Vec<Label>,
    /// Publish a port of the machine on this host; PORT 0 is any free one (repeatable)
    #[arg(short, long, value_name = "[ADDR:]PORT[:GUEST][/PROTOCOL]")]
    pub publish: Vec<Publication>,
    /// Boot it, though there may be a template of its image to go on from
    #[arg(long)]
    pub cold: bool,
    /// Make a checkpoint before each of its commands, so that `vm undo` can take them back
    #[arg(long)]
    pub checkpoint: bool,
    /// What becomes PID 1: auto (systemd if the image has it), systemd, none
    #[arg(long, value_name = "INIT")]
    pub init: Option<Init>,
}

impl Machine {
    /// The request; only what the user typed is in it.
    #[must_use]
    pub fn request(&self) -> CreateRequest {
        CreateRequest {
            name: self.name.clone(),
            image: self.image.clone(),
            kernel: self.kernel.clone(),
            vcpu: self.vcpu,
            memory_mib: self.memory,
            disk_mib: self.disk_size,
            system_disk_mib: self.system_disk_size,
            network: self.network,
            nat: self.nat,
            networks: self.join.clone(),
            links: self.link.clone(),
            init: self.init.unwrap_or_default(),
            ephemeral: false,
            checkpoint: self.checkpoint.then_some(true),
            labels: self
                .label
                .iter()
                .map(|label| (label.key.clone(), label.value.clone()))
                .collect(),
            publish: self.publish.clone(),
            start: None,
            from: None,
            cold: self.cold,
        }
    }
}

/// How a command runs in the guest.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Command")]
pub struct Session {
    /// Send standard input whatever it is, without a terminal unless -t is given
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Send no standard input
    #[arg(short, long, conflicts_with = "interactive")]
    pub no_stdin: bool,
    /// Set a variable; NAME alone passes your own value on (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Working directory in the guest [default: the user's home]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,
    /// User, or user:group, by name or number [default: root]
    #[arg(short, long)]
    pub user: Option<String>,
    /// Run it without a checkpoint before, though the machine keeps them
    #[arg(long)]
    pub no_checkpoint: bool,
}

impl Session {
    /// The command with these options.
    #[must_use]
    pub fn command(self, argv: Vec<OsString>) -> Command {
        Command {
            argv,
            environment: self.env,
            directory: self.workdir,
            user: self.user,
            no_checkpoint: self.no_checkpoint,
            wish: Wish {
                interactive: self.interactive,
                terminal: self.tty,
                no_stdin: self.no_stdin,
            },
        }
    }
}

/// One or more sandboxes.
#[derive(Debug, Clone, Args)]
pub struct References {
    /// Name, id or unique beginning of an id; several at once are fine
    #[arg(required = true, value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    pub references: Vec<String>,
}

/// Which sandboxes.
#[derive(Debug, Clone, Default, Args)]
pub struct Filters {
    /// Only machines that match: label=KEY[=VALUE], state=STATE, image=PATTERN or name=PATTERN
    /// (repeatable: all labels, and one of each of the others)
    #[arg(long, value_name = "FILTER", add = ArgValueCandidates::new(complete::filters))]
    pub filter: Vec<Filter>,
}

impl Filters {
    /// Whether a sandbox is one of them.
    #[must_use]
    pub fn fit(&self, sandbox: &Sandbox) -> bool {
        let subject = Subject {
            name: &sandbox.name,
            state: sandbox.state,
            image: &sandbox.image.value,
            labels: &sandbox.labels,
        };
        filter::matches(&self.filter, &subject)
    }

    /// As they were written.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.filter.iter().map(ToString::to_string);
        texts.collect::<Vec<_>>().join(" ")
    }
}

/// One or more sandboxes, or those that match.
#[derive(Debug, Clone, Args)]
pub struct Targets {
    /// Name, id or unique beginning of an id; several at once are fine
    #[arg(required_unless_present = "filter", conflicts_with = "filter", value_name = "SANDBOX",
        add = ArgValueCandidates::new(complete::sandboxes))]
    pub references: Vec<String>,
    /// Instead of names.
    #[command(flatten)]
    pub filters: Filters,
}

/// Exactly one sandbox.
#[derive(Debug, Clone, Args)]
pub struct Reference {
    /// Name, id or unique beginning of an id
    #[arg(value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    pub reference: String,
}
