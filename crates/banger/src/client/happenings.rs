//! What happened to machines: a stream that goes on over the daemon's end, nothing lost or doubled.

use super::operation::Lines;
use super::request::{self, Ask, Unanswered};
use super::{Client, path};
use crate::place::Surroundings;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::event::{Event, SINCE_HEADER};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a daemon that is gone is looked for, or started, before it is given up.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Of these machines; none means all.
    pub sandboxes: Vec<String>,
    /// Go on as things happen.
    pub follow: bool,
    /// Only beyond this number.
    pub since: Option<u64>,
}

impl Wish {
    /// Machines that were meant, by their ids.
    fn know(&mut self, ids: &[String]) {
        for id in ids {
            if !self.sandboxes.contains(id) {
                self.sandboxes.push(id.clone());
            }
        }
    }

    fn path(&self) -> String {
        let mut query = format!("events?follow={}", self.follow);
        if let Some(since) = self.since {
            query += &format!("&since={since}");
        }
        if !self.sandboxes.is_empty() {
            let sandboxes = path::percent_encode(&self.sandboxes.join(","));
            query += &format!("&sandbox={sandboxes}");
        }
        path::plain(&query)
    }
}

/// The events as they come.
pub struct Happenings {
    surroundings: Surroundings,
    wish: Wish,
    body: Incoming,
    lines: Lines,
}

/// How a stream ended.
enum End {
    /// Whole: all is told, or the daemon leaves.
    Whole,
    /// Broken off: the daemon is gone.
    Broken(Fault),
}

impl Happenings {
    /// Asks for them.
    ///
    /// # Errors
    /// The daemon's fault, or one about the connection.
    pub async fn of(client: &Client, mut wish: Wish) -> Result<Self, Fault> {
        let body = open(client, &mut wish).await?;
        Ok(Self {
            surroundings: client.surroundings.clone(),
            wish,
            body,
            lines: Lines::default(),
        })
    }

    /// The next one; `None` after the last. `lost` is called when the daemon has to be looked for.
    ///
    /// # Errors
    /// When there is no daemon any more that could go on.
    pub async fn next(&mut self, mut lost: impl FnMut()) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.lines.take::<Event>()? {
                self.wish.since = Some(event.seq);
                return Ok(Some(event));
            }
            let end = match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.lines.push(data);
                    }
                    continue;
                }
                Some(Err(error)) => End::Broken(Unanswered::Lost(error).into()),
                None => End::Whole,
            };
            match end {
                End::Whole if !self.wish.follow => return Ok(None),
                End::Broken(fault) if !self.wish.follow => return Err(fault),
                end => {
                    lost();
                    self.look_for_the_next(matches!(end, End::Broken(_)))
                        .await?;
                }
            }
        }
    }

    /// Goes on with the next daemon. One that was killed is started again, as by every command; one that
    /// was told to leave is waited for: whoever stopped it wants none.
    async fn look_for_the_next(&mut self, killed: bool) -> Result<(), Fault> {
        self.lines = Lines::default();
        let deadline = killed.then(|| Instant::now() + LOOK_LIMIT);
        loop {
            let client = if killed {
                Client::connect(self.surroundings.clone()).await.map(Some)
            } else {
                Client::if_running(self.surroundings.clone()).await
            };
            let opened = match client {
                Ok(Some(client)) => open(&client, &mut self.wish).await.map(Some),
                Ok(None) => Ok(None),
                Err(fault) => Err(fault),
            };
            match opened {
                Ok(Some(body)) => {
                    self.body = body;
                    return Ok(());
                }
                // It is about to leave, or not there yet.
                Err(fault) if fault.code != FaultCode::Unavailable => return Err(fault),
                Err(fault) if deadline.is_some_and(|until| Instant::now() >= until) => {
                    return Err(fault);
                }
                Ok(None) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

/// Asks, and notes where the stream begins: without that a daemon which ends before it told anything
/// would be asked for events to come, and those between would be lost. And of which machines: one that is
/// renamed meanwhile is the same.
async fn open(client: &Client, wish: &mut Wish) -> Result<Incoming, Fault> {
    let answer = client.open(Ask::bare(Method::GET, wish.path())).await?;
    let since = answer.headers().get(SINCE_HEADER);
    let since = since.and_then(|since| since.to_str().ok()?.parse().ok());
    wish.since = since.or(wish.since);
    wish.know(&request::sandboxes_of(&answer));
    Ok(answer.into_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_written_as_a_query() {
        assert_eq!(Wish::default().path(), "/v1/events?follow=false");
        let wish = Wish {
            sandboxes: vec!["web".into(), "a/b".into()],
            follow: true,
            since: Some(7),
        };
        assert_eq!(
            wish.path(),
            "/v1/events?follow=true&since=7&sandbox=web%2Ca%2Fb"
        );
    }

    #[test]
    fn a_machine_that_was_named_is_known_by_its_id_too_and_once() {
        let mut wish = Wish {
            sandboxes: vec!["web".into()],
            ..Wish::default()
        };
        for _ in 0..2 {
            wish.know(&["0a".into()]);
        }
        assert_eq!(wish.sandboxes, ["web", "0a"]);
    }
}
