//! Templates: an image that was booted once, for others to go on from.
//!
//! A template is never made of a machine that somebody uses: what they did in it would be in every machine
//! after it. It is booted for itself, as a sandbox that everybody can see, whose name says what it is; once its init
//! has settled it is saved, and deleted. Where that is broken off, it goes as every ephemeral sandbox does.

use super::{Beginning, Made, Supervisor};
use crate::config::Templates;
use crate::operation::{Asked, Entry, Going, Subject, new_id};
use crate::progress::Progress;
use crate::sandbox::{self, Command, Wanted};
use crate::services::blocking;
use crate::snapshots::{self, Snapshot};
use banger_model::SandboxName;
use banger_model::label::Labels;
use banger_model::spec::{Spec, Wait};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::CreateRequest;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long nobody may use any machine before a template is made: a boot takes a processor for seconds.
const QUIET: Duration = Duration::from_secs(10);

/// What templates are to be made of, once it is quiet: the newest request of each kind.
#[derive(Debug, Default)]
pub struct WantedTemplates(Mutex<Vec<(String, CreateRequest)>>);

impl WantedTemplates {
    fn add(&self, key: String, request: CreateRequest) {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.retain(|(other, _)| *other != key);
        wanted.push((key, request));
    }

    fn take(&self) -> Option<CreateRequest> {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.pop().map(|(_, request)| request)
    }

    /// Whether none is to be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.is_empty()
    }
}

/// What of a request decides which template it can go on from.
pub(super) fn plain(request: &CreateRequest) -> CreateRequest {
    CreateRequest {
        image: request.image.clone(),
        kernel: request.kernel.clone(),
        vcpu: request.vcpu,
        memory_mib: request.memory_mib,
        disk_mib: request.disk_mib,
        system_disk_mib: request.system_disk_mib,
        network: request.network,
        init: request.init,
        cold: true,
        ephemeral: true,
        start: Some(Wait::Init),
        ..CreateRequest::default()
    }
}

impl Supervisor {
    /// Which template a sandbox of this spec can go on from: a word for all that has to be the same.
    ///
    /// # Errors
    /// The fault of whatever a boot needs and is missing.
    pub(super) async fn template_key(
        &self,
        spec: &Spec,
        progress: &Progress,
    ) -> Result<String, Fault> {
        let ready = self.services.boot_files(spec, progress).await?;
        let fingerprint = sandbox::fingerprint_of(&self.services.layout, spec, &ready)?;
        let text = serde_json::to_string(&fingerprint)
            .map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
        let disks = [spec.work_disk.value, spec.system_disk.value].map(|disk| disk.bytes());
        let digest = Sha256::digest(format!("{text} {disks:?} {}", spec.init));
        Ok(digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// The template that a new sandbox of this spec can go on from, if there is one.
    pub(super) async fn template(
        &self,
        spec: &Spec,
        progress: &Progress,
    ) -> Result<Option<Arc<Snapshot>>, Fault> {
        if self.services.config.templates == Templates::Off {
            return Ok(None);
        }
        let key = self.template_key(spec, progress).await?;
        let directory = self.services.layout.template(&key);
        if !directory.exists() {
            return Ok(None);
        }
        let verified = Arc::clone(&self.services.verified);
        let opened = blocking(move || {
            let snapshot = Snapshot::open(&directory)?;
            snapshot.verify(&verified)?;
            note_use(&directory);
            Ok(Arc::new(snapshot))
        });
        match opened.await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(fault) => {
                progress.note(format!("booting, for its template cannot be used: {fault}"));
                let directory = self.services.layout.template(&key);
                let removing = blocking(move || Ok(snapshots::remove(&directory)?));
                if let Err(fault) = removing.await {
                    tracing::warn!("cannot remove a template: {fault}");
                }
                Ok(None)
            }
        }
    }

    /// A sandbox was booted that could have gone on from a template: one is made when it is quiet.
    pub(super) async fn want_template(&self, request: CreateRequest, spec: &Spec) {
        if self.services.config.templates != Templates::Auto {
            return;
        }
        let silent = Progress::silent();
        if let Ok(key) = self.template_key(spec, &silent).await
            && !self.services.layout.template(&key).exists()
        {
            self.services.wanted_templates.add(key, plain(&request));
        }
    }

    /// Makes one that is wanted, if nobody uses a machine now. To be called from time to time.
    pub(super) fn look_for_wanted_template(&self) {
        if self.services.wanted_templates.is_empty() || self.operations.count() > 0 {
            return;
        }
        let all = self.services.registry.all();
        if all.iter().any(|one| one.quiet_for(self.clock) < QUIET) {
            return;
        }
        let Some(request) = self.services.wanted_templates.take() else {
            return;
        };
        let (supervisor, request) = (self.clone(), Box::new(request));
        let asked = Asked::TemplateMake {
            request: request.clone(),
        };
        let entry = Entry::new(new_id(), Subject::artifact("template"), asked);
        let begun = self.operations.begin(entry, move |going| async move {
            let made = supervisor.make_template(*request, &going).await;
            made.inspect_err(|fault| tracing::warn!("cannot make a template: {fault}"))?;
            Ok(Value::Null)
        });
        drop(begun);
    }

    /// Boots a sandbox of the request, saves it as a template once its init has settled, and deletes it.
    ///
    /// # Errors
    /// Whatever that gives; `Cancelled`.
    pub async fn make_template(
        &self,
        request: CreateRequest,
        going: &Going,
    ) -> Result<Made, Fault> {
        let request = plain(&request);
        let mut spec = Spec {
            nat: false,
            checkpoint: false,
            networks: BTreeSet::new(),
            links: BTreeSet::new(),
            publish: vec![],
            labels: Labels::new(),
            ..self.spec(&request)?
        };
        let progress = &going.progress;
        let key = self.template_key(&spec, progress).await?;
        let target = self.services.layout.template(&key);
        if target.exists() {
            progress.note("there is one already");
            return Ok(Made::Nothing);
        }
        let name: SandboxName = format!("template-{}", key.get(..8).unwrap_or(&key))
            .parse()
            .map_err(|error| Fault::new(FaultCode::Failed, error))?;
        let reserving = self.reserve(Some(&name), &mut spec, progress.op());
        let reservation = reserving.await?;
        let image = Beginning::Image;
        let creating = self.create(reservation, spec, image, Some(Wait::Init), going);
        let sandbox = creating.await?;
        let _in_hand = sandbox.attach(self.clock);
        let wanted = Wanted::Template(target);
        let saved = sandbox
            .request(|reply| Command::Snapshot(wanted, progress.clone(), reply))
            .await;
        let deleted = sandbox
            .request(|reply| Command::Delete(Progress::silent(), reply))
            .await;
        saved?;
        deleted?;
        self.keep_within_budget().await;
        Ok(Made::Nothing)
    }

    /// Removes the templates that were not used for longest, until the others fit.
    async fn keep_within_budget(&self) {
        let (parent, budget) = (
            self.services.layout.templates(),
            self.services.config.template_budget,
        );
        let kept = blocking(move || {
            let mut all = Snapshot::list(&parent)?.snapshots;
            all.sort_by_key(|one| std::cmp::Reverse(last_use(&one.directory)));
            let mut taken = 0;
            for (place, one) in all.into_iter().enumerate() {
                taken += one.size_on_disk()?;
                // The newest stays: it was just wanted.
                if place > 0 && taken > budget {
                    one.remove()?;
                }
            }
            Ok(())
        });
        if let Err(fault) = kept.await {
            tracing::warn!("cannot keep templates within their budget: {fault}");
        }
    }
}

/// The time of a template's directory says when it was used last.
fn note_use(directory: &Path) {
    let noted = File::open(directory).and_then(|opened| opened.set_modified(SystemTime::now()));
    if let Err(error) = noted {
        tracing::debug!("cannot note that a template is used: {error}");
    }
}

/// When a template was used last; long ago where that cannot be told.
fn last_use(directory: &Path) -> SystemTime {
    let found = directory.metadata().and_then(|found| found.modified());
    found.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_machines_alone_is_in_no_template() {
        let request = CreateRequest {
            name: "dev".parse().ok(),
            nat: true,
            networks: vec!["shop".parse().expect("a name")],
            publish: vec!["8080:80".parse().expect("a port")],
            memory_mib: 512.try_into().ok(),
            ..CreateRequest::default()
        };
        let plain = plain(&request);
        assert_eq!(plain.memory_mib, request.memory_mib);
        let expected = CreateRequest {
            memory_mib: request.memory_mib,
            cold: true,
            ephemeral: true,
            start: Some(Wait::Init),
            ..CreateRequest::default()
        };
        assert_eq!(plain, expected);
    }

    #[test]
    fn a_template_is_wanted_once() {
        let wanted = WantedTemplates::default();
        for _ in 0..2 {
            wanted.add("k".into(), CreateRequest::default());
        }
        assert!(!wanted.is_empty());
        assert!(wanted.take().is_some() && wanted.take().is_none());
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_use_is_noted_on_the_directory() {
            let directory = tempfile::tempdir().expect("a directory");
            let opened = File::open(directory.path()).expect("there");
            opened
                .set_modified(SystemTime::UNIX_EPOCH)
                .expect("long ago");
            assert_eq!(last_use(directory.path()), SystemTime::UNIX_EPOCH);
            note_use(directory.path());
            assert!(last_use(directory.path()) > SystemTime::UNIX_EPOCH);
            assert_eq!(
                last_use(&directory.path().join("none")),
                SystemTime::UNIX_EPOCH
            );
        }
    }
}
