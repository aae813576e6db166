//! Cancelling an operation.

use super::{Made, Supervisor};
use crate::operation::{self, Asked, Entry, Operation, Subject};
use crate::sandbox::Cancelling;
use banger_model::SandboxState;
use banger_proto::fault::{Fault, FaultCode};
use serde_json::Value;

impl Supervisor {
    /// Asks an operation to end. It ends when what it made is undone; one that waits gives up its place. Once
    /// this returns, a next daemon does not go on with it either.
    ///
    /// # Errors
    /// `Refused`, when it goes on and cannot be undone: see [`crate::operation::Asked`].
    pub async fn cancel(&self, operation: &Operation) -> Result<(), Fault> {
        self.ask_to_end(operation).await?;
        self.operations.record_wish(&operation.entry).await;
        Ok(())
    }

    async fn ask_to_end(&self, operation: &Operation) -> Result<(), Fault> {
        let (entry, op) = (&operation.entry, operation.id());
        let of_a_driver = entry
            .subject
            .sandbox
            .filter(|_| !entry.asked.is_its_clients());
        let sandbox = of_a_driver.and_then(|id| self.services.registry.get(id));
        let Some(sandbox) = sandbox else {
            operation.cancel();
            return Ok(());
        };
        let first = sandbox.cancel(op).await;
        let answer = match first {
            Cancelling::Unknown => {
                // It is in line still; or has left it since, and is the driver's by now.
                operation.cancel();
                sandbox.cancel(op).await
            }
            known => known,
        };
        match answer {
            Cancelling::Refused => Err(refused(operation)),
            Cancelling::Begun | Cancelling::Unknown => Ok(()),
        }
    }
}

impl Supervisor {
    /// Ends what the daemon before was told to cancel: it is not gone on with. What a start has made goes as
    /// with every start that was not brought to its end. A creation is undone instead, as by
    /// [`Self::go_on`].
    pub(super) fn end_cancelled(
        &self,
        entry: Entry,
        show: impl Fn(Made) -> Result<Value, Fault> + Send + 'static,
    ) {
        let (asked, subject) = (entry.asked.clone(), entry.subject.clone());
        let supervisor = self.clone();
        // Its id is nobody's yet: requests come later.
        let _begun = self.operations.go_on(entry, move |_| async move {
            match supervisor.made_before(&asked, &subject).await {
                Ok(made) => show(made),
                Err(what_is) => Err(operation::cancelled(what_is)),
            }
        });
    }

    /// What it came to all the same, because it was cancelled too late; or what is so now.
    async fn made_before(&self, asked: &Asked, subject: &Subject) -> Result<Made, String> {
        let nothing = || "nothing of it is left".to_owned();
        let services = &self.services;
        match (asked, subject.sandbox) {
            (Asked::ImageImport | Asked::ImageMake, _) => {
                let name = subject.name.parse().map_err(|_| nothing())?;
                let image = services.images.get(&name).map_err(|_| nothing())?;
                Ok(Made::Image(Box::new(image)))
            }
            (Asked::KernelImport { .. }, _) => {
                let name = subject.name.parse().map_err(|_| nothing())?;
                let kernel = services.kernels.get(&name).map_err(|_| nothing())?;
                Ok(Made::Kernel(Box::new(kernel)))
            }
            (asked, id) => {
                let sandbox = id.and_then(|id| services.registry.get(id));
                let sandbox = sandbox.ok_or("the sandbox was deleted")?;
                sandbox.settled().await;
                let record = sandbox.record();
                match (asked, record.state) {
                    (Asked::Start { .. }, SandboxState::Running) => {
                        Ok(Made::Sandbox(sandbox, Box::new(record)))
                    }
                    (_, state) => Err(format!("the sandbox is {}", state.word())),
                }
            }
        }
    }
}

fn refused(operation: &Operation) -> Fault {
    let entry = &operation.entry;
    let (op, kind, name) = (entry.op, entry.asked.kind(), &entry.subject.name);
    let why = entry.asked.why_not_cancelled().unwrap_or("it goes on");
    let message = format!("{op} ({kind} {name}) cannot be cancelled: {why}");
    Fault::new(FaultCode::Refused, message)
        .with_remedy(format!("wait for it with `banger operations follow {op}`"))
}
