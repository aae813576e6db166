//! Who creates a machine gets one of the pool.

use super::super::{Beginning, Supervisor};
use super::{Guest, fits};
use crate::operation::OpId;
use crate::progress::Progress;
use crate::registry::Reservation;
use crate::sandbox::{Command, Sandbox, Taking};
use banger_model::SandboxName;
use banger_model::spec::Spec;
use banger_proto::fault::Fault;
use banger_proto::owner::sandbox::CreateRequest;
use std::sync::Arc;

impl Supervisor {
    /// Reserves one of the pool for a creation, if one waits that can be it; else an id and a name.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_for(
        &self,
        request: &CreateRequest,
        spec: &mut Spec,
        op: OpId,
    ) -> Result<Reservation, Fault> {
        let from_template = matches!(Beginning::of(request), Beginning::Template(_));
        if request.start.is_some()
            && from_template
            && let Some(taken) = self.take_pooled(request.name.as_ref(), spec).await?
        {
            return Ok(taken);
        }
        self.reserve(request.name.as_ref(), spec, op).await
    }

    async fn take_pooled(
        &self,
        name: Option<&SandboxName>,
        spec: &Spec,
    ) -> Result<Option<Reservation>, Fault> {
        if self.services.config.pool_size == 0 || self.services.registry.pooled().is_empty() {
            return Ok(None);
        }
        let silent = Progress::silent();
        let Ok(key) = self.template_key(spec, &silent).await else {
            // The creation says what is missing.
            return Ok(None);
        };
        self.services.registry.take_pooled(name, |sandbox| {
            let view = sandbox.view();
            Guest::of(sandbox) == Guest::Answers && fits(&view.record.spec, &key, spec.nat)
        })
    }

    /// The second half of a creation whose reservation is of the pool.
    pub(in crate::supervise) async fn take(
        &self,
        sandbox: &Arc<Sandbox>,
        taking: Taking,
        progress: &Progress,
    ) -> Result<(), Fault> {
        let _in_hand = sandbox.attach(self.clock);
        let taken =
            sandbox.request(|reply| Command::Take(Box::new(taking), progress.clone(), reply));
        taken.await?;
        Ok(())
    }
}
