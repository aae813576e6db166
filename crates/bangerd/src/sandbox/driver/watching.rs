//! What a driver watches while its guest runs: the VMM's end, the link, and whether the guest waits for room.

use super::{Driver, LinkEvent};
use crate::guest::{Link, Met};
use crate::sandbox::stall;
use banger_model::SandboxState;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Duration;

/// How long a daemon that was started again waits for the agent of a guest that runs.
const ADOPT_LIMIT: Duration = Duration::from_secs(60);
/// Between two tries to reach an agent whose link was lost.
const RELINK_PAUSE: Duration = Duration::from_secs(1);

impl Driver {
    /// Sets up what is watched while a guest runs.
    pub(super) fn watch_guest(&mut self) {
        let view = self.view.borrow().clone();
        let running = view.record.state == SandboxState::Running;
        let process = view.record.run.map(|run| run.process);
        self.vmm_end = match (running, process) {
            (true, Some(process)) => {
                let (services, paths) = (Arc::clone(&self.services), self.paths.clone());
                Some(async move { services.ended(&process, &paths).await }.boxed())
            }
            _ => None,
        };
        self.link_end = match (running, view.link) {
            (true, Some(link)) => {
                Some(async move { LinkEvent::Lost(link.until_lost().await) }.boxed())
            }
            (true, None) => Some(self.relink()),
            _ => None,
        };
        self.watch_stall(running);
    }

    fn watch_stall(&mut self, running: bool) {
        if !running {
            self.stall = None;
            self.view.send_modify(|view| view.stalled = None);
            return;
        }
        let was = self.view.borrow().stalled.is_some();
        let (services, paths) = (Arc::clone(&self.services), self.paths.clone());
        self.stall = Some(async move { stall::changed(&services, &paths, was).await }.boxed());
    }

    pub(super) fn stall_changed(&mut self, stalled: bool) {
        let reason = stalled.then(|| stall::reason(&self.paths.state));
        let told = reason.as_deref().unwrap_or("goes on");
        tracing::warn!(sandbox = %self.view.borrow().record.name, "guest {told}");
        self.view.send_modify(|view| view.stalled = reason);
        self.watch_stall(true);
    }

    fn relink(&self) -> BoxFuture<'static, LinkEvent> {
        let socket = self.paths.agent_socket();
        let view = Arc::clone(&self.view);
        async move {
            loop {
                match Link::meet(&socket, ADOPT_LIMIT).await {
                    Ok(met) => return LinkEvent::Made(met),
                    Err(error) => {
                        view.send_modify(|view| view.trouble = Some(error.to_string()));
                        tokio::time::sleep(RELINK_PAUSE).await;
                    }
                }
            }
        }
        .boxed()
    }

    pub(super) fn link_changed(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Lost(reason) => {
                tracing::warn!(sandbox = %self.view.borrow().record.name, "link lost: {reason}");
                self.view.send_modify(|view| view.link = None);
                self.link_end = Some(self.relink());
            }
            LinkEvent::Made(Met { link, hello }) => {
                self.view.send_modify(|view| {
                    view.link = Some(Arc::new(link));
                    view.agent_version = hello.version;
                    view.trouble = None;
                });
                self.watch_guest();
            }
        }
    }
}
