//! The published ports of a guest that is suspended: they stay open, and who comes wakes it.
//!
//! ```text
//!   client ──▶ socket of the daemon (nobody accepts) ──▶ wake ──▶ the guest goes on ──▶ socket to the carrier
//! ```
//!
//! A client waits in the kernel, connected already, until the carrier takes its connection; a datagram waits in
//! the socket. Where the guest cannot be woken, all who wait are turned away with a reset, so that they know, and
//! the next one tries again.

use super::bind::Socket;
use super::listeners::Listeners;
use super::slots::Binding;
use crate::wait::watch_readable;
use banger_model::publish::{Publication, Published};
use futures_util::future::select_all;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use tokio_util::task::AbortOnDropHandle;

impl Listeners {
    /// Takes the ports back from the carrier, whose connections are reset, and waits for clients. May come again.
    pub async fn sleep(self: &Arc<Self>, wanted: &[Published]) {
        let (listeners, wanted) = (Arc::clone(self), wanted.to_vec());
        // It breaks off with the daemon alone.
        let taken = tokio::task::spawn_blocking(move || listeners.take_back(&wanted)).await;
        let watches = |watch: &AbortOnDropHandle<()>| !watch.is_finished();
        // One that could not wake it just now turns away who waits before it goes on.
        let goes_on = !taken.unwrap_or(true) && self.watch().as_ref().is_some_and(watches);
        if !goes_on {
            self.watch_for_clients();
        }
    }

    /// Says whether there is another socket than before.
    fn take_back(&self, wanted: &[Published]) -> bool {
        let before = self.own_ports();
        let mut hold = self.hold();
        if let Some(carrier) = hold.carrier.take() {
            carrier.end();
        }
        self.unwanted().clear();
        let mut slots = self.slots();
        self.take_from_carrier(&mut slots);
        // What a carrier could not have is tried again without one.
        let failed = |binding: &Binding| matches!(binding, Binding::Failed(_));
        let is_wanted = |asked: &Publication| wanted.iter().any(|one| one.asked == *asked);
        slots.retain(|(asked, binding)| is_wanted(asked) && !failed(binding));
        self.bind_missing(&mut slots, wanted);
        drop(slots);
        before != self.own_ports()
    }

    fn own_ports(&self) -> Vec<Publication> {
        let slots = self.slots();
        let own = slots
            .iter()
            .filter(|(_, binding)| matches!(binding, Binding::Bound(..)));
        own.map(|(asked, _)| *asked).collect()
    }

    /// Wakes the guest as soon as somebody comes. To be called in the runtime.
    pub(super) fn watch_for_clients(self: &Arc<Self>) {
        let listeners = Arc::downgrade(self);
        let own_sockets = {
            let listeners = Weak::clone(&listeners);
            move || listeners.upgrade().map(|listeners| listeners.own_sockets())
        };
        let watching = tokio::spawn(async move {
            while let Some(sockets) = own_sockets() {
                if let Err(error) = somebody_comes(sockets).await {
                    tracing::error!("cannot wait for who wants a guest that is suspended: {error}");
                    return;
                }
                let Some(listeners) = listeners.upgrade() else {
                    return;
                };
                tracing::info!(sandbox = %listeners.name(), "somebody wants one of its ports: waking it");
                let woken = (listeners.target.wake)().await;
                let Err(fault) = woken else { return };
                tracing::warn!(sandbox = %listeners.name(), "it cannot be woken: {fault}");
                listeners.turn_away();
            }
        });
        *self.watch() = Some(AbortOnDropHandle::new(watching));
    }

    fn own_sockets(&self) -> Vec<OwnedFd> {
        let slots = self.slots();
        let own = slots.iter().filter_map(|(_, binding)| binding.own());
        own.filter_map(|socket| socket.as_fd().try_clone_to_owned().ok())
            .collect()
    }

    fn turn_away(&self) {
        let slots = self.slots();
        let own = slots.iter().filter_map(|(_, binding)| binding.own());
        own.for_each(Socket::turn_away);
    }
}

/// Waits until there is something at one of these sockets; for ever where there are none.
async fn somebody_comes(sockets: Vec<OwnedFd>) -> std::io::Result<()> {
    let watched = sockets.into_iter().map(watch_readable);
    let watched = watched.collect::<std::io::Result<Vec<_>>>()?;
    if watched.is_empty() {
        return std::future::pending().await;
    }
    let waits = watched.iter().map(|socket| Box::pin(socket.readable()));
    let (ready, _, _) = select_all(waits).await;
    ready.map(drop)
}
