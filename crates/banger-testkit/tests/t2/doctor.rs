//! `banger doctor` with the real daemon and the real root helper, on a host of the test's own: what it
//! says of bridge, rules, firewalls and names, and that what it advises helps.

use banger_testkit::{World, checks, namespaces};
use serde_json::Value;
use std::net::UdpSocket;
use std::process::Command;

const DOCKER: &str = include_str!("../../src/firewalls/docker.nft");
const FIREWALLD: &str = include_str!("../../src/firewalls/firewalld.nft");
const PLAIN: &str = include_str!("../../src/firewalls/plain.nft");

/// A host with an uplink, whose guests are on the bridge where they can.
fn on_a_host(test: impl FnOnce(&World)) {
    namespaces::own_network(|| {
        for line in [
            "ip link add up0 type veth peer name up1",
            "ip address add 192.0.2.2/24 dev up0",
            "ip -6 address add 2001:db8::2/64 dev up0 nodad",
            "ip link set up0 up",
            "ip link set up1 up",
            "ip route add default via 192.0.2.1",
            "ip -6 route add default via 2001:db8::1",
        ] {
            tool(line);
        }
        let world = World::simulated();
        world.configure("network = \"bridge\"\naccelerator = \"tcg\"\nstart_limit_seconds = 20\n");
        test(&world);
        world.stop_daemon();
    });
}

fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let output = command.args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}; `cargo xtask setup`"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs what a remedy says, as a shell would.
fn follow(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("sh").success(), "{command}");
}

fn load(rules: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rules).expect("written");
    tool(&format!("nft -f {}", file.path().display()));
}

/// The checks of one name: verdict, what was found, remedy.
fn found(world: &World, name: &str) -> Vec<[String; 3]> {
    let all = world.run(["doctor", "--json"]).json();
    let all = all.as_array().expect("checks").iter();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let ours = all.filter(|check| check["name"] == name);
    ours.map(|check| ["verdict", "found", "remedy"].map(|key| text(check, key)))
        .collect()
}

/// The one check of a name that does not pass.
fn wrong(world: &World, name: &str) -> [String; 3] {
    let mut wrong = found(world, name);
    wrong.retain(|[verdict, ..]| verdict != "pass");
    assert_eq!(wrong.len(), 1, "{name}: {wrong:?}");
    wrong.remove(0)
}

fn all_pass(world: &World, name: &str) {
    let checks = found(world, name);
    assert!(
        !checks.is_empty() && checks.iter().all(|[verdict, ..]| verdict == "pass"),
        "{name}: {checks:?}"
    );
}

/// The commands of a remedy: between backquotes.
fn commands(remedy: &str) -> Vec<&str> {
    remedy.split('`').skip(1).step_by(2).collect()
}

/// The next command's daemon; the doctor itself starts none.
fn next_daemon(world: &World) {
    world.stop_daemon();
    let _ = world.run(["vm", "list"]).good();
}

fn start(world: &World, name: &str, options: &[&str]) {
    let arguments = [&["-d", "--name", name], options].concat();
    let _ = world.run(checks::run(&arguments)).good();
}

#[test]
fn a_fresh_host_passes_and_nothing_is_made_on_it() {
    on_a_host(|world| {
        let before = tool("ip -br link");
        for name in [
            "network",
            "root helper",
            "bridge",
            "rules",
            "firewall",
            "names",
        ] {
            all_pass(world, name);
        }
        let [_, helper, _] = found(world, "root helper").remove(0);
        assert!(helper.contains("banger-root 0"), "{helper}");
        let [_, bridge, _] = found(world, "bridge").remove(0);
        assert!(
            bridge.contains("172.16.0.0/24") && bridge.contains("not made yet"),
            "{bridge}"
        );
        assert_eq!(tool("ip -br link"), before);
        assert_eq!(tool("nft list tables"), "");
    });
}

#[test]
fn a_host_with_guests_passes_and_the_probe_leaves_nothing() {
    on_a_host(|world| {
        start(world, "v", &["--nat"]);
        let rules = tool("nft list tables");
        for name in ["network", "bridge", "rules", "firewall", "names"] {
            all_pass(world, name);
        }
        let [_, firewall, _] = found(world, "firewall").remove(0);
        assert!(
            firewall.contains("IPv4") && firewall.contains("IPv6"),
            "{firewall}"
        );
        assert!(found(world, "names")[0][1].contains("vm is served at 127.0.0.1:42069"));
        assert!(!tool("ip -br link").contains("probe"));
        assert_eq!(tool("nft list tables"), rules);
    });
}

#[test]
fn a_rule_that_was_edited_and_a_tap_of_another_are_told_and_guests_go_on() {
    on_a_host(|world| {
        start(world, "v", &[]);
        let table = tool("nft -a list chain inet banger to_host");
        let line = table
            .lines()
            .find(|line| line.contains("nothing else of the host"));
        let handle = line
            .and_then(|line| line.rsplit(' ').next())
            .expect("a handle");
        load(&format!(
            "replace rule inet banger to_host handle {handle} accept comment \"guests reach nothing else of the host\"\n"
        ));
        let [verdict, what, remedy] = wrong(world, "rules");
        assert_eq!(verdict, "fail");
        assert!(
            what.contains("table inet banger") && remedy.contains("daemon stop"),
            "{what}"
        );
        // The next change finds it as well, and loads what should be there.
        tool("ip tuntap add tap-fc-7 mode tap");
        for name in ["w", "x", "y", "z"] {
            start(world, name, &[]);
        }
        all_pass(world, "rules");
        assert!(tool("nft list chain inet banger to_host").contains("reject"));
        let [verdict, what, _] = wrong(world, "bridge");
        assert_eq!(verdict, "warn");
        assert!(what.contains("tap-fc-7"), "{what}");
        let _ = world.run(["vm", "rm", "v", "w", "x", "y", "z"]).good();
        let links = tool("ip -br link show type tun");
        assert!(links.contains("tap-fc-7"), "{links}");
        tool("ip link delete tap-fc-7");
    });
}

#[test]
fn each_firewall_is_named_with_the_remedy_of_its_tool() {
    on_a_host(|world| {
        start(world, "v", &["--nat"]);
        load(DOCKER);
        let [verdict, what, remedy] = wrong(world, "firewall");
        assert_eq!(verdict, "fail");
        assert!(
            what.contains("policy of chain FORWARD in table ip filter drops"),
            "{what}"
        );
        assert!(
            remedy.contains("iptables -I DOCKER-USER -i br-fc -j ACCEPT"),
            "{remedy}"
        );
        commands(&remedy).into_iter().for_each(follow);
        all_pass(world, "firewall");
        tool("nft delete table ip filter");

        tool("nft delete table ip nat");

        load(FIREWALLD);
        let mut checks = found(world, "firewall");
        checks.retain(|[verdict, ..]| verdict != "pass");
        assert_eq!(checks.len(), 2, "IPv4 and IPv6: {checks:?}");
        for [_, what, remedy] in checks {
            assert!(
                what.contains("reject with icmpx admin-prohibited"),
                "{what}"
            );
            assert!(
                remedy.contains("firewall-cmd --zone=trusted --add-interface=br-fc"),
                "{remedy}"
            );
        }
        // What that command loads, without firewalld.
        load(
            "add chain inet firewalld filter_FWD_trusted { accept; }\n\
             insert rule inet firewalld filter_FORWARD_ZONES iifname br-fc goto filter_FWD_trusted\n",
        );
        all_pass(world, "firewall");
    });
}

#[test]
fn the_remedies_for_ufw_help_as_ufw_itself_takes_them() {
    on_a_host(|world| {
        // Its files are the test's own from here on.
        let files = world.path("ufw");
        tool(&format!("cp -a /etc/ufw {}", files.display()));
        tool(&format!("mount --bind {} /etc/ufw", files.display()));
        start(world, "v", &["--nat"]);
        tool("ufw --force enable");
        let mut checks = found(world, "firewall");
        checks.retain(|[verdict, ..]| verdict != "pass");
        let remedies: Vec<_> = checks
            .iter()
            .map(|[verdict, _, remedy]| (verdict.as_str(), remedy.as_str()))
            .collect();
        let wanted = [
            ("fail", "`ufw route allow in on br-fc`"),
            ("fail", "`ufw route allow in on br-fc`"),
            ("warn", "`ufw allow in on br-fc to any port 42069`"),
        ];
        assert_eq!(remedies, wanted, "IPv4, IPv6, names: {checks:?}");
        for [_, _, remedy] in &checks {
            commands(remedy).into_iter().for_each(follow);
        }
        all_pass(world, "firewall");
    });
}

#[test]
fn the_remedy_for_iptables_helps_as_iptables_itself_takes_it() {
    on_a_host(|world| {
        start(world, "v", &["--nat"]);
        for program in ["iptables", "ip6tables"] {
            tool(&format!("{program} -P FORWARD DROP"));
            tool(&format!(
                "{program} -A FORWARD -m conntrack --ctstate INVALID -j DROP"
            ));
        }
        let mut checks = found(world, "firewall");
        checks.retain(|[verdict, ..]| verdict != "pass");
        assert_eq!(checks.len(), 2, "IPv4 and IPv6: {checks:?}");
        for [verdict, _, remedy] in &checks {
            assert!(verdict == "fail" && commands(remedy).len() == 2, "{remedy}");
            commands(remedy).into_iter().for_each(follow);
        }
        all_pass(world, "firewall");
    });
}

#[test]
fn the_remedy_for_a_rule_written_by_hand_helps_as_it_is_given() {
    on_a_host(|world| {
        start(world, "v", &["--nat"]);
        load(PLAIN);
        let mut checks = found(world, "firewall");
        checks.retain(|[verdict, ..]| verdict != "pass");
        let [_, what, remedy] = checks.first().expect("it drops");
        assert!(
            what.contains("only the LAN goes out") && what.contains("inet my_filter"),
            "{what}"
        );
        assert_eq!(commands(remedy).len(), 2, "{remedy}");
        for command in commands(remedy) {
            follow(&format!("nft '{}'", command.trim_start_matches("nft ")));
        }
        all_pass(world, "firewall");
    });
}

#[test]
fn rules_that_somebody_changed_are_told_and_the_remedy_helps() {
    on_a_host(|world| {
        start(world, "v", &[]);
        all_pass(world, "rules");
        tool("nft flush chain inet banger forward");
        let [verdict, what, remedy] = wrong(world, "rules");
        assert_eq!(verdict, "fail");
        assert!(what.contains("changed since they were loaded"), "{what}");
        assert!(remedy.contains("banger daemon stop"), "{remedy}");
        next_daemon(world);
        all_pass(world, "rules");
        // The mark goes with them.
        tool("nft flush table inet banger");
        let [_, what, remedy] = wrong(world, "rules");
        assert!(what.contains("mark"), "{what}");
        for command in commands(&remedy) {
            if command.starts_with("nft") {
                follow(command);
            }
        }
        assert!(wrong(world, "rules")[1].contains("are gone"));
        next_daemon(world);
        all_pass(world, "rules");
    });
}

#[test]
fn collisions_and_interfaces_of_others_are_told() {
    on_a_host(|world| {
        start(world, "v", &[]);
        let _ = world.run(["vm", "rm", "v"]).good();
        world.stop_daemon();
        tool("ip link add br-other type bridge");
        tool("ip address add 172.16.0.9/24 dev br-other");
        tool("ip link add tap-fc-7 type bridge");
        tool("ip link add tap-fc-mine type bridge");
        let mut checks = found(world, "bridge");
        checks.retain(|[verdict, ..]| verdict != "pass");
        let told: Vec<_> = checks.iter().map(|[_, what, _]| what.as_str()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("172.16.0.9/24 of br-other"), "{told:?}");
        assert!(checks[0][2].contains("bridge_ip"), "{checks:?}");
        assert!(
            told[1].contains("tap-fc-7") && told[2].contains("tap-fc-mine"),
            "{told:?}"
        );
        // And so by the next start, which makes nothing.
        let refused = world.run(checks::run(&["-d", "--name", "w"]));
        assert_eq!(refused.code, Some(125), "{}", refused.stderr);
        for said in ["172.16.0.9/24 of br-other", "bridge_ip"] {
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        }
        assert!(world.names().is_empty());
        world.stop_daemon();
        tool("ip link del br-other");
        tool("ip link add br-fc type bridge");
        let told = found(world, "bridge");
        assert!(
            told.iter()
                .any(|[_, what, _]| what.contains("br-fc belongs to another program")),
            "{told:?}"
        );
    });
}

#[test]
fn a_collision_that_comes_beside_running_guests_is_told_by_the_next_start() {
    on_a_host(|world| {
        start(world, "v", &[]);
        tool("ip link add br-other up type bridge");
        tool("ip address add 172.16.0.9/24 dev br-other");
        let started = world.run(checks::run(&["-d", "--name", "w"])).good();
        let said = "collides with the route 172.16.0.0/24 of br-other";
        assert!(started.stderr.contains(said), "{}", started.stderr);
        tool("ip link delete br-other");
        let started = world.run(checks::run(&["-d", "--name", "x"])).good();
        assert!(!started.stderr.contains("collides"), "{}", started.stderr);
    });
}

#[test]
fn who_has_the_port_of_the_names_is_told() {
    on_a_host(|world| {
        let own = UdpSocket::bind("127.0.0.1:42069").expect("free");
        let told = wrong(world, "names");
        assert!(
            told[1].contains(&format!("(pid {})", std::process::id())),
            "{told:?}"
        );
        start(world, "v", &[]);
        assert!(wrong(world, "names")[1].contains("has the port 127.0.0.1:42069"));
        drop(own);
    });
}

#[test]
fn what_a_start_asks_of_the_helper_is_in_its_log_with_the_operations_id() {
    on_a_host(|world| {
        start(world, "v", &[]);
        let log = |name: &str| std::fs::read_to_string(world.state().join(name)).expect("a log");
        let bangerd = log("bangerd.log");
        let line = bangerd
            .lines()
            .find(|line| line.contains("operation begins") && line.contains("create"))
            .expect("it says so");
        let op = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("op="))
            .expect("an id");
        let helper = log("banger-root.log");
        for verb in ["ensure_bridge", "sweep", "set_policy"] {
            assert!(
                helper.contains(&format!("{op} {verb}")),
                "{op} {verb}: {helper}"
            );
        }
    });
}
