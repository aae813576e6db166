//! A guest whose disk the host has no room for: its VMM pauses it at the write that failed, and tries
//! that write again when the guest is let go on. Nothing is lost, and the guest sees no error; what
//! is done here is to notice it, to say it, and to let it go on once there is room.
//!
//! A VMM is asked only when it may be paused: while its file system is nearly full, while it is known
//! to be paused, and else now and then, for file systems whose free room says little (quotas, copies
//! on write).

use crate::disks::space;
use crate::layout::SandboxPaths;
use crate::services::Services;
use crate::vmm::{RunState, Vmm};
use std::path::Path;
use std::time::Duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Below so much free room the VMM is asked at every look: more than a guest writes between two.
const NEARLY_FULL: u64 = 512 << 20;
/// Otherwise at every so many looks: twice a minute.
const SELDOM: u32 = 15;
/// With so much free room a guest goes on: enough that it does not stop again at once.
const ENOUGH: u64 = 16 << 20;

/// What the user is told.
pub(super) fn reason(directory: &Path) -> String {
    format!(
        "paused: no room left in {}; it goes on by itself once there is room",
        directory.display()
    )
}

/// Whether the VMM is to be asked at this look. Room that is unknown counts as none.
fn is_due(free: Option<u64>, stalled: bool, look: u32) -> bool {
    stalled || free.is_none_or(|free| free < NEARLY_FULL) || look.is_multiple_of(SELDOM)
}

/// Whether a paused guest is let go on.
fn may_go_on(free: Option<u64>) -> bool {
    free.is_some_and(|free| free >= ENOUGH)
}

/// Waits until a running guest is stalled, or goes on again if it was; lets it go on when it may.
pub(super) async fn changed(services: &Services, paths: &SandboxPaths, was: bool) -> bool {
    let mut look = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        look += 1;
        let free = space::free(&paths.state).ok();
        if !is_due(free, was, look) {
            continue;
        }
        let Ok(vmm) = services.vmm().await else {
            continue;
        };
        match vmm.run_state(paths).await {
            Ok(RunState::NoRoom) if may_go_on(free) => {
                if let Err(error) = vmm.go_on(paths).await {
                    tracing::warn!("cannot let a paused guest go on: {error}");
                }
            }
            Ok(RunState::NoRoom) if !was => return true,
            Ok(RunState::Running) if was => return false,
            // One that does not answer is ending, or will at the next look.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Waits until a guest that is being started is stalled: it will not come up.
pub(super) async fn at_start(vmm: &dyn Vmm, paths: &SandboxPaths) {
    let mut look = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        look += 1;
        let due = is_due(space::free(&paths.state).ok(), false, look);
        if due && matches!(vmm.run_state(paths).await, Ok(RunState::NoRoom)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vmm_is_asked_when_it_may_be_paused_and_else_seldom() {
        let plenty = Some(NEARLY_FULL);
        assert!(is_due(Some(NEARLY_FULL - 1), false, 1));
        assert!(is_due(None, false, 1));
        assert!(is_due(plenty, true, 1));
        let asked = (1..=60).filter(|look| is_due(plenty, false, *look));
        assert_eq!(asked.count(), 4);
    }

    #[test]
    fn a_guest_goes_on_only_with_room_that_is_known() {
        assert!(may_go_on(Some(ENOUGH)));
        assert!(!may_go_on(Some(ENOUGH - 1)) && !may_go_on(None));
    }
}
