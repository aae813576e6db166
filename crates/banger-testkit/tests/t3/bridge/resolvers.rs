//! Whom a guest asks for names: the daemon for those of machines, the servers that its owner has named
//! for the rest.

use super::outside::{SERVER, connect_the_host};
use super::*;
use banger_testkit::namespaces::own_network;
use std::process::{Child, Command, Stdio};

/// A name server in the internet, which knows one name and answers it with [`ANSWER`]; all others it
/// refuses.
struct NameServer(Child);

const ANSWER: &str = "203.0.113.7";

impl NameServer {
    fn serve(address: &str, name: &str) -> Self {
        let mut dnsmasq = Command::new("ip");
        dnsmasq.args(["netns", "exec", "internet", "dnsmasq"]);
        dnsmasq.args(["--keep-in-foreground", "--log-facility=-", "--pid-file="]);
        dnsmasq.args(["--user=", "--group=", "--conf-file=/dev/null"]);
        dnsmasq.args(["--no-resolv", "--no-hosts", "--bind-interfaces"]);
        dnsmasq.arg(format!("--listen-address={address}"));
        dnsmasq.arg(format!("--address=/{name}/{ANSWER}"));
        let started = dnsmasq.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(started.expect("dnsmasq(8): `cargo xtask setup`"));
        eventually("the name server", LIMIT, || {
            let asked = format!("dig @{address} +short +tries=1 +time=1 {name}");
            let output = Command::new("sh").args(["-c", &asked]).output();
            let said = String::from_utf8_lossy(&output.expect("sh").stdout).into_owned();
            if said.trim() == ANSWER {
                Ok(())
            } else {
                Err(said)
            }
        });
        server
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_guest_asks_the_daemon_for_machines_and_the_configured_servers_for_the_rest_if_it_may_go_out() {
    own_network(|| {
        connect_the_host();
        // By IPv6 first: what that server refuses is asked of the other.
        let [four, six] = SERVER;
        let _six = NameServer::serve(six, "six.example");
        let _four = NameServer::serve(four, "four.example");
        let world = World::bridged();
        world.configure(&format!(
            "network = \"bridge\"\ndefault_dns = [\"{six}\", \"{four}\"]\n"
        ));
        guest(&world, "open", &["--nat"]);
        guest(&world, "shut", &["--link", "open"]);
        let gateway = bridge_addresses()[0];
        let written = sh(&world, "open", "grep nameserver /etc/resolv.conf").text();
        let wanted = [gateway.to_string(), six.to_owned(), four.to_owned()];
        let servers: Vec<_> = written.split_whitespace().skip(1).step_by(2).collect();
        assert_eq!(servers, wanted);

        let looks_up = |from: &str, name: &str| {
            let ran = sh(&world, from, &format!("getent ahostsv4 {name}"));
            ran.text().split_whitespace().next().map(str::to_owned)
        };
        for name in ["six.example", "four.example"] {
            assert_eq!(looks_up("open", name).as_deref(), Some(ANSWER), "{name}");
        }
        for (from, name) in [("open", "shut"), ("shut", "open"), ("shut", "shut")] {
            let address = addresses(&world, name)[0].to_string();
            assert_eq!(looks_up(from, &format!("{name}.vm")), Some(address));
        }
        assert_eq!(looks_up("shut", "six.example"), None, "it has no way out");
        let _ = world.run(["vm", "rm", "open", "shut"]).good();
        world.stop_daemon();
    });
}
