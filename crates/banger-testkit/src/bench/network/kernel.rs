//! What the kernel has, by other people's tools.

use super::super::error::Error;
use banger_linux::programs::DIRECTORIES;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the kernel may take to lose what was given back; a hundred TAPs take it a second at most.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// The names of our TAPs.
const TAP: &str = "tap-fc-";

/// A tool with its arguments, found where a shell of root's would.
pub(super) fn tool(name: &str, arguments: &str) -> Command {
    let paths = DIRECTORIES.map(|directory| PathBuf::from(directory).join(name));
    let path = paths.iter().find(|path| path.exists());
    let mut command = Command::new(path.unwrap_or(&PathBuf::from(name)));
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    command
}

/// Runs `ip`, for its output.
pub(super) fn ip(arguments: &str) -> Result<Vec<u8>, Error> {
    output(tool("ip", arguments))
}

/// Runs `nft`, for its output.
pub(super) fn nft(arguments: &str) -> Result<Vec<u8>, Error> {
    output(tool("nft", arguments))
}

fn output(mut command: Command) -> Result<Vec<u8>, Error> {
    let output = command.output();
    let output = output.map_err(Error::io(
        "run ip and nft (`cargo xtask setup` installs them)",
    ))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::wrong(format!("{command:?}: {said}")))
}

fn json(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::wrong(format!("no JSON: {error}")))
}

/// All interfaces.
fn links() -> Result<Vec<Value>, Error> {
    match json(&ip("-j link show")?)? {
        Value::Array(links) => Ok(links),
        other => Err(Error::wrong(format!("ip said {other}"))),
    }
}

/// Names of our TAPs that are up and ports of our bridge.
pub(super) fn taps() -> Result<Vec<String>, Error> {
    Ok(taps_of(&links()?))
}

fn taps_of(links: &[Value]) -> Vec<String> {
    let is_ready = |link: &&Value| {
        let flags = link["flags"].as_array();
        link["master"] == "br-fc"
            && flags.is_some_and(|flags| flags.iter().any(|flag| flag == "UP"))
    };
    let names = links
        .iter()
        .filter(is_ready)
        .filter_map(|link| link["ifname"].as_str());
    names
        .filter(|name| name.starts_with(TAP))
        .map(str::to_owned)
        .collect()
}

/// Names of TAPs from which the rules take frames; the firewall's probe is left out.
pub(super) fn guests() -> Result<Vec<String>, Error> {
    Ok(guests_of(&json(&nft("-j list set bridge banger cards")?)?))
}

fn guests_of(listing: &Value) -> Vec<String> {
    let entries = listing["nftables"].as_array().into_iter().flatten();
    let elements = entries.filter_map(|entry| entry["set"]["elem"].as_array());
    let names = elements
        .flatten()
        .filter_map(|element| element["concat"][0].as_str());
    names
        .filter(|name| *name != banger_model::host_names::PROBE_TAP)
        .map(str::to_owned)
        .collect()
}

/// Waits until there are so many TAPs, and so many guests in the rules.
pub(super) fn wait_for(wanted_taps: usize, wanted_guests: usize) -> Result<(), Error> {
    let until = Instant::now() + LIMIT;
    loop {
        let found = (taps()?.len(), guests()?.len());
        if found == (wanted_taps, wanted_guests) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::wrong(format!(
                "{wanted_taps} TAPs and {wanted_guests} guests in the rules were to be there, not {found:?}"
            )));
        }
        super::super::interrupt::check()?;
        std::thread::park_timeout(LOOK);
    }
}

/// Demands that the namespace is as it was: loopback, and no rules.
pub(super) fn demand_nothing() -> Result<(), Error> {
    let names: Vec<_> = links()?
        .iter()
        .map(|link| link["ifname"].to_string())
        .collect();
    let rules = nft("list ruleset")?;
    if names == [r#""lo""#] && rules.is_empty() {
        return Ok(());
    }
    let rules = String::from_utf8_lossy(&rules);
    Err(Error::wrong(format!("left: {names:?}, rules {rules:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tap_counts_when_it_is_up_and_on_our_bridge() {
        let link = |name: &str, master: &str, flag: &str| json!({"ifname": name, "master": master, "flags": ["BROADCAST", flag]});
        let links = [
            link("tap-fc-1", "br-fc", "UP"),
            link("tap-fc-2", "br-fc", "NO-CARRIER"),
            link("tap-fc-3", "br-other", "UP"),
            link("tap-x", "br-fc", "UP"),
        ];
        assert_eq!(taps_of(&links), ["tap-fc-1"]);
    }

    #[test]
    fn the_probe_is_no_guest() {
        let elements =
            json!([{"concat": ["tap-fc-7", "06:00"]}, {"concat": ["tap-fc-probe", "02:62"]}]);
        let listing = json!({"nftables": [{"metainfo": {}}, {"set": {"elem": elements}}]});
        assert_eq!(guests_of(&listing), ["tap-fc-7"]);
        assert!(guests_of(&json!({"nftables": [{"set": {}}]})).is_empty());
    }
}
