//! Following a long operation to its end.

use crate::client::operation::Events;
use crate::client::request::{Ask, Unanswered};
use crate::client::{Client, path};
use crate::show::progress::Progress;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// How long deleting a sandbox may take when nobody asked for more patience: a fresh limit, so
/// that an interrupted command still cleans up.
pub const DELETE_LIMIT: Duration = Duration::from_secs(30);

/// Draws the events and returns the result.
///
/// # Errors
/// The operation's fault, with its id.
pub async fn follow(events: &mut Events<'_>, progress: &Progress) -> Result<Value, Fault> {
    let mut id = None;
    loop {
        match events.next().await? {
            Event::Accepted { op, .. } => id = Some(op),
            Event::Done { result } => return Ok(result),
            Event::Failed { fault } => {
                return Err(match id {
                    Some(op) => fault.with_op(op),
                    None => fault,
                });
            }
            event => progress.event(&event),
        }
    }
}

/// Begins an operation, follows it, and reads its result.
///
/// # Errors
/// The operation's fault, or one about the connection.
pub async fn run<T: DeserializeOwned>(
    client: &Client,
    ask: Ask,
    progress: &Progress,
) -> Result<T, Fault> {
    let result = follow(&mut client.begin(ask).await?, progress).await?;
    read(result)
}

/// Reads an operation's result.
///
/// # Errors
/// A `version` fault when it has another form.
pub fn read<T: DeserializeOwned>(result: Value) -> Result<T, Fault> {
    serde_json::from_value(result).map_err(|error| Unanswered::Unreadable(error.to_string()).into())
}

/// Deletes a sandbox; one that is gone already is a success.
///
/// # Errors
/// A fault, also when it takes longer than [`DELETE_LIMIT`].
pub async fn delete(client: &Client, reference: &str, progress: &Progress) -> Result<(), Fault> {
    let ask = Ask::bare(Method::DELETE, path::sandbox(reference, ""));
    let deleting = run::<serde::de::IgnoredAny>(client, ask, progress);
    match tokio::time::timeout(DELETE_LIMIT, deleting).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(fault)) if fault.code == FaultCode::NotFound => Ok(()),
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err(Fault::new(
            FaultCode::TimedOut,
            format!(
                "{reference} was not deleted within {} s",
                DELETE_LIMIT.as_secs()
            ),
        )
        .with_remedy(format!("delete it with `banger vm rm {reference}`"))),
    }
}
