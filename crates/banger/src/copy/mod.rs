//! Copying files between this host and a guest.

pub mod download;
pub mod endpoint;
pub mod guest;
pub mod host_directory;
pub mod target;
pub mod upload;

use crate::client::Client;
use crate::exit::Failure;
use crate::show::Show;
use endpoint::{Direction, Endpoint};
use guest::GuestFiles;
use std::path::PathBuf;

/// Copies.
///
/// # Errors
/// The first fault; what was copied before stays, and each file is whole.
pub async fn copy(client: &Client, show: Show, direction: Direction) -> Result<(), Failure> {
    match direction {
        Direction::Into {
            reference,
            sources,
            target,
        } => {
            let guest = GuestFiles::of(client, &reference);
            if sources == [Endpoint::Stream] {
                return Ok(upload::stream(&guest, &target).await?);
            }
            let paths: Vec<PathBuf> = sources
                .into_iter()
                .filter_map(|source| match source {
                    Endpoint::Host(path) => Some(path),
                    Endpoint::Guest { .. } | Endpoint::Stream => None,
                })
                .collect();
            Ok(upload::copy(&guest, show, &paths, &target).await?)
        }
        Direction::OutOf {
            reference,
            sources,
            target,
        } => {
            let guest = GuestFiles::of(client, &reference);
            match (target, sources.as_slice()) {
                (Endpoint::Host(path), _) => {
                    Ok(download::copy(&guest, show, &sources, &path).await?)
                }
                (_, [one]) => download::stream(&guest, one).await,
                (_, _) => Ok(()),
            }
        }
    }
}
