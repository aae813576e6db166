//! Connections of other users: told, but not so often that they could wash everything else out of the log.

use super::Asker;
use std::time::{Duration, Instant};

/// Between two lines about them.
const EVERY: Duration = Duration::from_secs(1);

/// Counts refused connections.
#[derive(Debug, Default)]
pub struct Strangers {
    told: Option<Instant>,
    untold: u64,
}

impl Strangers {
    /// One more was refused: how many a line now stands for, or none when it is too early for one.
    pub fn refused(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let early = self.told.is_some_and(|told| now < told + EVERY);
        if early {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// The user and process of a peer.
    #[must_use]
    pub fn asker(peer: &tokio::net::unix::UCred) -> Asker {
        Asker {
            uid: peer.uid(),
            pid: peer.pid(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_them_gives_one_line_a_second() {
        let mut strangers = Strangers::default();
        let begin = Instant::now();
        assert_eq!(strangers.refused(begin), Some(1));
        for _ in 0..1000 {
            assert_eq!(strangers.refused(begin + EVERY / 2), None);
        }
        assert_eq!(strangers.refused(begin + EVERY), Some(1001));
    }
}
