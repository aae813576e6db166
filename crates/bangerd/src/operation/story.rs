//! What an operation has told so far: whoever follows it late hears it from the beginning. Amounts
//! follow each other fast: only the newest is kept.

use banger_proto::owner::operation::Event;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many events are kept; what tells more is not one of ours.
const MOST_EVENTS: usize = 4096;

#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
    /// Counts changes of the last event, when that is an amount.
    revision: u64,
}

/// The events of one operation.
#[derive(Debug)]
pub(super) struct Story {
    told: Mutex<Told>,
    changed: Notify,
}

/// Where a follower is in an operation's story.
#[derive(Debug, Default, Clone, Copy)]
pub struct Place {
    index: usize,
    revision: u64,
}

impl Story {
    pub(super) fn beginning_with(first: Event) -> Self {
        Self {
            told: Mutex::new(Told {
                events: vec![first],
                revision: 0,
            }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: Event) {
        let mut told = self.lock();
        told.revision += 1;
        let is_full = told.events.len() >= MOST_EVENTS;
        match (told.events.last_mut(), &event) {
            (Some(last), _) if last.is_last() => return,
            (Some(last @ Event::Amount { .. }), Event::Amount { .. }) => *last = event,
            _ if is_full && !event.is_last() => return,
            _ => told.events.push(event),
        }
        drop(told);
        self.changed.notify_waiters();
    }

    /// The newest stage.
    pub(super) fn stage(&self) -> Option<String> {
        self.lock()
            .events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Stage { text } => Some(text.clone()),
                _ => None,
            })
    }

    /// The next thing that was told, from a place that moves on; waits until there is one. `None`
    /// after the last.
    pub(super) async fn next(&self, place: &mut Place) -> Option<Event> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let told = self.lock();
                if place
                    .index
                    .checked_sub(1)
                    .and_then(|i| told.events.get(i))
                    .is_some_and(Event::is_last)
                {
                    return None;
                }
                if let Some(event) = told.events.get(place.index) {
                    *place = Place {
                        index: place.index + 1,
                        revision: told.revision,
                    };
                    return Some(event.clone());
                }
                if let Some(newer @ Event::Amount { .. }) = told.events.last()
                    && place.revision < told.revision
                {
                    place.revision = told.revision;
                    return Some(newer.clone());
                }
            }
            changed.await;
        }
    }
}
