//! Completion of names. It asks a daemon that runs and never starts one; whatever fails completes
//! to nothing.

use crate::client::{Client, path};
use crate::place::Surroundings;
use banger_model::publish::Protocol;
use banger_proto::owner::artifact::{Image, Kernel};
use banger_proto::owner::operation::Operation;
use banger_proto::owner::sandbox::Sandbox;
use clap_complete::CompletionCandidate;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a user waits for names after pressing the key.
const LIMIT: Duration = Duration::from_millis(500);

/// Names of sandboxes.
#[must_use]
pub fn sandboxes() -> Vec<CompletionCandidate> {
    candidates("sandboxes", |sandbox: Sandbox| {
        let state = sandbox.state.to_string();
        CompletionCandidate::new(sandbox.name).help(Some(state.into()))
    })
}

/// Published ports of the sandboxes that are named in the words typed, as `vm unpublish` takes them.
#[must_use]
pub fn published() -> Vec<CompletionCandidate> {
    let words: Vec<_> = std::env::args().collect();
    let named = all("sandboxes").into_iter();
    let named = named.filter(|sandbox: &Sandbox| words.contains(&sandbox.name));
    let ports = named.flat_map(|sandbox| sandbox.publish).map(|port| {
        let at = if port.address == "127.0.0.1" {
            port.port.to_string()
        } else {
            port.endpoint()
        };
        let selector = match port.protocol {
            Protocol::Tcp => at,
            Protocol::Udp => format!("{at}/udp"),
        };
        CompletionCandidate::new(selector).help(Some(port.to_string().into()))
    });
    ports.collect()
}

/// Labels that sandboxes have.
#[must_use]
pub fn labels() -> Vec<CompletionCandidate> {
    let found = several("sandboxes", |sandbox: Sandbox| {
        sandbox
            .labels
            .into_iter()
            .map(|(key, value)| match value.as_str() {
                "" => key,
                value => format!("{key}={value}"),
            })
    });
    found.into_iter().map(CompletionCandidate::new).collect()
}

/// Filters that some sandbox matches.
#[must_use]
pub fn filters() -> Vec<CompletionCandidate> {
    let found = several("sandboxes", |sandbox: Sandbox| {
        let labels = sandbox
            .labels
            .into_iter()
            .map(|(key, value)| match value.as_str() {
                "" => format!("label={key}"),
                value => format!("label={key}={value}"),
            });
        let others = [
            format!("state={}", sandbox.state),
            format!("image={}", sandbox.image.value),
            format!("name={}", sandbox.name),
        ];
        others.into_iter().chain(labels)
    });
    found.into_iter().map(CompletionCandidate::new).collect()
}

/// What each of a collection gives, each once and in order.
fn several<T: DeserializeOwned, I: IntoIterator<Item = String>>(
    collection: &str,
    give: impl Fn(T) -> I,
) -> BTreeSet<String> {
    all(collection).into_iter().flat_map(give).collect()
}

/// Names of images.
#[must_use]
pub fn images() -> Vec<CompletionCandidate> {
    candidates("images", |image: Image| {
        CompletionCandidate::new(image.name)
    })
}

/// Names of kernels.
#[must_use]
pub fn kernels() -> Vec<CompletionCandidate> {
    candidates("kernels", |kernel: Kernel| {
        CompletionCandidate::new(kernel.name)
    })
}

/// Ids of operations that go on.
#[must_use]
pub fn operations() -> Vec<CompletionCandidate> {
    candidates("operations", |operation: Operation| {
        let what = format!("{} {}", operation.kind, operation.name);
        CompletionCandidate::new(operation.id).help(Some(what.into()))
    })
}

fn candidates<T: DeserializeOwned>(
    collection: &str,
    show: impl Fn(T) -> CompletionCandidate,
) -> Vec<CompletionCandidate> {
    all(collection).into_iter().map(show).collect()
}

fn all<T: DeserializeOwned>(collection: &str) -> Vec<T> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let asked = async { tokio::time::timeout(LIMIT, list(collection)).await.ok()? };
    runtime.block_on(asked).unwrap_or_default()
}

async fn list<T: DeserializeOwned>(collection: &str) -> Option<Vec<T>> {
    let client = Client::if_running(Surroundings::of_process())
        .await
        .ok()??;
    client.get(path::plain(collection)).await.ok()
}
