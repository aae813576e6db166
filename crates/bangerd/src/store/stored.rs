//! The stored form of a record. It may only grow, with defaults for what older rows lack.

use super::StoreError;
use crate::record::{OnBridge, Record, Run, Times};
use crate::snapshots::Fingerprint;
use crate::vmm::process::ProcessIdentity;
use banger_model::host_names::TapSlot;
use banger_model::label::Labels;
use banger_model::plan::Unfinished;
use banger_model::publish::{Publication, Published};
use banger_model::spec::{Init, NetworkMode, Source, Sourced, Spec};
use banger_model::subnet::HostPart;
use banger_model::{SandboxId, SandboxName, SandboxState};
use rusqlite::{Connection, named_params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

/// One row of `sandboxes`.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) created_at: i64,
    pub(super) spec: String,
    pub(super) publish: String,
    pub(super) run: Option<String>,
    pub(super) network: Option<String>,
    pub(super) leftovers: Option<String>,
    pub(super) labels: String,
}

#[derive(Serialize, Deserialize)]
struct Valued<T> {
    value: T,
    source: Source,
}

#[derive(Serialize, Deserialize)]
struct StoredSpec {
    image: Valued<String>,
    kernel: Valued<String>,
    vcpu: Valued<u32>,
    memory_mib: Valued<u64>,
    work_disk_mib: Valued<u64>,
    system_disk_mib: Valued<u64>,
    /// Absent in the first schema, which knew no other than `user`.
    #[serde(default)]
    network: Option<Valued<NetworkMode>>,
    nat: bool,
    #[serde(default)]
    networks: Vec<SandboxName>,
    #[serde(default)]
    links: Vec<SandboxId>,
    init: Init,
    ephemeral: bool,
    #[serde(default)]
    checkpoint: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pooled: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredPlace {
    host_part: HostPart,
    slot: Option<TapSlot>,
}

#[derive(Serialize, Deserialize)]
struct StoredPublished {
    asked: Publication,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chosen: Option<NonZeroU16>,
}

impl From<StoredPlace> for OnBridge {
    fn from(StoredPlace { host_part, slot }: StoredPlace) -> Self {
        Self { host_part, slot }
    }
}

impl From<&Published> for StoredPublished {
    fn from(published: &Published) -> Self {
        Self {
            asked: published.asked,
            chosen: published.chosen,
        }
    }
}

impl From<StoredPublished> for Published {
    fn from(stored: StoredPublished) -> Self {
        Self {
            asked: stored.asked,
            chosen: stored.chosen,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRun {
    pid: u32,
    start_time: u64,
    executable: PathBuf,
    boot_id: String,
    backend: String,
    started_at: u64,
    vmm_up_us: u64,
    guest_running_us: u64,
    agent_answered_us: u64,
    init_settled_us: Option<u64>,
    kernel_release: String,
    init_started: bool,
    /// Absent before guests could be saved.
    #[serde(default)]
    resumed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
}

fn valued<T: Clone, N: From<T>>(from: &Sourced<T>) -> Valued<N> {
    Valued {
        value: from.value.clone().into(),
        source: from.source,
    }
}

impl From<&Spec> for StoredSpec {
    fn from(spec: &Spec) -> Self {
        Self {
            image: valued(&spec.image),
            kernel: valued(&spec.kernel),
            vcpu: valued(&spec.vcpu),
            memory_mib: valued(&spec.memory),
            work_disk_mib: valued(&spec.work_disk),
            system_disk_mib: valued(&spec.system_disk),
            network: Some(Valued {
                value: spec.network.value,
                source: spec.network.source,
            }),
            nat: spec.nat,
            networks: spec.networks.iter().cloned().collect(),
            links: spec.links.iter().copied().collect(),
            init: spec.init,
            ephemeral: spec.ephemeral,
            checkpoint: spec.checkpoint,
            pooled: spec.pooled.clone(),
        }
    }
}

fn sourced<T, N>(from: Valued<N>) -> Result<Sourced<T>, String>
where
    T: TryFrom<N>,
    T::Error: std::fmt::Display,
{
    let value = T::try_from(from.value).map_err(|error| error.to_string())?;
    Ok(Sourced::new(value, from.source))
}

impl TryFrom<StoredSpec> for Spec {
    type Error = String;
    fn try_from(stored: StoredSpec) -> Result<Self, String> {
        Ok(Self {
            image: sourced(stored.image)?,
            kernel: sourced(stored.kernel)?,
            vcpu: sourced(stored.vcpu)?,
            memory: sourced(stored.memory_mib)?,
            work_disk: sourced(stored.work_disk_mib)?,
            system_disk: sourced(stored.system_disk_mib)?,
            network: stored
                .network
                .map_or(Sourced::new(NetworkMode::User, Source::Builtin), |stored| {
                    Sourced::new(stored.value, stored.source)
                }),
            nat: stored.nat,
            networks: stored.networks.into_iter().collect(),
            links: stored.links.into_iter().collect(),
            init: stored.init,
            ephemeral: stored.ephemeral,
            checkpoint: stored.checkpoint,
            pooled: stored.pooled,
            publish: vec![],
            labels: Labels::new(),
        })
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl From<&Run> for StoredRun {
    fn from(run: &Run) -> Self {
        Self {
            pid: run.process.pid,
            start_time: run.process.start_time,
            executable: run.process.executable.clone(),
            boot_id: run.process.boot_id.clone(),
            backend: run.backend.clone(),
            started_at: run.started_at,
            vmm_up_us: microseconds(run.times.vmm_up),
            guest_running_us: microseconds(run.times.guest_running),
            agent_answered_us: microseconds(run.times.agent_answered),
            init_settled_us: run.times.init_settled.map(microseconds),
            kernel_release: run.kernel_release.clone(),
            init_started: run.init_started,
            resumed: run.resumed,
            fingerprint: run.fingerprint.clone(),
        }
    }
}

impl From<StoredRun> for Run {
    fn from(stored: StoredRun) -> Self {
        Self {
            process: ProcessIdentity {
                pid: stored.pid,
                start_time: stored.start_time,
                executable: stored.executable,
                boot_id: stored.boot_id,
            },
            backend: stored.backend,
            started_at: stored.started_at,
            times: Times {
                vmm_up: Duration::from_micros(stored.vmm_up_us),
                guest_running: Duration::from_micros(stored.guest_running_us),
                agent_answered: Duration::from_micros(stored.agent_answered_us),
                init_settled: stored.init_settled_us.map(Duration::from_micros),
            },
            kernel_release: stored.kernel_release,
            init_started: stored.init_started,
            resumed: stored.resumed,
            fingerprint: stored.fingerprint,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "plain structs of strings and numbers always have a JSON form"
)]
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a JSON form")
}

/// A spec as text: all of it but published ports and labels.
#[must_use]
pub fn spec_text(spec: &Spec) -> String {
    json(&StoredSpec::from(spec))
}

/// Reads what [`spec_text`] gave.
///
/// # Errors
/// Why it is no spec.
pub fn read_spec(text: &str) -> Result<Spec, String> {
    parsed::<StoredSpec>(text)?.try_into()
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Self {
        let published: Vec<StoredPublished> = record.spec.publish.iter().map(Into::into).collect();
        Self {
            id: record.id.to_string(),
            name: record.name.to_string(),
            state: record.state.word().to_owned(),
            reason: record.reason.clone(),
            created_at: i64::try_from(record.created_at).unwrap_or(i64::MAX),
            spec: json(&StoredSpec::from(&record.spec)),
            publish: json(&published),
            run: record.run.as_ref().map(|run| json(&StoredRun::from(run))),
            network: record
                .network
                .map(|OnBridge { host_part, slot }| json(&StoredPlace { host_part, slot })),
            labels: json(&record.spec.labels),
            leftovers: record.unfinished.as_ref().map(json),
        }
    }
}

impl Row {
    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        connection
            .prepare(
                "INSERT INTO sandboxes
                    (id, name, state, reason, created_at, spec, publish, run, network, leftovers, labels)
                 VALUES
                    (:id, :name, :state, :reason, :created_at, :spec, :publish, :run, :network,
                     :leftovers, :labels)
                 ON CONFLICT (id) DO UPDATE SET
                    name = :name, state = :state, reason = :reason, spec = :spec,
                    publish = :publish, run = :run, network = :network, leftovers = :leftovers,
                    labels = :labels",
            )?
            .execute(named_params! {
                ":id": self.id, ":name": self.name, ":state": self.state, ":reason": self.reason,
                ":created_at": self.created_at, ":spec": self.spec,
                ":publish": self.publish, ":run": self.run, ":network": self.network,
                ":leftovers": self.leftovers, ":labels": self.labels,
            })?;
        Ok(())
    }

    pub(super) fn read(&self) -> Result<Record, StoreError> {
        let bad = |why: String| StoreError::Row {
            id: self.id.clone(),
            name: self.name.clone(),
            why,
        };
        let spec: StoredSpec = parsed(&self.spec).map_err(bad)?;
        let publish: Vec<StoredPublished> = parsed(&self.publish).map_err(bad)?;
        let run = parsed_if_any::<StoredRun>(self.run.as_deref()).map_err(bad)?;
        let place = parsed_if_any::<StoredPlace>(self.network.as_deref()).map_err(bad)?;
        Ok(Record {
            id: self.id.parse().map_err(|error| bad(format!("{error}")))?,
            name: self.name.parse().map_err(|error| bad(format!("{error}")))?,
            state: self.state().map_err(bad)?,
            reason: self.reason.clone(),
            created_at: u64::try_from(self.created_at).unwrap_or(0),
            spec: Spec {
                publish: publish.into_iter().map(Published::from).collect(),
                labels: parsed(&self.labels).map_err(bad)?,
                ..spec.try_into().map_err(bad)?
            },
            run: run.map(Run::from),
            network: place.map(OnBridge::from),
            unfinished: parsed_if_any::<Unfinished>(self.leftovers.as_deref()).map_err(bad)?,
        })
    }

    fn state(&self) -> Result<SandboxState, String> {
        match self.state.parse()? {
            SandboxState::Unreadable => Err(format!("{:?} is never recorded", self.state)),
            state => Ok(state),
        }
    }
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn parsed_if_any<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, String> {
    text.map(parsed).transpose()
}
