//! `banger vm logs`.

use super::App;
use super::options::Reference;
use crate::client::request::{self, Ask, Unanswered};
use crate::client::{Client, Patience, path};
use crate::exit::{Exit, Failure};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::FROM_HEADER;
use clap::{Args, ValueEnum};
use http_body_util::BodyExt;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm logs dev
  banger vm logs -f dev
  banger vm logs --source vmm dev

On a terminal, control characters are left out: the guest chooses what it prints.";

/// Show what a machine's console printed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Logs {
    #[command(flatten)]
    sandbox: Reference,
    /// Go on as more is printed, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Whose log
    #[arg(long, value_enum, default_value_t = Source::Console)]
    source: Source,
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// The guest's console
    Console,
    /// The VMM process
    Vmm,
}

impl Logs {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let source = match self.source {
            Source::Console => "console",
            Source::Vmm => "vmm",
        };
        let rest = format!("/logs?follow={}&source={source}", self.follow);
        show(app, &client, self.sandbox.reference, &rest, self.follow).await?;
        Ok(Exit::Success)
    }
}

/// Prints a log. One that is followed goes on with the next daemon where the one before left it, whatever the
/// machine is called by then.
async fn show(
    app: &App,
    client: &Client,
    mut reference: String,
    rest: &str,
    follow: bool,
) -> Result<(), Failure> {
    let mut place = None;
    let mut patience = Patience::begin();
    loop {
        let from = place.map(|place: u64| format!("&from={place}"));
        let rest = format!("{rest}{}", from.unwrap_or_default());
        let asked = path::sandbox(&reference, &rest);
        let answer = match client.open(Ask::bare(Method::GET, asked)).await {
            Err(fault) if place.is_some() && fault.code == FaultCode::Unavailable => {
                match patience.wait().await {
                    true => continue,
                    false => return Err(fault.into()),
                }
            }
            answer => answer?,
        };
        if let Some(id) = request::sandboxes_of(&answer).pop() {
            reference = id;
        }
        let from = answer.headers().get(FROM_HEADER);
        let from = from.and_then(|from| from.to_str().ok()?.parse().ok());
        let mut body = answer.into_body();
        let mut at: u64 = from.or(place).unwrap_or(0);
        let lost = loop {
            let frame = match body.frame().await {
                None => return Ok(()),
                Some(Err(error)) => break error,
                Some(Ok(frame)) => frame,
            };
            let Some(data) = frame.data_ref() else {
                continue;
            };
            at += data.len() as u64;
            patience = Patience::begin();
            if app.show.stdout_terminal {
                app.show.raw(printable(data))?;
            } else {
                app.show.raw(data)?;
            }
        };
        place = Some(at);
        if !follow || !patience.wait().await {
            return Err(Fault::from(Unanswered::Lost(lost)).into());
        }
    }
}

/// Without what moves a terminal's cursor or changes its state: C0 but for tab and line feed, DEL,
/// and as UTF-8 the C1 controls (0xc2 0x80 to 0xc2 0x9f).
fn printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = match (*byte, after.first()) {
            (0xc2, Some(0x80..=0x9f)) => after.get(1..).unwrap_or_default(),
            (b'\t' | b'\n' | 0x20..=0x7e | 0xa0.., _) => {
                out.push(*byte);
                after
            }
            // Bytes 0x80 to 0x9f belong to a longer character, or are nothing in UTF-8.
            (0x80..=0x9f, _) if !out.is_empty() => {
                out.push(*byte);
                after
            }
            _ => after,
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_write_escape_sequences_to_the_terminal() {
        assert_eq!(printable(b"ok\r\n\tplain"), b"ok\n\tplain");
        assert_eq!(printable("größe €".as_bytes()), "größe €".as_bytes());
        for evil in [
            &b"\x1b]52;c;AA\x07"[..],
            b"\x1b[31m",
            b"\x7f\x08",
            "\u{9b}31m".as_bytes(),
        ] {
            let shown = printable(evil);
            assert!(shown.iter().all(|b| (0x20..0x7f).contains(b)), "{shown:?}");
        }
    }
}
