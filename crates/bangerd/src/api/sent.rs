//! A long body that a thread reads while the answer tells of it.

use crate::operation::{Going, cancelled};
use crate::services::blocking;
use axum::body::{Body, Bytes};
use banger_proto::fault::Fault;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::io::{self, Read};
use std::time::Duration;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// How long the rest of what could not be used is read and thrown away.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// What a client sends.
pub(super) struct Sent(StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>);

impl Sent {
    /// Asks for the first bytes, before the answer begins: a client that waits for "100 Continue" (RFC 9110,
    /// section 10.1.1) would not get it afterwards.
    pub(super) async fn begin(body: Body) -> Self {
        let mut chunks = body.into_data_stream().map_err(io::Error::other);
        let first = stream::iter(chunks.next().await);
        Self(StreamReader::new(first.chain(chunks).boxed()))
    }

    /// Has it read by what blocks.
    ///
    /// # Errors
    /// What that gives; `Cancelled`.
    pub(super) async fn read<T: Send + 'static>(
        self,
        going: &Going,
        read: impl FnOnce(&mut dyn Read) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let reading = blocking(move || {
            let mut bytes = SyncIoBridge::new(self.0);
            let read = read(&mut bytes);
            Ok((read, bytes.into_inner()))
        });
        let (read, mut rest) = tokio::select! {
            read = reading => read?,
            () = going.cancelled.cancelled() => return Err(cancelled("nothing of it is left")),
        };
        if read.is_err() {
            // A client that still sends would see a broken pipe instead of the reason.
            let thrown_away = async { tokio::io::copy(&mut rest, &mut tokio::io::sink()).await };
            let _too_long_or_gone = tokio::time::timeout(DRAIN_LIMIT, thrown_away).await;
        }
        read
    }
}
