//! How many TCP connections there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections over all addresses that are listened at.
const MOST: usize = 128;

/// Open connections of one peer, so that a guest cannot use up those of others.
const MOST_OF_ONE: usize = 16;

/// Counts connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    connections: Connections,
    peer: IpAddr,
}

impl Connections {
    /// Counts one more; `None` when there are too many.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Permit> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= MOST {
            return None;
        }
        let of_one = open.entry(peer).or_default();
        if *of_one >= MOST_OF_ONE {
            return None;
        }
        *of_one += 1;
        let connections = self.clone();
        Some(Permit { connections, peer })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self
            .connections
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(connections: &Connections, last_octet: u8, tries: usize) -> Vec<Permit> {
        let peer = IpAddr::from([172, 16, 0, last_octet]);
        (0..tries).filter_map(|_| connections.admit(peer)).collect()
    }

    #[test]
    fn one_peer_cannot_use_up_the_connections_of_others() {
        let connections = Connections::default();
        let first = admitted(&connections, 2, 1000);
        assert_eq!(first.len(), MOST_OF_ONE);
        assert_eq!(admitted(&connections, 3, 1).len(), 1);
    }

    #[test]
    fn there_are_never_more_than_all_together() {
        let connections = Connections::default();
        let all: Vec<_> = (1..=100)
            .flat_map(|n| admitted(&connections, n, 10))
            .collect();
        assert_eq!(all.len(), MOST);
    }

    #[test]
    fn a_connection_that_ended_makes_room_and_leaves_nothing() {
        let connections = Connections::default();
        for _ in 0..3 {
            assert_eq!(admitted(&connections, 2, 1000).len(), MOST_OF_ONE);
        }
        assert!(connections.0.lock().expect("fine").is_empty());
    }
}
