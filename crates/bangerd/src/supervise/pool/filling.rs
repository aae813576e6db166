//! Filling the pool: one more is made, and a command run in it.

use super::super::template::plain;
use super::super::{Beginning, Made, Supervisor};
use super::Kind;
use crate::config::Templates;
use crate::guest::rehearsal;
use crate::guest::stream::CallError;
use crate::operation::{Asked, Entry, Going, Subject, new_id};
use crate::progress::Progress;
use banger_model::spec::{Spec, Wait};
use banger_proto::fault::Fault;
use banger_proto::owner::sandbox::CreateRequest;
use serde_json::Value;
use std::time::Instant;

impl Supervisor {
    /// A machine is created from a template: the next one may be of its kind.
    pub(in crate::supervise) async fn want_pooled(&self, request: &CreateRequest, spec: &Spec) {
        let config = &self.services.config;
        if config.pool_size == 0 || config.templates == Templates::Off || spec.pooled.is_some() {
            return;
        }
        let silent = Progress::silent();
        if let Ok(key) = self.template_key(spec, &silent).await {
            self.want_pooled_of(key, request);
        }
    }

    /// The same, of the template with this key.
    pub(in crate::supervise) fn want_pooled_of(&self, key: String, request: &CreateRequest) {
        let request = CreateRequest {
            nat: request.nat,
            start: Some(Wait::Agent),
            cold: false,
            ephemeral: false,
            ..plain(request)
        };
        self.services.pool.put(Some(Kind {
            key,
            request,
            asked: Instant::now(),
        }));
    }

    /// Whether there is a template to go on from, and room to spare for what nobody has asked for.
    pub(super) async fn can_fill(&self, kind: &Kind) -> bool {
        if !self.services.layout.template(&kind.key).exists() {
            return false;
        }
        match self.spec(&kind.request) {
            Ok(spec) => self.has_room_to_spare(&spec).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    pub(super) fn begin_to_fill(&self, Kind { key, request, .. }: Kind) {
        let (supervisor, request) = (self.clone(), Box::new(request));
        let asked = Asked::PoolFill {
            request: request.clone(),
        };
        let entry = Entry::new(new_id(), Subject::artifact("pool"), asked);
        let begun = self.operations.begin(entry, move |going| async move {
            let made = supervisor.fill_pool(key, *request, &going).await;
            made.inspect_err(|fault| tracing::warn!("cannot fill the pool: {fault}"))?;
            Ok(Value::Null)
        });
        drop(begun);
    }

    /// Makes one that waits.
    async fn fill_pool(
        &self,
        key: String,
        request: CreateRequest,
        going: &Going,
    ) -> Result<Made, Fault> {
        let mut spec = Spec {
            pooled: Some(key),
            checkpoint: false,
            ..self.spec(&request)?
        };
        let reservation = self.reserve(None, &mut spec, going.progress.op()).await?;
        let origin = Beginning::Template(Box::new(request));
        let creating = self.create(reservation, spec, origin, Some(Wait::Agent), going);
        let sandbox = creating.await?;
        let link = sandbox.view().link;
        let warmed = match link {
            Some(link) => rehearsal::run(&link, &["true"]).await,
            None => Err(CallError::Nonsense("its link is gone")),
        };
        match warmed {
            Ok(()) => self.services.registry.offer(sandbox.id),
            Err(error) => {
                self.delete_pooled(&sandbox).await;
                return Err(error.into());
            }
        }
        Ok(Made::Nothing)
    }
}
