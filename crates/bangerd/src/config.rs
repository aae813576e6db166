//! The owner's configuration file: `config.toml`. Every key is optional; an unknown one is refused,
//! so that a typing mistake never passes for a setting.

pub mod period;

use crate::export::key::is_one as is_key;
use crate::host_network::dns;
use banger_model::defaults::Configured;
use banger_model::host_names::BridgeName;
use banger_model::spec::NetworkMode;
use banger_model::{ArtifactName, DiskSize, MemorySize, VcpuCount};
use banger_proto::fault::{Fault, FaultCode};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which accelerator QEMU uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorChoice {
    /// What a probe boot says.
    #[default]
    Auto,
    /// KVM, without a probe.
    Kvm,
    /// Emulation.
    Tcg,
}

/// Whether images are booted once, for later machines to go on from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Templates {
    /// A template is made after the first machine of its kind, when it is quiet.
    #[default]
    Auto,
    /// Those that `banger image prepare` makes are used.
    Prepared,
    /// Every machine boots.
    Off,
}

/// What the file may say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    log_level: Option<String>,
    default_image: Option<ArtifactName>,
    default_kernel: Option<ArtifactName>,
    qemu: Option<PathBuf>,
    agent: Option<PathBuf>,
    accelerator: AcceleratorChoice,
    idle_exit_seconds: Option<u64>,
    start_limit_seconds: Option<u64>,
    auto_stop_stale_after: Option<period::Written>,
    suspend_after: Option<period::Written>,
    templates: Templates,
    template_budget: Option<String>,
    pool_size: usize,
    memory_reserve: Option<String>,
    checkpoint: bool,
    checkpoints: Option<usize>,
    checkpoint_budget: Option<String>,
    trusted_exporters: Vec<String>,
    network: Option<NetworkMode>,
    bridge_name: Option<BridgeName>,
    bridge_ip: Option<Ipv4Addr>,
    cidr: Option<u8>,
    tap_pool_size: Option<usize>,
    default_dns: Option<Vec<IpAddr>>,
    root_helper: Option<PathBuf>,
    dns_address: Option<SocketAddr>,
    vm_defaults: VmDefaultsTable,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct VmDefaultsTable {
    vcpu: Option<u32>,
    memory: Option<String>,
    disk_size: Option<String>,
    system_disk_size: Option<String>,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A filter for the daemon's log (`info`, `debug`, `bangerd::guest=trace`).
    pub log_level: String,
    /// The image of a request that names none, and whether the file says so.
    pub default_image: (ArtifactName, bool),
    /// The kernel of a request that names none, and whether the file says so.
    pub default_kernel: (ArtifactName, bool),
    /// The QEMU program, when it is not to be looked for on `PATH`.
    pub qemu: Option<PathBuf>,
    /// The static agent, when it is not beside the daemon.
    pub agent: Option<PathBuf>,
    /// Which accelerator QEMU uses.
    pub accelerator: AcceleratorChoice,
    /// A daemon that has had nothing to do for so long leaves.
    pub idle_exit: Duration,
    /// How long a guest may take until its agent answers.
    pub start_limit: Duration,
    /// A guest that nobody has used for so long is stopped; absent: none is.
    pub auto_stop_stale_after: Option<Duration>,
    /// A guest that nobody has used for so long is suspended; absent: none is.
    pub suspend_after: Option<Duration>,
    /// Public keys of hosts whose exports are taken, each 64 hexadecimal digits.
    pub trusted_exporters: Vec<String>,
    /// Whether new machines go on from templates.
    pub templates: Templates,
    /// Bytes that templates may take; those that were not used for longest go first.
    pub template_budget: u64,
    /// How many machines wait that went on from a template before anybody asked.
    pub pool_size: usize,
    /// Bytes of the host's memory that no new machine is to take; by the host's size where absent.
    pub memory_reserve: Option<u64>,
    /// Whether a checkpoint is made before each command of a machine whose request does not say.
    pub checkpoint: bool,
    /// How many checkpoints a machine keeps.
    pub checkpoints: usize,
    /// Bytes that the checkpoints of a machine may take; the oldest go first.
    pub checkpoint_budget: u64,
    /// How a guest is connected whose request does not say.
    pub network: Option<NetworkMode>,
    /// The bridge and what belongs to it.
    pub bridge: BridgeConfig,
    /// Values for what a request leaves open.
    pub vm_defaults: Configured,
}

/// The host's side of bridged networking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The bridge's name.
    pub name: BridgeName,
    /// The bridge's address and prefix length; the first that is free where absent.
    pub subnet: Option<(Ipv4Addr, u8)>,
    /// How many TAPs wait ready.
    pub tap_pool_size: usize,
    /// Name servers of guests for everything but `vm`; the host's own where absent.
    pub default_dns: Option<Vec<IpAddr>>,
    /// The root helper's program, when it is not beside the daemon.
    pub root_helper: Option<PathBuf>,
    /// Where names of guests are served.
    pub dns_address: SocketAddr,
}

/// Machines that wait take memory: more than this is a typing mistake.
const POOL_MOST: usize = 64;

/// TAPs that wait ready: a few starts at once, for 0.3 ms of the kernel's time each.
const TAP_POOL_SIZE: usize = 4;
/// More would only fill the bridge, which has 1,024 ports.
const TAP_POOL_MOST: usize = 256;

fn bridge(file: &File) -> Result<BridgeConfig, String> {
    let subnet = match (file.bridge_ip, file.cidr) {
        (Some(address), prefix) => Some((address, prefix.unwrap_or(24))),
        (None, None) => None,
        (None, Some(_)) => return Err("cidr: it needs bridge_ip".into()),
    };
    let tap_pool_size = file.tap_pool_size.unwrap_or(TAP_POOL_SIZE);
    if tap_pool_size > TAP_POOL_MOST {
        return Err(format!(
            "tap_pool_size: {tap_pool_size} is more than {TAP_POOL_MOST}"
        ));
    }
    let dns_address = file.dns_address.unwrap_or(dns::DEFAULT_ADDRESS);
    if dns_address.ip().is_unspecified() {
        return Err(format!(
            "dns_address {dns_address}: name one address of the host"
        ));
    }
    Ok(BridgeConfig {
        name: file.bridge_name.clone().unwrap_or_default(),
        subnet,
        tap_pool_size,
        default_dns: file.default_dns.clone(),
        root_helper: file.root_helper.clone(),
        dns_address,
    })
}

/// The name of the image and of the kernel that banger makes itself.
pub const BUILTIN_IMAGE: &str = "debian";
/// See [`BUILTIN_IMAGE`].
pub const BUILTIN_KERNEL: &str = "default";

/// Some twenty templates of a distribution with systemd (130 MiB each, measured), or fewer large ones.
const TEMPLATE_BUDGET: u64 = 4 << 30;
/// As many commands as people remember.
const CHECKPOINTS: usize = 20;
/// The state of a machine with 512 MiB of memory as a whole, and some hundred commands.
const CHECKPOINT_BUDGET: u64 = 4 << 30;
const IDLE_EXIT: Duration = Duration::from_secs(600);
/// An emulated boot takes two seconds alone; eight at once on two busy cores stay under a quarter.
const START_LIMIT: Duration = Duration::from_secs(120);

impl Config {
    /// Reads the file; one that is not there is an empty one.
    ///
    /// # Errors
    /// A fault that names the file and the line, for anything that cannot be read or is not known.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(bad(path, &error));
            }
        };
        Self::parse(&text).map_err(|error| bad(path, &error))
    }

    /// What is in force without a file.
    ///
    /// # Errors
    /// Never, as a test says.
    pub fn builtin() -> Result<Self, Fault> {
        Self::parse("").map_err(|error| Fault::new(FaultCode::Failed, error))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let named = |given: Option<ArtifactName>, builtin: &str| match given {
            Some(name) => Ok((name, true)),
            None => builtin
                .parse()
                .map(|name| (name, false))
                .map_err(|e| format!("{e}")),
        };
        for path in [&file.qemu, &file.agent, &file.root_helper]
            .into_iter()
            .flatten()
        {
            if !path.is_absolute() {
                return Err(format!("{} is not an absolute path", path.display()));
            }
        }
        let table = &file.vm_defaults;
        let bridge = bridge(&file)?;
        Ok(Self {
            log_level: file.log_level.unwrap_or_else(|| "info".into()),
            default_image: named(file.default_image, BUILTIN_IMAGE)?,
            default_kernel: named(file.default_kernel, BUILTIN_KERNEL)?,
            qemu: file.qemu,
            agent: file.agent,
            accelerator: file.accelerator,
            idle_exit: file
                .idle_exit_seconds
                .map_or(IDLE_EXIT, Duration::from_secs),
            start_limit: file
                .start_limit_seconds
                .map_or(START_LIMIT, Duration::from_secs),
            auto_stop_stale_after: limit(file.auto_stop_stale_after, "auto_stop_stale_after")?,
            suspend_after: limit(file.suspend_after, "suspend_after")?,
            trusted_exporters: keys(file.trusted_exporters)?,
            templates: file.templates,
            pool_size: match file.pool_size {
                size if size > POOL_MOST => {
                    return Err(format!("pool_size: {size} is more than {POOL_MOST}"));
                }
                size => size,
            },
            template_budget: parsed::<DiskSize>(
                file.template_budget.as_deref(),
                "template_budget",
            )?
            .map_or(TEMPLATE_BUDGET, DiskSize::bytes),
            memory_reserve: parsed::<DiskSize>(file.memory_reserve.as_deref(), "memory_reserve")?
                .map(DiskSize::bytes),
            checkpoint: file.checkpoint,
            checkpoints: match file.checkpoints {
                Some(0) => return Err("checkpoints: at least 1 is kept".into()),
                most => most.unwrap_or(CHECKPOINTS),
            },
            checkpoint_budget: parsed::<DiskSize>(
                file.checkpoint_budget.as_deref(),
                "checkpoint_budget",
            )?
            .map_or(CHECKPOINT_BUDGET, DiskSize::bytes),
            network: file.network,
            bridge,
            vm_defaults: Configured {
                vcpu: table
                    .vcpu
                    .map(VcpuCount::try_from)
                    .transpose()
                    .map_err(in_table("vcpu"))?,
                memory: parsed::<MemorySize>(table.memory.as_deref(), "memory")?,
                work_disk: parsed::<DiskSize>(table.disk_size.as_deref(), "disk_size")?,
                system_disk: parsed::<DiskSize>(
                    table.system_disk_size.as_deref(),
                    "system_disk_size",
                )?,
            },
        })
    }
}

/// A time; zero is none.
fn keys(given: Vec<String>) -> Result<Vec<String>, String> {
    match given.iter().find(|key| !is_key(key)) {
        Some(key) => Err(format!(
            "trusted_exporters: {key:?} is no public key: it has 64 hexadecimal digits"
        )),
        None => Ok(given),
    }
}

fn limit(written: Option<period::Written>, key: &str) -> Result<Option<Duration>, String> {
    let read = written.map(|written| written.read().map_err(|why| format!("{key}: {why}")));
    Ok(read.transpose()?.filter(|limit| !limit.is_zero()))
}

fn parsed<T: std::str::FromStr<Err = banger_model::size::BadSize>>(
    text: Option<&str>,
    key: &'static str,
) -> Result<Option<T>, String> {
    text.map(str::parse).transpose().map_err(in_table(key))
}

fn in_table(key: &'static str) -> impl Fn(banger_model::size::BadSize) -> String {
    move |error| format!("vm_defaults.{key}: {error}")
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        FaultCode::BadRequest,
        format!("cannot use {}: {error}", path.display()),
    )
    .with_remedy("correct the file, or move it away to go on with defaults")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_what_is_built_in() {
        let config = Config::parse("").expect("empty");
        assert_eq!(config.default_image.0.as_str(), "debian");
        assert!(!config.default_image.1);
        assert_eq!(config.idle_exit, IDLE_EXIT);
        assert_eq!(config.auto_stop_stale_after, None);
        assert_eq!(config.suspend_after, None);
        assert_eq!(config.pool_size, 0);
        assert_eq!(config.bridge.dns_address.to_string(), "127.0.0.1:42069");
    }

    #[test]
    fn every_key_is_read() {
        let config = Config::parse(
            "log_level = 'debug'\ndefault_image = 'mine'\nqemu = '/opt/qemu'\nagent = '/opt/agent'\n\
             default_kernel = 'k'\naccelerator = 'tcg'\nidle_exit_seconds = 5\nstart_limit_seconds = 9\n\
             auto_stop_stale_after = '1h30min'\nsuspend_after = 600\nmemory_reserve = '3GiB'\npool_size = 2\n\
             network = 'none'\nbridge_name = 'br-fc-x'\nbridge_ip = '10.9.0.1'\ncidr = 20\ntap_pool_size = 0\n\
             default_dns = ['9.9.9.9']\nroot_helper = '/opt/root'\ndns_address = '127.0.0.1:0'\n\
             [vm_defaults]\nvcpu = 2\nmemory = '2GiB'\ndisk_size = '10G'\nsystem_disk_size = '1G'\n",
        )
        .expect("valid");
        assert_eq!(config.default_image, ("mine".parse().expect("name"), true));
        assert_eq!(config.accelerator, AcceleratorChoice::Tcg);
        assert_eq!(config.start_limit, Duration::from_secs(9));
        assert_eq!(
            config.auto_stop_stale_after,
            Some(Duration::from_secs(5400))
        );
        assert_eq!(config.suspend_after, Some(Duration::from_secs(600)));
        assert_eq!(config.memory_reserve, Some(3 << 30));
        assert_eq!(config.pool_size, 2);
        assert_eq!(config.network, Some(NetworkMode::None));
        let bridge = BridgeConfig {
            name: "br-fc-x".parse().expect("a name"),
            subnet: Some((Ipv4Addr::new(10, 9, 0, 1), 20)),
            tap_pool_size: 0,
            default_dns: Some(vec![Ipv4Addr::new(9, 9, 9, 9).into()]),
            root_helper: Some("/opt/root".into()),
            dns_address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        };
        assert_eq!(config.bridge, bridge);
        assert_eq!(config.vm_defaults.memory.map(MemorySize::mib), Some(2048));
        assert_eq!(config.vm_defaults.vcpu.map(VcpuCount::get), Some(2));
    }

    #[test]
    fn what_is_unknown_relative_or_out_of_range_is_refused_by_name() {
        for (text, why) in [
            ("qemo = '/x'", "qemo"),
            ("qemu = 'x'", "absolute"),
            ("[vm_defaults]\nvcpu = 0", "vm_defaults.vcpu"),
            ("[vm_defaults]\nmemory = 'lots'", "vm_defaults.memory"),
            ("default_image = '../x'", "'/'"),
            ("accelerator = 'hvf'", "hvf"),
            ("pool_size = 65", "pool_size"),
            ("dns_address = 'localhost:53'", "dns_address"),
            ("dns_address = '0.0.0.0:53'", "one address"),
            ("bridge_name = 'eth0'", "br-fc"),
            ("cidr = 24", "bridge_ip"),
            ("tap_pool_size = 1000", "256"),
            ("root_helper = 'x'", "absolute"),
            ("network = 'host'", "host"),
            ("memory_reserve = 'lots'", "memory_reserve"),
            ("auto_stop_stale_after = 'soon'", "auto_stop_stale_after"),
            ("auto_stop_stale_after = -1", "auto_stop_stale_after"),
            ("suspend_after = 'late'", "suspend_after"),
            ("trusted_exporters = ['5f0c']", "trusted_exporters"),
            ("= 1", "line 1"),
        ] {
            let error = Config::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
