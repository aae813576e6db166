use super::fixtures::{bridge, digest, fresh, served, working};
use super::*;
use crate::host_network::examine::Asked;
use banger_proto::fault::FaultCode;
use banger_proto::root::{self, Forwarded, PathKind, ResolverState, TapState, Uplink, Whose};
use std::fmt::Write as _;
use std::num::NonZeroU16;

/// As the table of the command line has it.
fn shown(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let (verdict, name) = (check.verdict, &check.name);
        writeln!(text, "{verdict:?} {name}: {}", check.found).unwrap();
        if let Some(remedy) = &check.remedy {
            writeln!(text, "     remedy: {remedy}").unwrap();
        }
    }
    text
}

fn judged(found: Examined) -> String {
    shown(&judge(None, &bridge(), &Ok(found)))
}

/// The lines that are there because of a change, with the remedy that follows.
fn lines(change: impl FnOnce(&mut Examined)) -> String {
    let before = judged(working());
    let mut found = working();
    change(&mut found);
    let new = judged(found);
    let new = new.lines().filter(|line| !before.contains(line));
    new.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_host_on_which_all_is_well_passes() {
    insta::assert_snapshot!(judged(working()), @r#"
    Pass network: guests are on the bridge br-fc, 172.16.0.0/24 and fd07:707:707::/64: the root helper is there
    Pass root helper: banger-root 0.1.0 at /opt/banger-root
    Pass bridge: br-fc, 172.16.0.0/24 and fd07:707:707::/64, MTU 1500, 3 of 1024 ports
    Pass rules: whole, digest e6b0104433713863
    Pass firewall: lets packets of guests through: to the outside by IPv4, to the outside by IPv6, to the host's names
    Pass names: vm is served at 127.0.0.1:42069
    Pass names: systemd-resolved asks for vm at 127.0.0.1:42069, on br-fc
    "#);
}

#[test]
fn a_host_on_which_nothing_was_made_yet_passes_and_says_when_it_is_made() {
    insta::assert_snapshot!(judged(fresh()), @r#"
    Pass network: guests are on the bridge br-fc, 172.16.0.0/24 and fd07:707:707::/64: the root helper is there
    Pass root helper: banger-root 0.1.0 at /opt/banger-root
    Pass bridge: 172.16.0.0/24 and fd07:707:707::/64; not made yet: the first start of a guest on it does
    Pass rules: none: no guest on the bridge has needed any
    Pass firewall: not probed: the first start of a guest on the bridge makes what that needs
    Pass names: not served yet: the first start of a guest on the bridge serves at 127.0.0.1:42069
    "#);
}

#[test]
fn without_a_helper_it_says_why_and_what_helps_and_asks_no_further() {
    let fault = Fault::new(FaultCode::Unavailable, "there is no helper").with_remedy("build it");
    let nobody = Err(fault);
    insta::assert_snapshot!(shown(&judge(None, &bridge(), &nobody)), @r#"
    Warn network: guests are connected in user mode: there is no helper
         remedy: build it
    Warn root helper: there is no helper
         remedy: build it
    "#);
    let wanted = judge(Some(NetworkMode::Bridge), &bridge(), &nobody);
    assert!(wanted.iter().all(|check| check.verdict == Verdict::Fail));
    let configured = judge(Some(NetworkMode::Bridge), &bridge(), &Ok(working()));
    assert!(configured[0].found.ends_with("config.toml says so"));
}

#[test]
fn a_collision_is_told_with_the_remedy() {
    let collision = || {
        let message =
            "the subnet 172.16.0.0/24 collides with the address 172.16.0.1/24 of br-other";
        Fault::new(FaultCode::Conflict, message).with_remedy("set bridge_ip")
    };
    insta::assert_snapshot!(lines(|found| found.subnet = Err(collision())), @r#"
    Fail network: guests are to be on the bridge br-fc, which has no subnet
    Fail bridge: the subnet 172.16.0.0/24 collides with the address 172.16.0.1/24 of br-other
         remedy: set bridge_ip
    "#);
}

#[test]
fn what_is_wrong_with_the_bridge_is_told() {
    let on_bridge = |change: fn(&mut root::BridgeState)| {
        lines(|found| change(found.survey.bridge.as_mut().unwrap()))
    };
    insta::assert_snapshot!(on_bridge(|bridge| bridge.up = false), @r#"
    Fail bridge: br-fc is down
         remedy: `ip link set br-fc up`
    "#);
    insta::assert_snapshot!(on_bridge(|bridge| bridge.whose = Whose::Foreign(None)), @r#"
    Fail bridge: the interface br-fc belongs to another program
         remedy: set `bridge_name = "br-fc-2"` in config.toml, or remove that interface
    "#);
    let another = Whose::Foreign(Some("0101010101010101".parse().unwrap()));
    let foreign = lines(|found| found.survey.bridge.as_mut().unwrap().whose = another);
    assert!(foreign.contains("belongs to banger installation 0101010101010101"));
    insta::assert_snapshot!(on_bridge(|bridge| bridge.mtu = 9000), @r#"
    Pass bridge: br-fc, 172.16.0.0/24 and fd07:707:707::/64, MTU 9000, 3 of 1024 ports
    Warn bridge: the MTU of br-fc is 9000, that of eth0 is 1500
         remedy: stop the guests on it, then `banger daemon stop`: it is made anew
    "#);
}

#[test]
fn a_bridge_that_is_gone_under_its_guests_and_guests_that_are_not_on_it_are_told() {
    insta::assert_snapshot!(lines(|found| found.survey.bridge = None), @r#"
    Fail bridge: br-fc was removed by another program: guests reach nothing
         remedy: start a machine: it is made anew, with those that run on it
    "#);
    let apart = |on_bridge, in_use| TapState {
        slot: 3.try_into().unwrap(),
        whose: Whose::Ours,
        on_bridge,
        up: true,
        in_use,
        owner: Some(0),
    };
    for harmless in [apart(true, true), apart(false, false)] {
        assert_eq!(lines(|found| found.survey.taps = vec![harmless]), "");
    }
    insta::assert_snapshot!(lines(|found| found.survey.taps = vec![apart(false, true)]), @r#"
    Fail bridge: TAPs of guests that are no ports of br-fc: tap-fc-3
         remedy: `ip link set TAP master br-fc` for each
    "#);
}

#[test]
fn ports_are_told_before_the_last_is_taken() {
    let with = |ports| lines(|found| found.survey.bridge.as_mut().unwrap().ports = ports);
    assert!(!with(899).contains("Warn"));
    assert!(with(900).contains("Warn bridge: 900 of 1024 ports of br-fc are in use"));
    assert!(with(1024).contains("Fail bridge: 1024 of 1024 ports of br-fc are in use"));
}

#[test]
fn interfaces_of_others_with_names_of_ours_are_named_a_few_of_them() {
    let tap = |slot: u16, whose| TapState {
        slot: slot.try_into().unwrap(),
        whose,
        on_bridge: false,
        up: false,
        in_use: false,
        owner: None,
    };
    let told = lines(|found| {
        found.survey.taps = vec![tap(1, Whose::Ours), tap(9, Whose::Foreign(None))];
        found.survey.strays = (0..7).map(|n| format!("tap-fc-x{n}")).collect();
    });
    insta::assert_snapshot!(told, @r#"
    Warn bridge: TAPs with names of ours that belong to others: tap-fc-9
         remedy: guests get others instead; remove them with `ip link del NAME` if nobody needs them
    Warn bridge: interfaces that are named like TAPs of guests and are none: tap-fc-x0, tap-fc-x1, tap-fc-x2, tap-fc-x3, tap-fc-x4 and 2 more
         remedy: rename or remove them: the rules let nothing of theirs through the bridge
    "#);
}

#[test]
fn rules_that_are_not_the_daemons_are_told() {
    insta::assert_snapshot!(lines(|found| found.survey.policy = None), @r#"
    Fail rules: the tables banger are gone: guests are not kept apart
         remedy: `banger daemon stop`: the daemon that the next command starts loads them anew
    "#);
    let on_rules = |change: fn(&mut root::PolicyState)| {
        lines(|found| change(found.survey.policy.as_mut().unwrap()))
    };
    insta::assert_snapshot!(on_rules(|rules| rules.changed = Some("a rule is gone".into())), @r#"
    Fail rules: changed since they were loaded: a rule is gone
         remedy: `banger daemon stop`: the daemon that the next command starts loads them anew
    "#);
    insta::assert_snapshot!(on_rules(|rules| rules.whose = Whose::Foreign(None)), @r#"
    Fail rules: the tables banger belong to nobody that is known
         remedy: stop that installation's daemon; if it is gone, `nft delete table inet banger; nft delete table bridge banger`
    "#);
    let unmarked = Whose::Foreign(Some(working().installation));
    let unmarked = lines(|found| found.survey.policy.as_mut().unwrap().whose = unmarked);
    assert!(
        unmarked.contains("a mark of the tables banger is gone"),
        "{unmarked}"
    );
    let older = on_rules(|rules| rules.digest = Some(digest(None)));
    assert!(
        older.contains("Fail rules: not those of the guests that run"),
        "{older}"
    );
    let trouble = |found: &mut Examined| {
        found.wanted.as_mut().unwrap().trouble = Some("the root helper is gone".into());
    };
    assert!(lines(trouble).contains("not taken the newest: the root helper is gone"));
    let never = lines(|found| {
        trouble(found);
        found.survey.policy = None;
    });
    assert!(
        never.contains("has not taken them: the root helper is gone"),
        "{never}"
    );
    let adopted = lines(|found| found.wanted = None);
    assert!(
        adopted.contains("Pass rules: whole, of a daemon before"),
        "{adopted}"
    );
}

fn dropped(
    family: &str,
    table: &str,
    chain: &str,
    rule: Option<&str>,
    through: &[&str],
) -> root::Verdict {
    root::Verdict::Dropped {
        family: family.into(),
        table: table.into(),
        chain: chain.into(),
        rule: rule.map(Into::into),
        through: through.iter().map(|chain| (*chain).to_owned()).collect(),
        rejected: rule.is_some_and(|rule| rule.starts_with("reject")),
    }
}

fn closed(kind: PathKind, verdict: root::Verdict) -> String {
    lines(|found| found.paths = vec![(kind, Ok(verdict))])
}

#[test]
fn a_drop_is_named_with_the_remedy_of_the_tool_whose_rule_it_is() {
    use PathKind::{HostIpv4, OutIpv4, OutIpv6};
    let docker = ["DOCKER-USER", "DOCKER-FORWARD"];
    insta::assert_snapshot!(closed(OutIpv4, dropped("ip", "filter", "FORWARD", None, &docker)), @r#"
    Fail firewall: the policy of chain FORWARD in table ip filter drops packets of guests to the outside by IPv4
         remedy: `iptables -I DOCKER-USER -i br-fc -j ACCEPT` and `iptables -I DOCKER-USER -o br-fc -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`
    "#);
    let six = closed(OutIpv6, dropped("ip6", "filter", "FORWARD", None, &docker));
    assert!(
        six.contains("`ip6tables -I DOCKER-USER -i br-fc -j ACCEPT`"),
        "{six}"
    );
    let both = closed(
        OutIpv4,
        dropped(
            "ip",
            "filter",
            "FORWARD",
            None,
            &["DOCKER-USER", "ufw-before-forward"],
        ),
    );
    assert!(both.contains("iptables -I DOCKER-USER"), "{both}");
    insta::assert_snapshot!(closed(OutIpv4, dropped("ip", "filter", "FORWARD", None, &["ufw-before-forward"])), @r#"
    Fail firewall: the policy of chain FORWARD in table ip filter drops packets of guests to the outside by IPv4
         remedy: `ufw route allow in on br-fc`
    "#);
    insta::assert_snapshot!(closed(HostIpv4, dropped("ip", "filter", "INPUT", None, &["ufw-before-input"])), @r#"
    Warn firewall: the policy of chain INPUT in table ip filter drops packets of guests to the host's names
         remedy: `ufw allow in on br-fc to any port 42069`
    "#);
    let reject = Some("reject with icmpx admin-prohibited");
    insta::assert_snapshot!(closed(OutIpv4, dropped("inet", "firewalld", "filter_FORWARD", reject, &[])), @r#"
    Fail firewall: the rule `reject with icmpx admin-prohibited` of chain filter_FORWARD in table inet firewalld rejects packets of guests to the outside by IPv4
         remedy: `firewall-cmd --zone=trusted --add-interface=br-fc`, and once more with --permanent
    "#);
    insta::assert_snapshot!(closed(OutIpv4, dropped("ip", "filter", "FORWARD", None, &[])), @r#"
    Fail firewall: the policy of chain FORWARD in table ip filter drops packets of guests to the outside by IPv4
         remedy: `iptables -I FORWARD -i br-fc -j ACCEPT` and `iptables -I FORWARD -o br-fc -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`
    "#);
    insta::assert_snapshot!(closed(HostIpv4, dropped("ip", "filter", "INPUT", None, &[])), @r#"
    Warn firewall: the policy of chain INPUT in table ip filter drops packets of guests to the host's names
         remedy: `iptables -I INPUT -i br-fc -j ACCEPT`
    "#);
    insta::assert_snapshot!(closed(OutIpv4, dropped("inet", "mine", "fwd", Some("counter drop"), &[])), @r#"
    Fail firewall: the rule `counter drop` of chain fwd in table inet mine drops packets of guests to the outside by IPv4
         remedy: `nft insert rule inet mine fwd iifname "br-fc" accept` and `nft insert rule inet mine fwd oifname "br-fc" ct state established,related accept`, and the same where your rules are kept
    "#);
    let host = closed(HostIpv4, dropped("inet", "mine", "in", Some("drop"), &[]));
    assert!(
        host.contains("`nft insert rule inet mine in iifname \"br-fc\" accept`, and the same"),
        "{host}"
    );
    let own = closed(OutIpv4, dropped("inet", "banger", "forward", None, &[]));
    assert!(own.contains("banger daemon stop"), "{own}");
}

#[test]
fn what_no_rule_has_dropped_is_told_with_how_to_look() {
    use root::Verdict::NotForwarded;
    insta::assert_snapshot!(closed(PathKind::OutIpv4, NotForwarded(Forwarded::Unknown)), @r#"
    Fail firewall: packets of guests to the outside by IPv4 do not arrive, and no rule of nftables ends them: rules of legacy iptables cannot be traced
         remedy: look for what counts in `iptables-legacy -vnL FORWARD`, then `iptables-legacy -I FORWARD -i br-fc -j ACCEPT`
    "#);
    let six = closed(PathKind::OutIpv6, NotForwarded(Forwarded::Unknown));
    assert!(six.contains("`ip6tables-legacy -vnL FORWARD`"), "{six}");
    let host = closed(PathKind::HostIpv4, NotForwarded(Forwarded::Unknown));
    assert!(
        host.contains("Warn") && host.contains("`iptables-legacy -vnL INPUT`"),
        "{host}"
    );
    let no_route = closed(PathKind::OutIpv6, NotForwarded(Forwarded::NoRoute));
    assert_eq!(
        no_route,
        "Pass firewall: the host itself has no route to the outside by IPv6"
    );
    let off = closed(PathKind::OutIpv4, NotForwarded(Forwarded::SwitchedOff));
    assert!(
        off.contains("Fail") && off.contains("sysctl -w net.ipv4.conf.br-fc.forwarding=1"),
        "{off}"
    );
    let unwanted = lines(|found| {
        found.wanted.as_mut().unwrap().wide = false;
        found.paths = vec![(PathKind::OutIpv6, Ok(NotForwarded(Forwarded::SwitchedOff)))];
    });
    assert!(
        unwanted.starts_with("Pass firewall: nothing is forwarded"),
        "{unwanted}"
    );
    let broken = Fault::new(FaultCode::TimedOut, "no answer");
    let broken = lines(|found| found.paths = vec![(PathKind::OutIpv4, Err(broken))]);
    assert_eq!(broken, "Warn firewall: no answer");
}

#[test]
fn names_that_are_not_served_are_told_with_who_has_the_port() {
    let not_served = |asked, holder: Option<&str>| {
        lines(|found| {
            found.wanted.as_mut().unwrap().names = None;
            found.names.asked = asked;
            found.names.holder = holder.map(Into::into);
        })
    };
    insta::assert_snapshot!(not_served(Asked::Other, Some("dnsmasq (pid 9)")), @r#"
    Warn names: names of guests are not served: dnsmasq (pid 9) has the port 127.0.0.1:42069
         remedy: free the port, or set dns_address in config.toml; then `banger daemon stop`
    "#);
    let another = not_served(Asked::Authority, Some("bangerd (pid 9)"));
    assert!(
        another.contains("another banger, bangerd (pid 9), serves at 127.0.0.1:42069"),
        "{another}"
    );
    let hidden = not_served(Asked::Authority, None);
    assert!(hidden.contains("another banger serves at"), "{hidden}");
    let hidden = not_served(Asked::Other, None);
    assert!(hidden.contains("another name server has"), "{hidden}");
    let silent = lines(|found| found.names.asked = Asked::Silent);
    assert!(
        silent.contains("Fail names: the daemon's name server at 127.0.0.1:42069 does not answer"),
        "{silent}"
    );
    let mut early = fresh();
    early.names.holder = Some("dnsmasq (pid 9)".into());
    assert!(judged(early).contains("Warn names: names of guests are not served: dnsmasq (pid 9)"));
}

#[test]
fn the_hosts_resolver_is_told_apart() {
    let with = |state| lines(|found| found.survey.resolver = state);
    insta::assert_snapshot!(with(ResolverState::Unset), @r#"
    Warn names: systemd-resolved does not ask for vm at 127.0.0.1:42069
         remedy: docs/names.md has what your resolver needs
    "#);
    insta::assert_snapshot!(with(ResolverState::Unavailable), @r#"
    Pass names: the host has no systemd-resolved to be told of 127.0.0.1:42069
         remedy: docs/names.md has what your resolver needs
    "#);
    assert!(with(ResolverState::Other).contains("Warn names: somebody else"));
    let other = with(ResolverState::Set(NonZeroU16::new(53).unwrap()));
    assert!(
        other.contains(&format!("at port 53, not at {}", served())),
        "{other}"
    );
}

#[test]
fn a_host_without_an_uplink_has_no_mtu_to_fit() {
    let with = |uplink: Option<Uplink>| {
        lines(|found| {
            found.survey.bridge.as_mut().unwrap().mtu = 1400;
            found.survey.uplink = uplink;
        })
    };
    assert!(!with(None).contains("Warn"));
    let uplink = working().survey.uplink;
    assert!(with(uplink).contains("Warn"));
}
