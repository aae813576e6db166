//! Telling the host's own resolver where `vm.` is served.

use banger_proto::fault::Fault;
use std::future::Future;
use std::net::SocketAddr;

/// Whoever can tell the host's resolver: with systemd-resolved the helper, which sets the server and
/// the routing domain `~vm` on the bridge.
///
/// It is best effort. A host without such a resolver serves names all the same, to whoever asks the
/// server; `docs/names.md` has what its owner can set up.
pub trait ResolverRouting: Send + Sync {
    /// Makes questions about `vm.` go to this server. Done again and again: the resolver forgets its
    /// settings when the bridge is made anew.
    fn ensure(&self, server: SocketAddr) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Takes that back.
    fn revert(&self) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// For a host whose resolver is not ours to configure.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRouting;

impl ResolverRouting for NoRouting {
    async fn ensure(&self, _server: SocketAddr) -> Result<(), Fault> {
        Ok(())
    }

    async fn revert(&self) -> Result<(), Fault> {
        Ok(())
    }
}
