//! The network of the host: the helper, the rules, names, TAPs, published ports.

use super::{client, namespace, real_bridge, unit, whole};
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    // The helper.
    Mutation {
        holds: "another user is refused",
        file: "crates/banger-root/src/judge.rs",
        from: "peer.uid == 0 || peer.uid == place.owner {",
        to: "peer.uid == 0 || peer.uid >= place.owner {",
        test: unit(
            "banger-root",
            "judge::tests::every_other_user_is_refused_every_verb",
        ),
    },
    Mutation {
        holds: "the user is the one that the kernel says",
        file: "crates/banger-root/src/serve/request.rs",
        from: "Ok(peer) => Peer { uid: peer.uid },",
        to: "Ok(peer) => Peer { uid: peer.uid.min(self.place.owner) },",
        test: namespace("hostile::another_user_is_refused_whatever_it_asks"),
    },
    Mutation {
        holds: "nobody but its owner can connect to the helper's socket",
        file: "crates/banger-linux/src/seqpacket/mod.rs",
        from: "Mode::RUSR | Mode::WUSR).map_err",
        to: "Mode::from_raw_mode(0o666)).map_err",
        test: unit(
            "banger-linux",
            "seqpacket::t1::the_socket_is_its_owner_s_alone_whatever_the_umask",
        ),
    },
    Mutation {
        holds: "a request of another version is refused",
        file: "crates/banger-root/src/judge.rs",
        from: "if request.version != place.version {",
        to: "if !request.version.starts_with(&place.version) {",
        test: unit(
            "banger-root",
            "judge::tests::every_verb_of_another_version_is_refused",
        ),
    },
    Mutation {
        holds: "a foreign TAP stays when it is to be deleted",
        file: "crates/banger-root/src/act/taps.rs",
        from: "Some(link) if !link.ours => return Err(not_ours(link)),",
        to: "Some(link) if link.is_bridge => return Err(not_ours(link)),",
        test: unit(
            "banger-root",
            "act::tests::links::a_foreign_tap_keeps_its_whole_batch_from_being_touched",
        ),
    },
    Mutation {
        holds: "a sweep passes over a foreign TAP",
        file: "crates/banger-root/src/act/sweep.rs",
        from: "links.iter().filter(|link| link.ours);",
        to: "links.iter();",
        test: unit(
            "banger-root",
            "act::tests::links::a_foreign_tap_keeps_its_whole_batch_from_being_touched",
        ),
    },
    Mutation {
        holds: "what is ours is known by its mark",
        file: "crates/banger-root/src/real.rs",
        from: "let ours = links::bears(&link, &self.mark);",
        to: "let ours = links::bears(&link, &self.mark) || matches!(&link.kind, Kind::Tap(_));",
        test: namespace("verbs::what_is_foreign_stays"),
    },
    Mutation {
        holds: "what another installation marked is not ours",
        file: "crates/banger-linux/src/links/mod.rs",
        from: "Some(alias) => alias == mark.as_str(),",
        to: "Some(alias) => alias.starts_with(\"banger:\"),",
        test: namespace("verbs::what_is_foreign_stays"),
    },
    Mutation {
        holds: "what a killed helper left is swept",
        file: "crates/banger-root/src/act/sweep.rs",
        from: "filter(|slot| !live.contains(*slot))",
        to: "filter(|slot| !live.contains(*slot)).skip(1)",
        test: unit(
            "banger-root",
            "act::tests::crash::a_sweep_leaves_the_host_as_it_was",
        ),
    },
    // The rules.
    Mutation {
        holds: "a guest with foreign addresses is not heard",
        file: "crates/banger-model/src/policy/rules/bridge.rs",
        from: "rule(\"a guest with foreign addresses\", \"counter drop\")",
        to: "rule(\"a guest with foreign addresses\", \"counter accept\")",
        test: namespace("guests::a_guest_with_foreign_addresses_is_not_heard"),
    },
    Mutation {
        holds: "guests reach each other only when linked",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "rule(\"guests that share no network\", REJECT)",
        to: "rule(\"guests that share no network\", \"counter accept\")",
        test: namespace("guests::guests_reach_each_other_only_where_they_are_linked"),
    },
    Mutation {
        holds: "guests reach no service of the host",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "rule(\"guests reach nothing else of the host\", REJECT)",
        to: "rule(\"guests reach nothing else of the host\", \"counter accept\")",
        test: namespace("guests::guests_reach_no_address_of_the_host_nor_metadata"),
    },
    Mutation {
        holds: "rules that were not taken are brought again",
        file: "crates/bangerd/src/host_network/rules/mod.rs",
        from: "() = tokio::time::sleep(AGAIN) => {}",
        to: "() = std::future::pending() => {}",
        test: unit(
            "bangerd",
            "host_network::rules::tests::rules_that_the_host_did_not_take_are_told_and_brought_again",
        ),
    },
    Mutation {
        holds: "a guest advertises no address but its own over IPv6",
        file: "crates/banger-model/src/policy/rules/bridge.rs",
        from: "icmpv6 type nd-neighbor-advert iifname . @th,64,128 @neighbours accept",
        to: "icmpv6 type nd-neighbor-advert accept",
        test: namespace("guests::a_guest_advertises_no_other_address_over_ipv6"),
    },
    Mutation {
        holds: "what a guest advertises of itself is heard",
        file: "crates/banger-model/src/policy/rules/bridge.rs",
        from: "format!(\"0x{:032x}\", v6.to_bits())",
        to: "format!(\"0x{:032x}\", v6.to_bits().swap_bytes())",
        test: namespace("guests::a_guest_s_own_advertisement_is_heard_also_behind_options"),
    },
    Mutation {
        holds: "a guest with a way out goes out as the host (masquerade)",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "oifname != \\\"{}\\\" masquerade\"",
        to: "oifname != \\\"{}\\\" accept\"",
        test: namespace("guests::a_guest_with_a_way_out_goes_out_as_the_host"),
    },
    Mutation {
        holds: "a rule that was edited under its comment is noticed",
        file: "crates/banger-root/src/listing.rs",
        from: "rule {chain} {comment:?} {expr}",
        to: "rule {chain} {comment:?}",
        test: namespace(
            "rules::a_rule_that_another_edits_under_its_comment_is_noticed_and_replaced",
        ),
    },
    Mutation {
        holds: "packets that are counted do not pass for a change of a rule",
        file: "crates/banger-root/src/listing.rs",
        from: "        forget_counts(&mut expr);\n",
        to: "        let _ = &mut expr;\n",
        test: namespace("guests::what_guests_do_changes_no_rule"),
    },
    Mutation {
        holds: "guests that come and go change elements of sets and no rule",
        file: "crates/banger-root/src/act/policy.rs",
        from: "same_frame.then(|| rules.elements(&loaded.skeleton));",
        to: "(same_frame && rules.elements(&loaded.skeleton).is_some_and(|text| text.is_empty())).then(|| rules.elements(&loaded.skeleton));",
        test: namespace("rules::a_guest_that_comes_or_goes_leaves_the_rules_as_they_are"),
    },
    Mutation {
        holds: "a guest that is gone is gone from the sets",
        file: "crates/banger-model/src/policy/ruleset.rs",
        from: "let gone = present.difference(&set.elements);",
        to: "let gone = set.elements.difference(&set.elements);",
        test: unit(
            "banger-model",
            "policy::tests::elements_make_of_one_policy_any_other_with_the_same_networks",
        ),
    },
    Mutation {
        holds: "rules of another frame are never taken for the wanted ones",
        file: "crates/banger-root/src/act/policy.rs",
        from: "loaded.is_whole() && loaded.mark() == Some(rules.mark());",
        to: "loaded.is_whole();",
        test: unit(
            "banger-root",
            "act::tests::policy::another_port_of_names_is_loaded_though_every_comment_is_the_same",
        ),
    },
    Mutation {
        holds: "forwarding is switched on only behind rules that were checked",
        file: "crates/banger-root/src/act/policy.rs",
        from: "    verify(&found, rules)?;\n",
        to: "    let _ = verify(&found, rules);\n",
        test: unit(
            "banger-root",
            "act::tests::policy::rules_that_are_not_as_they_were_loaded_open_no_way_out",
        ),
    },
    Mutation {
        holds: "the helper keeps no memory of what it has done",
        file: "crates/banger-root/src/serve/mod.rs",
        from: "        serve_apart(desk, &connection);\n",
        to: "        desk.serve(&connection);\n",
        test: namespace("rules::the_helper_keeps_no_memory_of_a_thousand_guests"),
    },
    Mutation {
        holds: "IPv6 leads no way round to metadata services",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "format!(\"ip6 daddr {{ {CLOSED_V6} }} {REJECT}\"),",
        to: "format!(\"ip6 daddr {{ {CLOSED_V6} }} counter accept\"),",
        test: namespace(
            "guests_over_ipv6::guests_reach_no_address_of_the_host_nor_metadata_nor_what_leads_there_in_disguise",
        ),
    },
    Mutation {
        holds: "guests go out over IPv6 as the host",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "masked(\"ip6 saddr @nat6\")",
        to: "masked(\"ip6 saddr ::1\")",
        test: namespace(
            "guests_over_ipv6::a_guest_goes_out_over_ipv6_as_the_host_if_it_has_a_way_out_and_not_at_all_if_not",
        ),
    },
    Mutation {
        holds: "guests reach over IPv6 only those that they are linked with",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "\"ip6 saddr . ip6 daddr @pairs6 accept\"",
        to: "\"ip6 saddr != ::1 accept\"",
        test: namespace(
            "guests_over_ipv6::guests_reach_each_other_over_ipv6_only_where_they_are_linked",
        ),
    },
    Mutation {
        holds: "NAT64 leads no way round to metadata services",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "64:ff9b::a9fe:0/112, ",
        to: "",
        test: namespace(
            "guests_over_ipv6::guests_reach_no_address_of_the_host_nor_metadata_nor_what_leads_there_in_disguise",
        ),
    },
    // A bridge that was made anew, and the host's resolver.
    Mutation {
        holds: "guests are on a bridge that was made anew",
        file: "crates/bangerd/src/host_network/tap_pool/slots.rs",
        from: "self.idle.union(&self.used).copied()",
        to: "self.idle.iter().copied()",
        test: whole(
            "resolver::a_bridge_that_another_has_removed_is_made_again_with_its_guests_its_rules_and_the_resolver",
        ),
    },
    Mutation {
        holds: "the host's resolver forgets when the daemon leaves, guests or not",
        file: "crates/bangerd/src/host_network/ready.rs",
        from: "        self.names.revert_routing().await;\n        if !self.rules.places().is_empty() {\n            return;\n        }\n",
        to: "        if !self.rules.places().is_empty() {\n            return;\n        }\n        self.names.revert_routing().await;\n",
        test: whole(
            "resolver::the_resolver_is_told_with_the_first_guest_and_forgets_whenever_the_daemon_leaves",
        ),
    },
    Mutation {
        holds: "the host's resolver is told again with each start",
        file: "crates/bangerd/src/host_network/ready.rs",
        from: "        self.tell_names();\n        self.tell_resolver();\n        Ok(self.describe",
        to: "        self.tell_names();\n        Ok(self.describe",
        test: whole("resolver::what_the_resolver_has_forgotten_it_is_told_at_the_next_start"),
    },
    Mutation {
        holds: "who is already gone is gone, however little time there is to wait",
        file: "crates/bangerd/src/vmm/process/mod.rs",
        from: "    if is_readable(&pidfd)? {",
        to: "    if is_readable(&pidfd)? && false {",
        test: unit(
            "bangerd",
            "vmm::process::tests::t1::one_that_has_ended_is_gone_even_without_any_time",
        ),
    },
    Mutation {
        holds: "a collision that comes while machines run is told by the next start",
        file: "crates/bangerd/src/sandbox/objects.rs",
        from: "if let Some(collision) = self.services.host_network.collision() {",
        to: "if let Some(collision) = self.services.host_network.collision().filter(|_| false) {",
        test: real_bridge(
            "doctor::a_collision_that_comes_beside_running_guests_is_told_by_the_next_start",
        ),
    },
    Mutation {
        holds: "a later collision refuses the bridge",
        file: "crates/bangerd/src/host_network/choice.rs",
        from: "            Some(collision) => Err(collides(&collision)),\n        },\n        None",
        to: "            Some(_) => Ok(subnet),\n        },\n        None",
        test: unit(
            "bangerd",
            "host_network::choice::tests::a_later_collision_is_told_with_what_it_is",
        ),
    },
    // What doctor says of the network.
    Mutation {
        holds: "doctor tells a bridge that is gone under its guests",
        file: "crates/bangerd/src/doctor/network/bridge.rs",
        from: "(Ok(_), None) if found.wanted.is_some() => Check {",
        to: "(Ok(_), None) if found.wanted.is_none() && found.survey.bridge.is_some() => Check {",
        test: unit(
            "bangerd",
            "doctor::network::tests::a_bridge_that_is_gone_under_its_guests_and_guests_that_are_not_on_it_are_told",
        ),
    },
    Mutation {
        holds: "doctor tells rules that were changed",
        file: "crates/bangerd/src/doctor/network/rules.rs",
        from: "if let Some(changed) = &policy.changed {",
        to: "if let Some(changed) = policy.changed.as_ref().filter(|_| wanted.is_none()) {",
        test: unit(
            "bangerd",
            "doctor::network::tests::rules_that_are_not_the_daemons_are_told",
        ),
    },
    Mutation {
        holds: "doctor compares the rules with the wanted ones",
        file: "crates/bangerd/src/doctor/network/rules.rs",
        from: "if policy.digest.as_ref() == Some(rules) =>",
        to: "if policy.digest.is_some() || policy.digest.as_ref() == Some(rules) =>",
        test: unit(
            "bangerd",
            "doctor::network::tests::rules_that_are_not_the_daemons_are_told",
        ),
    },
    Mutation {
        holds: "doctor tells a bridge that is down",
        file: "crates/bangerd/src/doctor/network/bridge.rs",
        from: "(Ok(subnet), Some(bridge)) if bridge.up => {",
        to: "(Ok(subnet), Some(bridge)) if bridge.up || bridge.ports > 0 => {",
        test: unit(
            "bangerd",
            "doctor::network::tests::what_is_wrong_with_the_bridge_is_told",
        ),
    },
    Mutation {
        holds: "doctor tells a full bridge before its last port is taken",
        file: "crates/bangerd/src/doctor/network/bridge.rs",
        from: "const MANY_PORTS: u16 = 900;",
        to: "const MANY_PORTS: u16 = 1024;",
        test: unit(
            "bangerd",
            "doctor::network::tests::ports_are_told_before_the_last_is_taken",
        ),
    },
    Mutation {
        holds: "doctor names TAPs of others that have names of ours",
        file: "crates/bangerd/src/doctor/network/bridge.rs",
        from: "survey.taps.iter().filter(|tap| !tap.whose.is_ours());",
        to: "survey.taps.iter().filter(|tap| tap.in_use && !tap.whose.is_ours());",
        test: unit(
            "bangerd",
            "doctor::network::tests::interfaces_of_others_with_names_of_ours_are_named_a_few_of_them",
        ),
    },
    Mutation {
        holds: "doctor fails when a firewall drops what guests with a way out send",
        file: "crates/bangerd/src/doctor/network/firewall.rs",
        from: "    if kind.is_out() {\n        Verdict::Fail",
        to: "    if kind.is_out() {\n        Verdict::Warn",
        test: unit(
            "bangerd",
            "doctor::network::tests::a_drop_is_named_with_the_remedy_of_the_tool_whose_rule_it_is",
        ),
    },
    Mutation {
        holds: "doctor tells names that nobody serves",
        file: "crates/bangerd/src/doctor/network/names.rs",
        from: "(Some(address), _, Asked::Authority) => {",
        to: "(Some(address), _, Asked::Authority | Asked::Silent) => {",
        test: unit(
            "bangerd",
            "doctor::network::tests::names_that_are_not_served_are_told_with_who_has_the_port",
        ),
    },
    // Names, TAPs, published ports.
    Mutation {
        holds: "a TAP of another's that appears meanwhile is passed over",
        file: "crates/bangerd/src/host_network/tap_pool/mod.rs",
        from: "fault.code == FaultCode::Conflict",
        to: "fault.code == FaultCode::Refused",
        test: unit(
            "bangerd",
            "host_network::tap_pool::tests::a_slot_that_another_takes_meanwhile_is_passed_over_and_the_pool_goes_on",
        ),
    },
    Mutation {
        holds: "a shared network keeps its number, and so its rules, whoever joins",
        file: "crates/banger-model/src/policy/membership.rs",
        from: "let mut number = number_of(name);",
        to: "let mut number = OF_NAMES;",
        test: unit(
            "banger-model",
            "policy::membership::tests::a_shared_network_keeps_its_number_whoever_joins_or_leaves",
        ),
    },
    Mutation {
        holds: "a daemon that is started while another leaves waits for its turn",
        file: "crates/bangerd/src/serve/turn.rs",
        from: "        if UnixStream::connect(layout.socket()).is_ok() {",
        to: "        if layout.lock_file().exists() {",
        test: unit(
            "bangerd",
            "serve::t1::who_comes_while_another_leaves_waits_for_its_turn",
        ),
    },
    Mutation {
        holds: "unpublish completes the ports of the machine that is named",
        file: "crates/banger/src/complete.rs",
        from: "words.contains(&sandbox.name)",
        to: "!words.is_empty() || words.contains(&sandbox.name)",
        test: client("verbs::unpublish_completes_the_published_ports_of_the_machine_that_is_named"),
    },
    Mutation {
        holds: "a guest sees the names of those with which it may talk, and no others",
        file: "crates/bangerd/src/host_network/dns/zone.rs",
        from: "listed.is_some_and(|names| names.contains(name))",
        to: "listed.is_some()",
        test: unit(
            "bangerd",
            "host_network::dns::answer::tests::a_guest_sees_itself_and_those_with_which_it_may_talk",
        ),
    },
    Mutation {
        holds: "a slot is one guest's",
        file: "crates/bangerd/src/host_network/tap_pool/slots.rs",
        from: "= taken;\n        self.used.insert(slot);",
        to: "= taken;\n        let _ = slot;",
        test: unit(
            "bangerd",
            "host_network::tap_pool::slots::tests::no_slot_is_ever_two_guests",
        ),
    },
    Mutation {
        holds: "a port is published to this host alone unless it is asked otherwise",
        file: "crates/banger-model/src/publish/text.rs",
        from: "address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),",
        to: "address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),",
        test: unit(
            "banger-model",
            "publish::tests::each_form_means_what_the_head_says",
        ),
    },
    Mutation {
        holds: "a published port is bound at its address and no other",
        file: "crates/bangerd/src/publish/bind.rs",
        from: "    bind_socket(&socket, &at)?;",
        to: "    let everywhere = [[0; 4].into(), std::net::IpAddr::from([0; 16])];\n    let at = SocketAddr::new(everywhere[usize::from(at.is_ipv6())], at.port());\n    bind_socket(&socket, &at)?;",
        test: unit(
            "bangerd",
            "publish::bind::tests::t1::a_socket_is_bound_where_it_was_asked_for_and_nowhere_else",
        ),
    },
    Mutation {
        holds: "connections beyond the limit wait",
        file: "crates/bangerd/src/publish/carrier/tcp.rs",
        from: "MOST_CONNECTIONS: usize = 256;",
        to: "MOST_CONNECTIONS: usize = 25_600;",
        test: whole("publish::many::connections_beyond_the_limit_wait_for_their_turn"),
    },
    // Ports of machines that are suspended.
    Mutation {
        holds: "who wants a machine that cannot be woken is told",
        file: "crates/bangerd/src/publish/asleep.rs",
        from: "                listeners.turn_away();\n",
        to: "",
        test: whole(
            "publish::asleep::who_wants_one_that_cannot_be_woken_is_reset_and_the_next_may_try_again",
        ),
    },
    Mutation {
        holds: "the ports of a suspended machine stay open",
        file: "crates/bangerd/src/sandbox/driver.rs",
        from: "SandboxState::Suspended => listeners.sleep(&record.spec.publish).await,",
        to: "SandboxState::Suspended => listeners.close().await,",
        test: whole(
            "publish::asleep::who_connects_to_a_suspended_machine_wakes_it_again_and_again",
        ),
    },
    Mutation {
        holds: "a daemon that may have to wake a machine stays",
        file: "crates/bangerd/src/supervise.rs",
        from: "record.state == SandboxState::Suspended && !record.spec.publish.is_empty()",
        to: "record.state == SandboxState::Running && !record.spec.publish.is_empty()",
        test: whole("publish::asleep::a_daemon_stays_for_machines_that_it_may_have_to_wake"),
    },
];
