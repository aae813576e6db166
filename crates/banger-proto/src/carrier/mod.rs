//! The carrier's protocol: daemon ↔ carrier, over a Unix socket of type stream in the runtime directory of a
//! sandbox.
//!
//! A carrier has the sockets of one sandbox's published ports, and the connections to them. It outlives the
//! daemon that started it, and the next one finds it by its socket. The daemon connects; each connection
//! begins with a [`Request`], a line of JSON, and is answered by a [`Reply`], another line.
//!
//! ```text
//!   have, listen, close, watch   one reply each, as many as wanted on one connection
//!   end                          done, once nothing is open any more
//!   follow                       have, then waits for each connection that wants a daemon, for ever
//!   serve                        serving, then frames both ways ([`frame`]): one connection of a client
//! ```
//!
//! Bytes of a connection have offsets, as in the guest protocol: the carrier keeps what the agent has not
//! acknowledged, the agent keeps what the carrier has not. The daemon between them keeps nothing, so that it
//! can be killed at any moment and nothing is lost or doubled.
//!
//! Age rule: the daemon adapts. Unknown fields are ignored; a request that a carrier does not know fails with
//! a reason. A carrier that speaks another [`SPEAKS`] is ended by the daemon that finds it.

pub mod frame;

use crate::guest::message::SessionId;
use banger_model::publish::Publication;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What this code speaks; changes when what is old can no longer be understood.
pub const SPEAKS: u32 = 1;

/// The longest line, in bytes: sessions of all connections and flows that there may be, and some room.
pub const LONGEST_LINE: usize = 1 << 20;

/// What the daemon wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Tell what there is.
    Have,
    /// Carry what comes in at the socket that is sent with it.
    Listen(Publication),
    /// Close a socket, and reset its connections.
    Close(Publication),
    /// The guest has another VMM; the socket that is sent with it is where daemons connect from now on.
    Watch(Watched),
    /// Close everything, and end.
    End,
    /// Tell which connections want a daemon.
    Follow,
    /// Serve a connection.
    Serve(u64),
}

/// What the carrier answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `Have` and `Follow`.
    Have(Have),
    /// Done.
    Done,
    /// Not done, and why.
    Failed(String),
    /// After `Follow`: a connection wants a daemon.
    Waits(u64),
    /// To `Serve`; a connection that there is not is closed instead.
    Serving(Serving),
    /// To `Serve`, of a connection that ended while nobody served it: the guest is to forget it.
    Gone(SessionId),
}

/// The process of a VMM: a carrier without a daemon ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Its pid.
    pub pid: u32,
    /// Clock ticks from the host's boot to its start.
    pub start_time: u64,
    /// The program it runs.
    pub executable: PathBuf,
    /// The boot in which it runs.
    pub boot_id: String,
}

/// What a carrier has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// What it speaks.
    pub speaks: u32,
    /// Its pid.
    pub pid: u32,
    /// The VMM that it watches.
    pub vmm: Watched,
    /// Its sockets.
    pub sockets: Vec<Bound>,
    /// Connections that it has and that the guest may have.
    pub sessions: Vec<SessionId>,
}

/// A socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What it is for.
    pub publication: Publication,
    /// Its own address and port.
    pub at: SocketAddr,
}

/// A request or a reply as a line, its end included.
#[must_use]
pub fn line<T: Serialize>(said: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A connection, to whoever is to serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// What the agent calls it.
    pub session: SessionId,
    /// UDP; else TCP.
    pub udp: bool,
    /// The guest's port.
    pub port: u16,
    /// Whether the guest has connected it before.
    pub connected: bool,
    /// How much of the guest's bytes is here, and up to where more is taken.
    pub from: u64,
    /// See `from`.
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A carrier outlives the daemon that started it: what is written here must be read by the next.
    #[test]
    fn the_lines_stay_as_they_are() {
        let publication: Publication = "127.0.0.1:8080:80/tcp".parse().expect("one");
        let lines = [
            (serde_json::to_string(&Request::Have), r#""have""#),
            (
                serde_json::to_string(&Request::Listen(publication)),
                r#"{"listen":"127.0.0.1:8080:80/tcp"}"#,
            ),
            (serde_json::to_string(&Request::Serve(7)), r#"{"serve":7}"#),
            (serde_json::to_string(&Reply::Done), r#""done""#),
            (serde_json::to_string(&Reply::Waits(7)), r#"{"waits":7}"#),
        ];
        for (line, wanted) in lines {
            assert_eq!(line.expect("plain"), wanted);
        }
    }

    #[test]
    fn what_a_newer_carrier_adds_is_passed_over() {
        let line = r#"{"serving":{"session":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"udp":false,
            "port":80,"connected":true,"from":5,"limit":9,"colour":"red"}}"#;
        let Ok(Reply::Serving(serving)) = serde_json::from_str(line) else {
            panic!("not read");
        };
        assert_eq!((serving.port, serving.from, serving.limit), (80, 5, 9));
    }
}
