//! Sandboxes that leave as one file.

use super::Supervisor;
use super::fork::Seed;
use crate::diff::{self, Disks, Secrets};
use crate::export::{self, Contents, ExportError, ImagePart, Outgoing};
use crate::images::Image;
use crate::progress::Progress;
use crate::sandbox::Sandbox;
use crate::services::blocking;
use crate::snapshots::Snapshot;
use crate::store;
use banger_model::spec::Spec;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::export::ExportRequest;
use ring::signature::Ed25519KeyPair;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long looking for secrets may take: a few directories are read.
const LIMIT: Duration = Duration::from_secs(60);

/// A moment of a sandbox that is to be written. What is kept of it goes when this is dropped.
#[derive(Debug)]
pub struct Exporting {
    outgoing: Outgoing,
    key: Ed25519KeyPair,
    _moment: Seed,
}

impl Supervisor {
    /// Takes the moment of a sandbox that is to be exported.
    ///
    /// # Errors
    /// As a snapshot; its image, its disks or the key cannot be read; `Refused` for the memory of what has none.
    pub async fn begin_export(
        &self,
        sandbox: &Sandbox,
        request: ExportRequest,
        progress: &Progress,
    ) -> Result<Exporting, Fault> {
        let record = sandbox.record();
        let image = self.services.images.get(&record.spec.image.value)?;
        let moment = self.moment(sandbox, "export", progress).await?;
        let snapshot = moment.snapshot();
        if request.memory && snapshot.saved().is_none() {
            let message = format!("sandbox {} does not run: it has no memory", record.name);
            return Err(Fault::new(FaultCode::Refused, message)
                .with_remedy("leave out --memory, or start it first"));
        }
        let services = Arc::clone(&self.services);
        progress.stage("checking what was saved");
        let cancelled = progress.cancelled().clone();
        blocking(move || {
            let blank = match request.memory || request.with_secrets {
                true => None,
                false => Some(secrets(&image.disk, &snapshot, &cancelled)?),
            };
            let contents = Contents {
                blank,
                snapshot: &snapshot,
                name: record.name.to_string(),
                spec: store::spec_text(&only_its_own(record.spec)),
                image_disk: (!request.no_image).then(|| image.disk.clone()),
                image: part_of(image),
                memory: request.memory,
            };
            Ok(Exporting {
                outgoing: Outgoing::of(contents, &services.verified)?,
                key: export::key::own(&services.layout.export_key())?,
                _moment: moment,
            })
        })
        .await
    }

    /// The public key with which this daemon signs, as people write it.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub async fn export_key(&self) -> Result<String, Fault> {
        let path = self.services.layout.export_key();
        blocking(move || Ok(export::key::public(&export::key::own(&path)?))).await
    }
}

impl Exporting {
    /// Writes it. Blocks.
    ///
    /// # Errors
    /// A file cannot be read, or nobody reads what is written.
    pub fn write(&self, into: &mut dyn Write, progress: &Progress) -> Result<(), Fault> {
        Ok(self.outgoing.write(&self.key, into, progress)?)
    }
}

/// A spec without what is of one host, or of one sandbox, alone.
pub(super) fn only_its_own(spec: Spec) -> Spec {
    Spec {
        networks: BTreeSet::new(),
        links: BTreeSet::new(),
        publish: vec![],
        labels: BTreeMap::new(),
        ephemeral: false,
        pooled: None,
        ..spec
    }
}

/// What makes the machine itself, and is nobody else's.
fn secrets(
    image: &Path,
    snapshot: &Snapshot,
    cancelled: &CancellationToken,
) -> Result<Secrets, ExportError> {
    let disks = Disks {
        taken_at: snapshot.manifest.taken_at,
        system: snapshot.system_disk(),
        work: snapshot.work_disk(),
    };
    let found = diff::secrets(image, &disks, LIMIT, cancelled.clone());
    found.map_err(ExportError::Secrets)
}

fn part_of(image: Image) -> ImagePart {
    let manifest = image.manifest;
    ImagePart {
        name: manifest.name.to_string(),
        sha256: manifest.sha256,
        architecture: manifest.architecture,
        init: manifest.init,
        created: manifest.created,
        entries: manifest.entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It would be removed as one that nobody wants.
    #[test]
    fn what_comes_from_a_file_is_somebodys_and_stays() {
        let valued = |value: &str| format!(r#"{{"value":{value},"source":"builtin"}}"#);
        let (name, number) = (valued(r#""debian""#), valued("2048"));
        let text = format!(
            r#"{{"image":{name},"kernel":{name},"vcpu":{},"memory_mib":{number},"work_disk_mib":{number},
                "system_disk_mib":{number},"nat":true,"init":"none","ephemeral":true,"pooled":"0123"}}"#,
            valued("1")
        );
        let spec = store::read_spec(&text).expect("a spec");
        assert!(spec.ephemeral && spec.pooled.is_some());
        let kept = only_its_own(spec);
        assert!(!kept.ephemeral && kept.pooled.is_none());
    }
}
