//! Cancelling an operation.

use super::Supervisor;
use crate::operation::Operation;
use crate::sandbox::Cancelling;
use banger_proto::fault::{Fault, FaultCode};

impl Supervisor {
    /// Asks an operation to end. It ends when what it made is undone; one that waits gives up its place.
    ///
    /// # Errors
    /// `Refused`, when it goes on and cannot be undone: see [`crate::operation::Asked`].
    pub async fn cancel(&self, operation: &Operation) -> Result<(), Fault> {
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

fn refused(operation: &Operation) -> Fault {
    let entry = &operation.entry;
    let (op, kind, name) = (entry.op, entry.asked.kind(), &entry.subject.name);
    let why = entry.asked.why_not_cancelled().unwrap_or("it goes on");
    let message = format!("{op} ({kind} {name}) cannot be cancelled: {why}");
    Fault::new(FaultCode::Refused, message)
        .with_remedy(format!("wait for it with `banger operations follow {op}`"))
}
