//! The spec: what was asked for, complete and valid, each value with its source.

use crate::label::Labels;
use crate::publish::Published;
use crate::{ArtifactName, DiskSize, MemorySize, SandboxId, SandboxName, VcpuCount};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Where a value of a spec came from. Shown by `vm show` and `doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The caller gave it in the request.
    Request,
    /// The owner's configuration file has it.
    Config,
    /// Derived from the host's size.
    Host,
    /// Built in.
    Builtin,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Config => "config",
            Self::Host => "host",
            Self::Builtin => "builtin",
        })
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

impl<T> Sourced<T> {
    /// A value with its source.
    pub const fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }
}

/// What the guest's PID 1 becomes after the agent has set the guest up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// The image's systemd if it has one, else the agent.
    #[default]
    Auto,
    /// The image's systemd; a start fails where there is none.
    Systemd,
    /// The agent stays PID 1 and reaps.
    None,
}

/// What a start waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// The agent has answered and the guest is configured.
    #[default]
    Agent,
    /// The guest's init has settled, too.
    Init,
}

/// How a guest is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// By a network inside of the VMM's process, which needs no rights on the host.
    User,
    /// By a TAP on banger's bridge: the guest has an address and a name of its own.
    Bridge,
    /// Not at all.
    None,
}

macro_rules! lower_case_words {
    ($name:ident { $($variant:ident = $word:literal),+ }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{word:?} is not one of: {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}
lower_case_words!(Init { Auto = "auto", Systemd = "systemd", None = "none" });
lower_case_words!(NetworkMode { User = "user", Bridge = "bridge", None = "none" });
lower_case_words!(Wait { Agent = "agent", Init = "init" });

/// What a sandbox was asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The image it boots.
    pub image: Sourced<ArtifactName>,
    /// The kernel it boots.
    pub kernel: Sourced<ArtifactName>,
    /// Number of virtual processors.
    pub vcpu: Sourced<VcpuCount>,
    /// Memory of the guest.
    pub memory: Sourced<MemorySize>,
    /// Nominal size of the work disk, mounted at `/root`.
    pub work_disk: Sourced<DiskSize>,
    /// Nominal size of the system disk, laid over the image.
    pub system_disk: Sourced<DiskSize>,
    /// How the guest is connected.
    pub network: Sourced<NetworkMode>,
    /// Whether the guest may reach the outside.
    pub nat: bool,
    /// The shared networks that it belongs to; guests of one may talk to each other.
    pub networks: BTreeSet<SandboxName>,
    /// The sandboxes that it may talk to, and they to it.
    pub links: BTreeSet<SandboxId>,
    /// What becomes PID 1.
    pub init: Init,
    /// The sandbox is deleted when the command or session that it was made for ends.
    pub ephemeral: bool,
    /// A checkpoint is made before each of its commands.
    pub checkpoint: bool,
    /// Ports of the guest that are published on the host.
    pub publish: Vec<Published>,
    /// What people have written on it.
    pub labels: Labels,
    /// It waits in the pool, for whoever creates a sandbox that could go on from this template.
    pub pooled: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_others_are_refused_with_the_choices() {
        for init in [Init::Auto, Init::Systemd, Init::None] {
            assert_eq!(init.to_string().parse(), Ok(init));
        }
        for mode in [NetworkMode::User, NetworkMode::Bridge, NetworkMode::None] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for wait in [Wait::Agent, Wait::Init] {
            assert_eq!(wait.to_string().parse(), Ok(wait));
        }
        assert_eq!(
            "openrc".parse::<Init>(),
            Err("\"openrc\" is not one of: auto, systemd, none".to_owned())
        );
    }
}
