//! What lets guests through somebody else's firewall, by whose rules they are: each tool keeps its own
//! rules, and one that is added behind its back is gone at its next start.

use banger_model::host_names::{BridgeName, TABLE};
use banger_proto::root::PathKind;

/// Where a packet was ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocked<'f> {
    pub(super) bridge: &'f BridgeName,
    /// Where names are served.
    pub(super) port: u16,
    pub(super) kind: PathKind,
    pub(super) family: &'f str,
    pub(super) table: &'f str,
    pub(super) chain: &'f str,
    /// The chains of that table that it came through.
    pub(super) through: &'f [String],
}

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Banger,
    Docker,
    Ufw,
    Firewalld,
    /// iptables, through nftables, with nobody known above it.
    Iptables,
    Nft,
}

fn tool(blocked: &Blocked<'_>) -> Tool {
    let chains = || {
        let through = blocked.through.iter().map(String::as_str);
        through.chain([blocked.chain])
    };
    let is_iptables = blocked.table == "filter" && matches!(blocked.family, "ip" | "ip6");
    if blocked.table == TABLE {
        Tool::Banger
    } else if blocked.table == "firewalld" {
        Tool::Firewalld
    // Docker's chain for its users is asked before ufw's, so that it helps with both.
    } else if is_iptables && blocked.kind.is_out() && chains().any(|c| c.starts_with("DOCKER")) {
        Tool::Docker
    } else if is_iptables && chains().any(|c| c.starts_with("ufw")) {
        Tool::Ufw
    } else if is_iptables {
        Tool::Iptables
    } else {
        Tool::Nft
    }
}

/// The commands.
pub(super) fn remedy(blocked: &Blocked<'_>) -> String {
    let Blocked {
        bridge,
        port,
        kind,
        family,
        table,
        chain,
        ..
    } = *blocked;
    let iptables = if family == "ip6" {
        "ip6tables"
    } else {
        "iptables"
    };
    let both_ways = |to: &str| {
        let answers = "-m conntrack --ctstate ESTABLISHED,RELATED";
        format!(
            "`{iptables} -I {to} -i {bridge} -j ACCEPT` and \
             `{iptables} -I {to} -o {bridge} {answers} -j ACCEPT`"
        )
    };
    match (tool(blocked), kind.is_out()) {
        (Tool::Banger, _) => {
            "`banger daemon stop`: the next daemon loads its rules anew".to_owned()
        }
        (Tool::Docker, _) => both_ways("DOCKER-USER"),
        (Tool::Ufw, true) => format!("`ufw route allow in on {bridge}`"),
        (Tool::Ufw, false) => format!("`ufw allow in on {bridge} to any port {port}`"),
        (Tool::Firewalld, _) => {
            let add = format!("firewall-cmd --zone=trusted --add-interface={bridge}");
            format!("`{add}`, and once more with --permanent")
        }
        (Tool::Iptables, true) => both_ways("FORWARD"),
        (Tool::Iptables, false) => format!("`{iptables} -I INPUT -i {bridge} -j ACCEPT`"),
        (Tool::Nft, out) => {
            let insert = format!("nft insert rule {family} {table} {chain}");
            let inward = format!("`{insert} iifname \"{bridge}\" accept`");
            let answers =
                format!("`{insert} oifname \"{bridge}\" ct state established,related accept`");
            let ways = if out {
                format!("{inward} and {answers}")
            } else {
                inward
            };
            format!("{ways}, and the same where your rules are kept")
        }
    }
}
