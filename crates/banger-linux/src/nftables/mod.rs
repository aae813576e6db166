//! nftables through nft(8): one transaction in, one table out, and what happens to packets.

mod trace;

use crate::names::TableName;
use crate::programs::{Call, Cancel, Limits, Output, Program, Programs, RunError};
use std::time::Duration;

pub use trace::{Trace, TraceError};

/// How long nft may take. A transaction for a thousand guests takes a fraction of a second; the kernel
/// makes others wait for theirs, and for a grace period of RCU after each.
const TIME: Duration = Duration::from_secs(30);
/// Most bytes of one table: a thousand guests' sets are about 400 KB of JSON.
const MOST_TABLE: usize = 16 * 1024 * 1024;
/// What nft may print when it is not asked for anything.
const MOST_OTHER: usize = 64 * 1024;
/// What nft says of a table that is not there (strerror(ENOENT); nft runs with `LC_ALL=C`).
const ABSENT: &str = "No such file or directory";

/// The families of tables that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// Frames that go through a bridge.
    Bridge,
}

impl Family {
    /// nft's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        }
    }
}

/// Why nft did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NftError {
    /// It did not run to its end. The kernel applies a transaction whole or not at all.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It refused.
    #[error("nft cannot {asked}: {said}")]
    Refused {
        /// What was asked.
        asked: String,
        /// nft's own first error line.
        said: String,
    },
    /// It printed something that is no JSON.
    #[error("cannot read what nft printed for {asked}: {reason}")]
    Unreadable {
        /// What was asked.
        asked: String,
        /// The parser's reason.
        reason: String,
    },
}

/// nft, in the calling thread's network namespace.
#[derive(Debug, Clone, Copy)]
pub struct Nft<'a> {
    programs: &'a Programs,
    cancel: Cancel<'a>,
}

impl<'a> Nft<'a> {
    /// With what ends the waiting early.
    pub const fn new(programs: &'a Programs, cancel: Cancel<'a>) -> Self {
        Self { programs, cancel }
    }

    /// Applies a transaction, given as commands of nft(8), whole or not at all. Not as its JSON: nft 1.0.6
    /// declares some sets in commands only, and takes JSON that it cannot read for nothing to do.
    ///
    /// # Errors
    /// [`NftError::Refused`] where nft or the kernel does not accept it: nothing was changed.
    pub fn apply(&self, transaction: &str) -> Result<(), NftError> {
        self.feed("load rules", &["-f", "-"], transaction)
    }

    /// Says whether nft and the kernel would accept a transaction, without applying it.
    ///
    /// # Errors
    /// [`NftError::Refused`] where they would not.
    pub fn check(&self, transaction: &str) -> Result<(), NftError> {
        self.feed("check rules", &["-c", "-f", "-"], transaction)
    }

    fn feed(&self, asked: &str, arguments: &[&str], input: &str) -> Result<(), NftError> {
        let output = self.run(arguments, Some(input.as_bytes()), MOST_OTHER)?;
        succeeded(asked, &output)
    }

    /// A table with all that is in it, as nft's JSON; none where there is no such table.
    ///
    /// # Errors
    /// nft failed for another reason.
    pub fn table(
        &self,
        family: Family,
        name: &TableName,
    ) -> Result<Option<serde_json::Value>, NftError> {
        self.listed(family, name)
    }

    /// The same, of which only what `T` takes is kept: a table of a thousand guests is 400 KB of text, and
    /// many times that as a tree.
    ///
    /// # Errors
    /// The same.
    pub fn listed<T: serde::de::DeserializeOwned>(
        &self,
        family: Family,
        name: &TableName,
    ) -> Result<Option<T>, NftError> {
        let name = name.as_str();
        let asked = format!("list the table {} {name}", family.name());
        let arguments = ["-j", "list", "table", family.name(), name];
        let output = self.run(&arguments, None, MOST_TABLE)?;
        if !output.status.success() && output.complaint().contains(ABSENT) {
            return Ok(None);
        }
        succeeded(&asked, &output)?;
        match serde_json::from_slice(&output.stdout) {
            Ok(table) => Ok(Some(table)),
            Err(error) => Err(NftError::Unreadable {
                asked,
                reason: error.to_string(),
            }),
        }
    }

    /// Two tables, by a process each at the same time: of several tables that one process is to list, nft
    /// 1.0.6 finds only those of the last one's family.
    ///
    /// # Errors
    /// The same.
    pub fn both_listed<T: serde::de::DeserializeOwned + Send>(
        &self,
        name: &TableName,
        families: [Family; 2],
    ) -> Result<[Option<T>; 2], NftError> {
        let [first, second] = families;
        std::thread::scope(|scope| {
            let aside = std::thread::Builder::new();
            let aside = aside.spawn_scoped(scope, || self.listed(first, name));
            let second = self.listed(second, name);
            let first = match aside.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(first)) => first,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // The system has no thread for it.
                Err(_) => self.listed(first, name),
            };
            Ok([first?, second?])
        })
    }

    fn run(
        &self,
        arguments: &[&str],
        input: Option<&[u8]>,
        most: usize,
    ) -> Result<Output, RunError> {
        self.programs.run(&Call {
            program: Program::Nft,
            arguments,
            input,
            limits: Limits {
                time: TIME,
                output: most,
            },
            cancel: self.cancel,
        })
    }
}

fn succeeded(asked: &str, output: &Output) -> Result<(), NftError> {
    if output.status.success() {
        return Ok(());
    }
    let complaint = output.complaint();
    // Where in the input: of no use to who does not see that.
    let said = complaint
        .split_once("Error: ")
        .map_or(complaint.as_str(), |(_, said)| said);
    Err(NftError::Refused {
        asked: asked.to_owned(),
        said: said.to_owned(),
    })
}
