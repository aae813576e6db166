//! What has come for one stream and was not taken yet.
//!
//! Bounded whatever the guest sends: bytes by the credit that was given, answers to one, notices to
//! a few, credits to the newest.

use super::link::LinkError;
use banger_proto::guest::flow::Credit;
use banger_proto::guest::message::Notice;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Channels that bytes come in: 0 is only sent to the guest.
const CHANNELS: usize = 3;
/// A session ends once and is taken once; more is a flood.
const MOST_NOTICES: usize = 4;

/// One thing that came.
#[derive(Debug)]
pub enum Incoming {
    /// The encoded answer to the call.
    Answer(Vec<u8>),
    /// Bytes of a channel.
    Data(u8, Vec<u8>),
    /// The guest takes more.
    Credit(Credit),
    /// A channel has ended.
    End(u8),
    /// A notice; after all bytes that came before it.
    Notice(Notice),
    /// Nothing more will come: the guest closed the stream, or the link is lost for the reason.
    Closed(Option<Arc<LinkError>>),
}

#[derive(Debug, Default)]
struct Channel {
    data: Vec<u8>,
    /// All bytes that came in this connection, beginning at the offset of the attach.
    received: u64,
    /// Up to where the guest may send.
    limit: u64,
    ended: bool,
    end_told: bool,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Vec<u8>>,
    channels: [Channel; CHANNELS],
    credits: [Option<Credit>; CHANNELS],
    notices: VecDeque<Notice>,
    closed: Option<Option<Arc<LinkError>>>,
}

impl State {
    fn take_credit(&mut self) -> Option<Incoming> {
        let credit = self.credits.iter_mut().find_map(Option::take);
        credit.map(Incoming::Credit)
    }
}

/// The meeting place of the link's task and a stream's owner.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Notify,
}

impl Mailbox {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        result
    }

    /// The answer or the end of a call in parts has come.
    pub(super) fn answer(&self, bytes: Vec<u8>) -> Result<(), LinkError> {
        self.with(|state| match state.answer.replace(bytes) {
            None => Ok(()),
            Some(_) => Err(LinkError::rule("it answered one call twice")),
        })
    }

    /// Where the bytes of a channel begin in this connection.
    pub(super) fn begin(&self, channel: u8, offset: u64) {
        self.with(|state| {
            if let Some(channel) = state.channels.get_mut(usize::from(channel)) {
                channel.received = offset;
                channel.limit = offset;
            }
        });
    }

    /// The owner has let the guest send up to `limit`.
    pub(super) fn allow(&self, channel: u8, limit: u64) {
        self.with(|state| {
            if let Some(channel) = state.channels.get_mut(usize::from(channel)) {
                channel.limit = channel.limit.max(limit);
            }
        });
    }

    pub(super) fn data(&self, channel: u8, bytes: &[u8]) -> Result<(), LinkError> {
        self.with(|state| {
            let channel = state
                .channels
                .get_mut(usize::from(channel))
                .ok_or_else(|| LinkError::rule("it sent bytes in a channel that does not exist"))?;
            channel.received += bytes.len() as u64;
            if channel.received > channel.limit || channel.ended {
                return Err(LinkError::rule("it sent more bytes than it was allowed to"));
            }
            channel.data.extend_from_slice(bytes);
            Ok(())
        })
    }

    pub(super) fn end(&self, channel: u8) -> Result<(), LinkError> {
        self.with(|state| {
            let channel = state
                .channels
                .get_mut(usize::from(channel))
                .ok_or_else(|| LinkError::rule("it ended a channel that does not exist"))?;
            channel.ended = true;
            Ok(())
        })
    }

    pub(super) fn credit(&self, credit: Credit) -> Result<(), LinkError> {
        self.with(|state| {
            let slot = state
                .credits
                .get_mut(usize::from(credit.channel))
                .ok_or_else(|| {
                    LinkError::rule("it gave credit for a channel that does not exist")
                })?;
            *slot = Some(credit);
            Ok(())
        })
    }

    pub(super) fn notice(&self, notice: Notice) -> Result<(), LinkError> {
        self.with(|state| {
            if state.notices.len() >= MOST_NOTICES {
                return Err(LinkError::rule("it sent more notices than there can be"));
            }
            state.notices.push_back(notice);
            Ok(())
        })
    }

    pub(super) fn close(&self, reason: Option<Arc<LinkError>>) {
        self.with(|state| {
            state.closed.get_or_insert(reason);
        });
    }

    /// The next thing; waits until there is one. Cancel-safe.
    pub(super) async fn next(&self) -> Incoming {
        self.wait_for(State::take_credit).await
    }

    /// As [`Self::next`], but leaves credit where it is: for whoever sends later.
    pub(super) async fn next_but_credit(&self) -> Incoming {
        self.wait_for(|_| None).await
    }

    async fn wait_for(&self, credit: fn(&mut State) -> Option<Incoming>) -> Incoming {
        loop {
            if let Some(incoming) = self.take(credit) {
                return incoming;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self, credit: fn(&mut State) -> Option<Incoming>) -> Option<Incoming> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = state.answer.take() {
            return Some(Incoming::Answer(answer));
        }
        if let Some(credit) = credit(&mut state) {
            return Some(credit);
        }
        for (number, channel) in (0_u8..).zip(&mut state.channels) {
            if !channel.data.is_empty() {
                return Some(Incoming::Data(number, std::mem::take(&mut channel.data)));
            }
            if channel.ended && !channel.end_told {
                channel.end_told = true;
                return Some(Incoming::End(number));
            }
        }
        if let Some(notice) = state.notices.pop_front() {
            return Some(Incoming::Notice(notice));
        }
        state.closed.clone().map(Incoming::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::guest::message::ExitStatus;

    #[tokio::test]
    async fn bytes_come_before_their_end_and_the_notice_last() {
        let mailbox = Mailbox::default();
        mailbox.allow(1, 10);
        mailbox.allow(2, 10);
        mailbox
            .notice(Notice::Exited(ExitStatus::Code(3)))
            .expect("one");
        mailbox.end(1).expect("a channel");
        mailbox.data(2, b"err").expect("allowed");
        mailbox.close(None);
        mailbox.answer(vec![9]).expect("first");
        let mut order = Vec::new();
        for _ in 0..5 {
            order.push(match mailbox.next().await {
                Incoming::Answer(_) => "answer",
                Incoming::Data(2, _) => "data",
                Incoming::End(1) => "end",
                Incoming::Notice(_) => "notice",
                Incoming::Closed(None) => "closed",
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(order, ["answer", "end", "data", "notice", "closed"]);
    }

    #[test]
    fn whoever_ignores_credit_channels_or_limits_is_caught() {
        let mailbox = Mailbox::default();
        assert!(mailbox.data(1, b"x").is_err());
        mailbox.begin(1, 100);
        mailbox.allow(1, 102);
        assert!(mailbox.data(1, b"xy").is_ok());
        assert!(mailbox.data(1, b"z").is_err());
        assert!(mailbox.data(9, b"").is_err());
        assert!(mailbox.end(9).is_err());
        assert!(
            mailbox
                .credit(Credit {
                    channel: 9,
                    acked: 0,
                    limit: 0
                })
                .is_err()
        );
        assert!(mailbox.answer(vec![]).is_ok() && mailbox.answer(vec![]).is_err());
        let flood = (0..100)
            .map(|_| mailbox.notice(Notice::Taken))
            .filter(Result::is_err)
            .count();
        assert_eq!(flood, 100 - MOST_NOTICES);
    }

    #[tokio::test]
    async fn credit_that_comes_before_the_answer_is_kept_for_whoever_sends() {
        let mailbox = Mailbox::default();
        let credit = Credit {
            channel: 0,
            acked: 0,
            limit: 7,
        };
        mailbox.credit(credit).expect("a channel");
        let early = tokio::time::timeout(
            std::time::Duration::from_millis(50),
            mailbox.next_but_credit(),
        );
        assert!(early.await.is_err(), "nothing but credit has come");
        mailbox.answer(vec![1]).expect("first");
        assert!(matches!(
            mailbox.next_but_credit().await,
            Incoming::Answer(_)
        ));
        assert!(matches!(mailbox.next().await, Incoming::Credit(c) if c == credit));
    }

    #[tokio::test]
    async fn a_flood_of_credits_keeps_only_the_newest() {
        let mailbox = Mailbox::default();
        for limit in 0..10_000 {
            mailbox
                .credit(Credit {
                    channel: 0,
                    acked: 0,
                    limit,
                })
                .expect("a channel");
        }
        mailbox.close(None);
        assert!(matches!(
            mailbox.next().await,
            Incoming::Credit(Credit { limit: 9999, .. })
        ));
        assert!(matches!(mailbox.next().await, Incoming::Closed(None)));
    }
}
