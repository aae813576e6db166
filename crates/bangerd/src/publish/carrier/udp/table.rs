//! The flows by their peers: a bounded number, the least used makes room.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;

/// What the table needs to know of a flow.
pub(super) trait Flowing {
    /// It takes nothing any more.
    fn is_over(&self) -> bool;
}

/// See the module.
#[derive(Debug)]
pub(super) struct Table<T> {
    most: usize,
    /// Each with the number of the datagram that came for it last.
    flows: HashMap<SocketAddr, (u64, T)>,
    count: u64,
}

impl<T: Flowing> Table<T> {
    /// A table for at most that many flows.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            flows: HashMap::new(),
            count: 0,
        }
    }

    /// The flow of a peer, begun anew when there is none that goes on; none if it cannot be begun.
    pub(super) fn of(
        &mut self,
        peer: SocketAddr,
        begin: impl FnOnce() -> Option<T>,
    ) -> Option<&mut T> {
        self.count += 1;
        let has = self
            .flows
            .get(&peer)
            .is_some_and(|(_, flow)| !flow.is_over());
        if !has {
            self.flows.remove(&peer);
            self.make_room();
        }
        let (last, flow) = match self.flows.entry(peer) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert((0, begin()?)),
        };
        *last = self.count;
        Some(flow)
    }

    fn make_room(&mut self) {
        if self.flows.len() < self.most {
            return;
        }
        self.flows.retain(|_, (_, flow)| !flow.is_over());
        if self.flows.len() < self.most {
            return;
        }
        let oldest = self.flows.iter().min_by_key(|(_, (last, _))| *last);
        if let Some(peer) = oldest.map(|(peer, _)| *peer) {
            self.flows.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[derive(Debug, Default, Clone)]
    struct Flow(Rc<Cell<bool>>);

    impl Flowing for Flow {
        fn is_over(&self) -> bool {
            self.0.get()
        }
    }

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[expect(clippy::unnecessary_wraps, reason = "what begins a flow may fail")]
    fn new() -> Option<Flow> {
        Some(Flow::default())
    }

    fn known(table: &Table<Flow>) -> Vec<u16> {
        let mut ports: Vec<_> = table.flows.keys().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports
    }

    #[test]
    fn a_peer_keeps_its_flow_until_that_is_over() {
        let mut table = Table::new(4);
        let mut begun = 0;
        let mut of = |table: &mut Table<Flow>| {
            let flow = table.of(peer(1), || {
                begun += 1;
                new()
            });
            (flow.expect("begun").clone(), begun)
        };
        let (flow, _) = of(&mut table);
        assert_eq!(of(&mut table).1, 1);
        flow.0.set(true);
        assert_eq!(of(&mut table).1, 2);
    }

    #[test]
    fn the_flow_that_was_used_the_longest_ago_makes_room() {
        let mut table = Table::new(3);
        for port in [1, 2, 3, 1, 4] {
            table.of(peer(port), new);
        }
        assert_eq!(known(&table), [1, 3, 4]);
    }

    #[test]
    fn what_is_over_makes_room_first() {
        let mut table = Table::new(3);
        table.of(peer(1), new);
        table.of(peer(2), new).expect("begun").0.set(true);
        table.of(peer(3), new);
        table.of(peer(4), new);
        assert_eq!(known(&table), [1, 3, 4]);
    }

    #[test]
    fn one_that_cannot_be_begun_is_not_known() {
        let mut table = Table::<Flow>::new(3);
        assert!(table.of(peer(1), || None).is_none());
        assert_eq!(known(&table), [0; 0]);
    }

    #[test]
    fn a_flood_of_peers_keeps_no_more_than_the_limit() {
        let mut table = Table::new(8);
        for port in 1..5000 {
            table.of(peer(port), new);
            assert!(table.flows.len() <= 8);
        }
    }
}
