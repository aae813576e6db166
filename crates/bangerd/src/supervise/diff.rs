//! What is different on the disks of a sandbox.

use super::Supervisor;
use crate::sandbox::{Against, Command, Comparison, Difference, Sandbox};
use banger_proto::fault::{Fault, FaultCode};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

impl Supervisor {
    /// Compares the disks of a sandbox, as they are when it is its turn, with what they were. Reading ends when
    /// this is dropped.
    ///
    /// # Errors
    /// A refusal of its state; what cannot be read; that it takes too long.
    pub async fn diff(&self, sandbox: &Sandbox, against: Against) -> Result<Difference, Fault> {
        let cancelled = CancellationToken::new();
        let _until_then = cancelled.clone().drop_guard();
        let (told, answer) = oneshot::channel();
        let comparison = Comparison {
            against,
            cancelled,
            told,
        };
        let turn = sandbox.queue().await.first().await;
        let comparing = sandbox
            .send(|reply| Command::Diff(comparison, reply))
            .await?;
        drop(turn);
        comparing.await?;
        answer
            .await
            .map_err(|_| Fault::new(FaultCode::Failed, "an error in banger itself"))
    }
}
