//! Whether somebody uses a guest: by the streams of its link, each for as long as it is open.

use crate::last_use::LastUse;
use banger_proto::guest::message::Call;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The streams that are a use, and when the last of them was opened or closed.
#[derive(Debug, Default)]
pub(super) struct Uses {
    open: Mutex<HashSet<u32>>,
    last: LastUse,
}

impl Uses {
    fn open(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream is opened with a call.
    pub(super) fn begin(&self, stream: u32, call: &Call) {
        if is_use(call) {
            self.open().insert(stream);
            self.last.touch();
        }
    }

    /// A stream is closed.
    pub(super) fn end(&self, stream: u32) {
        if self.open().remove(&stream) {
            self.last.touch();
        }
    }

    /// For how long there has been no use; zero while there is one.
    pub(super) fn unused_for(&self) -> Duration {
        match self.open().is_empty() {
            true => self.last.elapsed(),
            false => Duration::ZERO,
        }
    }
}

/// Whether a call is a use of the guest, and not only a look at it or banger's own business with it.
const fn is_use(call: &Call) -> bool {
    match call {
        Call::Exec(_)
        | Call::Attach(_)
        | Call::Stat(_)
        | Call::ListDirectory { .. }
        | Call::MakeDirectory { .. }
        | Call::MakeSymlink { .. }
        | Call::Put { .. }
        | Call::Get(_)
        | Call::Ports
        | Call::Dial { .. }
        | Call::DialSession { .. }
        | Call::AttachDial { .. } => true,
        Call::Configure(_)
        | Call::Forget(_)
        | Call::Health
        | Call::Shutdown
        | Call::Usage
        | Call::Grow { .. }
        | Call::Sync
        | Call::Resumed(_)
        | Call::KeepDials(_)
        | Call::LeaveNetwork => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::guest::message::GrowDisk;

    #[test]
    fn a_stream_is_a_use_for_as_long_as_it_is_open() {
        let uses = Uses::default();
        uses.begin(1, &Call::Ports);
        uses.begin(
            2,
            &Call::Dial {
                udp: false,
                port: 80,
            },
        );
        uses.end(1);
        assert_eq!(uses.unused_for(), Duration::ZERO);
        uses.end(2);
        let after = uses.unused_for();
        assert!(uses.unused_for() >= after && !after.is_zero(), "{after:?}");
    }

    #[test]
    fn a_look_is_no_use() {
        let uses = Uses::default();
        uses.begin(1, &Call::Health);
        uses.begin(2, &Call::Usage);
        let disk = GrowDisk::Work;
        uses.begin(3, &Call::Grow { disk });
        assert!(!uses.unused_for().is_zero());
    }
}
