//! The network of the host: the helper, the rules, names, TAPs, published ports.

use super::{namespace, unit, whole};
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
        from: "rule(\"a guest with foreign addresses\", vec![counter(), drop()])",
        to: "rule(\"a guest with foreign addresses\", vec![counter(), accept()])",
        test: namespace("guests::a_guest_with_foreign_addresses_is_not_heard"),
    },
    Mutation {
        holds: "guests reach each other only when linked",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "            \"guests that share no network\",\n            vec![counter(), reject()],",
        to: "            \"guests that share no network\",\n            vec![counter(), accept()],",
        test: namespace("guests::guests_reach_each_other_only_where_they_are_linked"),
    },
    Mutation {
        holds: "guests reach no service of the host",
        file: "crates/banger-model/src/policy/rules/inet.rs",
        from: "        \"guests reach nothing else of the host\",\n        vec![counter(), reject()],",
        to: "        \"guests reach nothing else of the host\",\n        vec![counter(), accept()],",
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
    // Names, TAPs, published ports.
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
        file: "crates/bangerd/src/publish/tcp.rs",
        from: "MOST_CONNECTIONS: usize = 256;",
        to: "MOST_CONNECTIONS: usize = 25_600;",
        test: whole("publish::many::connections_beyond_the_limit_wait_for_their_turn"),
    },
];
