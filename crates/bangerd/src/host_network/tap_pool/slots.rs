//! Which TAPs there are, as plain data: who has which slot, and what should be made.

use banger_model::host_names::TapSlot;
use std::collections::BTreeSet;

/// Every slot is free, or in exactly one of these sets.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Made, and nobody's.
    idle: BTreeSet<TapSlot>,
    /// Some guest's, or on the way to be.
    used: BTreeSet<TapSlot>,
    /// Being made for the pool.
    warming: BTreeSet<TapSlot>,
    /// To be deleted; not to be made again before that is done.
    doomed: BTreeSet<TapSlot>,
    /// Another program has an interface of that name.
    foreign: BTreeSet<TapSlot>,
}

/// What [`Slots::take`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// A TAP that is there.
    Warm(TapSlot),
    /// A slot whose TAP has to be made.
    Cold(TapSlot),
}

impl Slots {
    pub(super) fn is_free(&self, slot: TapSlot) -> bool {
        let all = [
            &self.idle,
            &self.used,
            &self.warming,
            &self.doomed,
            &self.foreign,
        ];
        all.iter().all(|set| !set.contains(&slot))
    }

    fn lowest_free(&self) -> impl Iterator<Item = TapSlot> + '_ {
        TapSlot::all().filter(|slot| self.is_free(*slot))
    }

    /// Takes a TAP, or the lowest free slot; `None` when all are taken.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let taken = match self.idle.pop_first() {
            Some(slot) => Taken::Warm(slot),
            None => Taken::Cold(self.lowest_free().next()?),
        };
        let (Taken::Warm(slot) | Taken::Cold(slot)) = taken;
        self.used.insert(slot);
        Some(taken)
    }

    /// A guest of a daemon before has this one.
    pub(super) fn adopt(&mut self, slot: TapSlot) {
        self.used.insert(slot);
    }

    /// These are another program's, and no others: what was to be made or deleted of them is not. A guest
    /// that has one keeps its slot.
    pub(super) fn foreign(&mut self, mut slots: BTreeSet<TapSlot>) {
        slots.retain(|slot| !self.used.contains(slot));
        for set in [&mut self.idle, &mut self.warming, &mut self.doomed] {
            set.retain(|slot| !slots.contains(slot));
        }
        self.foreign = slots;
    }

    /// A slot that was taken and turned out to be another program's.
    pub(super) fn leave(&mut self, slot: TapSlot) {
        if self.used.remove(&slot) {
            self.foreign.insert(slot);
        }
    }

    /// Gives a slot back: its TAP goes to the pool while that has fewer than `size`, otherwise it is
    /// to be deleted. Whether it is; one that was not taken changes nothing.
    pub(super) fn give_back(&mut self, slot: TapSlot, size: usize) -> bool {
        if !self.used.remove(&slot) {
            return false;
        }
        let stays = self.idle.len() < size;
        let set = if stays {
            &mut self.idle
        } else {
            &mut self.doomed
        };
        set.insert(slot);
        !stays
    }

    /// A slot whose TAP could not be made, or is of no use: it is to be deleted.
    pub(super) fn doom(&mut self, slot: TapSlot) {
        self.used.remove(&slot);
        self.idle.remove(&slot);
        self.doomed.insert(slot);
    }

    /// Those whose TAPs are there, or were asked for.
    pub(super) fn made(&self) -> impl Iterator<Item = TapSlot> + '_ {
        self.idle.union(&self.used).copied()
    }

    /// The deletion of these is over.
    pub(super) fn deleted(&mut self, slots: &BTreeSet<TapSlot>) {
        self.doomed.retain(|slot| !slots.contains(slot));
    }

    /// Reserves the slots that the pool lacks, at most `most`; empty while others are being made.
    pub(super) fn warm(&mut self, size: usize, most: usize) -> BTreeSet<TapSlot> {
        if !self.warming.is_empty() {
            return BTreeSet::new();
        }
        let lacking = size.saturating_sub(self.idle.len()).min(most);
        let slots: BTreeSet<_> = self.lowest_free().take(lacking).collect();
        self.warming.clone_from(&slots);
        slots
    }

    /// The making of the reserved slots is over.
    pub(super) fn warmed(&mut self, made: bool) {
        let slots = std::mem::take(&mut self.warming);
        let set = if made {
            &mut self.idle
        } else {
            // How far it came is not known.
            &mut self.doomed
        };
        set.extend(slots);
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Those that are made, or on the way to be.
    #[cfg(test)]
    pub(super) fn live(&self) -> BTreeSet<TapSlot> {
        [&self.idle, &self.used, &self.warming]
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// Forgets the pool: its TAPs were swept.
    pub(super) fn forget_idle(&mut self) {
        self.idle.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(number: u16) -> TapSlot {
        TapSlot::try_from(number).unwrap()
    }

    #[test]
    fn the_pool_is_taken_before_anything_is_made() {
        let mut slots = Slots::default();
        assert_eq!(slots.take(), Some(Taken::Cold(slot(1))));
        assert_eq!(slots.warm(2, 64), [slot(2), slot(3)].into());
        assert_eq!(slots.take(), Some(Taken::Cold(slot(4))));
        slots.warmed(true);
        assert_eq!(slots.take(), Some(Taken::Warm(slot(2))));
    }

    #[test]
    fn refills_never_race_and_never_exceed_a_batch() {
        let mut slots = Slots::default();
        assert_eq!(slots.warm(100, 64).len(), 64);
        assert!(
            slots.warm(100, 64).is_empty(),
            "one at a time (lesson L-43)"
        );
        slots.warmed(true);
        assert_eq!(slots.warm(100, 64).len(), 36);
    }

    #[test]
    fn a_batch_that_failed_is_deleted_and_its_slots_come_back() {
        let mut slots = Slots::default();
        let batch = slots.warm(2, 64);
        slots.warmed(false);
        assert_eq!(slots.take(), Some(Taken::Cold(slot(3))));
        slots.deleted(&batch);
        assert_eq!(slots.take(), Some(Taken::Cold(slot(1))));
    }

    #[test]
    fn what_is_given_back_fills_the_pool_and_the_rest_is_deleted_once() {
        let mut slots = Slots::default();
        for _ in 0..3 {
            slots.take();
        }
        assert!(!slots.give_back(slot(1), 1));
        assert!(slots.give_back(slot(2), 1));
        assert!(!slots.give_back(slot(2), 1), "given back twice");
        assert_eq!(slots.live(), [slot(1), slot(3)].into());
        assert_eq!(slots.take(), Some(Taken::Warm(slot(1))));
        assert_eq!(
            slots.take(),
            Some(Taken::Cold(slot(4))),
            "2 is not gone yet"
        );
    }

    #[test]
    fn slots_of_others_are_passed_over_until_they_are_free() {
        let mut slots = Slots::default();
        assert_eq!(slots.warm(3, 64), [slot(1), slot(2), slot(3)].into());
        slots.foreign([slot(2)].into());
        slots.warmed(false);
        slots.deleted(&[slot(1), slot(3)].into());
        assert_eq!(slots.warm(2, 64), [slot(1), slot(3)].into());
        slots.warmed(true);
        slots.foreign([].into());
        assert_eq!(slots.warm(3, 64), [slot(2)].into());
        slots.take();
        slots.foreign([slot(1)].into());
        assert_eq!(slots.live(), [slot(1), slot(2), slot(3)].into());
    }

    #[test]
    fn slots_of_a_daemon_before_are_never_given_again() {
        let mut slots = Slots::default();
        slots.adopt(slot(1));
        slots.adopt(slot(3));
        assert_eq!(slots.warm(2, 64), [slot(2), slot(4)].into());
    }

    #[test]
    fn when_all_are_taken_there_is_none() {
        let mut slots = Slots::default();
        while slots.take().is_some() {}
        assert_eq!(slots.live().len(), usize::from(TapSlot::MAX));
    }

    proptest! {
        #[test]
        fn no_slot_is_ever_two_guests(script in proptest::collection::vec((0_u8..6, 1_u16..12), 1..200)) {
            let mut slots = Slots::default();
            let mut guests = BTreeSet::new();
            for (what, number) in script {
                match what {
                    0 => if let Some(Taken::Warm(slot) | Taken::Cold(slot)) = slots.take() {
                        prop_assert!(guests.insert(slot));
                    },
                    1 => {
                        let slot = slot(number);
                        let doomed = slots.give_back(slot, 2);
                        prop_assert!(!doomed || guests.contains(&slot));
                        guests.remove(&slot);
                    }
                    2 => { slots.warm(3, 2); }
                    3 => slots.warmed(number % 2 == 0),
                    4 => slots.foreign([slot(number), slot(number / 2 + 1)].into()),
                    _ => slots.deleted(&[slot(number)].into()),
                }
                prop_assert!(guests.iter().all(|slot| slots.live().contains(slot)));
            }
        }
    }
}
