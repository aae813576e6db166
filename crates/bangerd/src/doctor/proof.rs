//! `banger doctor --prove`: looks, asks who lives, and compares; see [`prove`](super::prove).

use super::living::Living;
use super::present::{Clue, Look, Present, Seen};
use super::prove;
use crate::host;
use crate::host_network::Helped;
use crate::layout::Layout;
use crate::operation::new_id;
use crate::serve;
use crate::services::{Services, blocking};
use banger_model::host_names::Installation;
use banger_model::spec::NetworkMode;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::doctor::{Baseline, Kind, Proof, Thing};
use banger_proto::root::{ResolverState, Whose};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For how long what a daemon removes in the background may be on its way.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who looks: a daemon at its own host, or somebody apart from it.
#[derive(Debug, Clone, Default)]
pub struct Looker {
    /// The daemon that serves, if one does.
    pub daemon: Option<u32>,
    /// What the looker has made to look with.
    pub own: Vec<PathBuf>,
}

impl Looker {
    /// The daemon itself.
    #[must_use]
    pub fn daemon() -> Self {
        Self {
            daemon: Some(std::process::id()),
            own: vec![],
        }
    }
}

/// What is left behind.
///
/// # Errors
/// When the database or the baseline cannot be read.
pub async fn prove(services: &Services, looker: &Looker, all: bool) -> Result<Proof, Fault> {
    let baseline = read(&services.layout)?;
    let until = Instant::now() + SETTLE;
    loop {
        let (present, living) = look(services, looker).await?;
        let proof = prove::prove(&present, baseline.as_ref(), &living, all);
        if proof.left.is_empty() || looker.daemon.is_none() || Instant::now() >= until {
            return Ok(proof);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What would be left behind if everything that is under way had come to its end: one look.
pub(super) async fn at_once(services: &Services, looker: &Looker) -> Result<Proof, Fault> {
    let baseline = read(&services.layout)?;
    let (present, living) = look(services, looker).await?;
    Ok(prove::prove(&present, baseline.as_ref(), &living, false))
}

/// Records what is there now and nobody of banger's needs, in place of an older record.
///
/// # Errors
/// When it cannot be written.
pub async fn record(services: &Services, looker: &Looker) -> Result<Baseline, Fault> {
    let (present, living) = look(services, looker).await?;
    let baseline = Baseline {
        made: host::utc_now(),
        boot: crate::vmm::process::boot_id().unwrap_or_default(),
        things: prove::not_living(&present, &living),
    };
    let path = services.layout.baseline();
    let cannot = |error: std::io::Error| {
        let message = format!("cannot write the baseline {}: {error}", path.display());
        Fault::new(FaultCode::Failed, message).with_remedy("see whether you may write there")
    };
    // The first thing that is asked of banger on this host may be this.
    serve::make(&services.layout.state)?;
    let fresh = path.with_extension("json.new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(cannot)?;
    let text = serde_json::to_vec(&baseline).unwrap_or_default();
    let written = file.write_all(&text).and_then(|()| file.sync_all());
    let written = written.and_then(|()| std::fs::rename(&fresh, &path));
    if let Err(error) = written {
        let _not_there = std::fs::remove_file(&fresh);
        return Err(cannot(error));
    }
    Ok(baseline)
}

fn unreadable(path: &std::path::Path, error: &dyn std::fmt::Display) -> Fault {
    let message = format!("cannot read the baseline {}: {error}", path.display());
    Fault::new(FaultCode::Failed, message)
        .with_remedy("make it anew with `banger doctor --prove --baseline`")
}

fn read(layout: &Layout) -> Result<Option<Baseline>, Fault> {
    let path = layout.baseline();
    match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| unreadable(&path, &error)),
    }
}

/// What there is, then who lives: what was made in between has its owner, what went in between is seen by
/// the next look.
async fn look(services: &Services, looker: &Looker) -> Result<(Present, Living), Fault> {
    let mut look = Look::of(&services.layout);
    look.own.clone_from(&looker.own);
    let mut present = blocking(move || Ok(look.present())).await?;
    rules(services, &mut present).await;
    let living = Living::of(services, looker.daemon).await?;
    Ok((present, living))
}

/// What only root sees, by the helper.
async fn rules(services: &Services, present: &mut Present) {
    const WHAT: &str = "nftables, forwarding, resolver";
    if let Some(NetworkMode::User | NetworkMode::None) = services.config.network {
        let why = format!("{WHAT}: config.toml says that the bridge is not used");
        return present.not_seen.push(why);
    }
    match services.host_network.look(new_id()).await {
        Ok(helped) => present.seen.extend(ruled(&helped)),
        Err(fault) => present.not_seen.push(format!("{WHAT}: {fault}")),
    }
}

fn ruled(helped: &Helped) -> Vec<Seen> {
    let ours = Clue::Mark(helped.installation.to_string());
    let of_another = |installation: Option<Installation>| match installation {
        Some(installation) => Clue::Mark(installation.to_string()),
        None => Clue::Named,
    };
    let seen = |name: &str, clue: Clue| Seen {
        thing: Thing {
            kind: Kind::Rules,
            name: name.to_owned(),
            id: String::new(),
        },
        uid: None,
        pid: None,
        clue,
    };
    let survey = &helped.survey;
    let tables = survey.policy.iter().map(|policy| match policy.whose {
        Whose::Ours => seen("nftables table inet banger", ours.clone()),
        Whose::Foreign(installation) => {
            seen("nftables table inet banger", of_another(installation))
        }
    });
    let mut all: Vec<Seen> = tables.collect();
    let forwarding = &survey.forwarding;
    for (by_us, name) in [
        (forwarding.ipv4_by_us, "net.ipv4.ip_forward, switched on"),
        (
            forwarding.ipv6_by_us,
            "net.ipv6.conf.all.forwarding, switched on",
        ),
        (
            matches!(survey.resolver, ResolverState::Set(_)),
            "the domain ~vm at systemd-resolved",
        ),
    ] {
        if by_us {
            all.push(seen(name, ours.clone()));
        }
    }
    all
}
