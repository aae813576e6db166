//! Hostile packets: each is refused, with a reason that is one line and short.

use super::tests::{every_verb, request};
use super::*;
use proptest::prelude::*;

fn refused(text: &str) -> String {
    let error = Request::decode(text.as_bytes())
        .expect_err(text)
        .to_string();
    assert!(
        error.len() < 300 && !error.chars().any(char::is_control),
        "{error}"
    );
    error
}

fn with_verb(verb: &str) -> String {
    format!(r#"{{"version":"0.1.0","op":"op-abc123","verb":{verb}}}"#)
}

#[test]
fn what_is_no_request_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "{",
        "\0",
        "ping",
        "{\"verb\":{\"ping\":{}}}",
        &"[".repeat(200_000),
    ] {
        refused(text);
    }
    assert!(Request::decode(&[0xff; 64]).is_err());
}

#[test]
fn unknown_verbs_and_fields_are_refused() {
    assert!(Request::decode(with_verb(r#"{"ping":{}}"#).as_bytes()).is_ok());
    for verb in [
        r#""ping""#,
        r#"{"ping":{"x":1}}"#,
        r#"{"ping":{},"survey":{}}"#,
        r#"{"run":{"command":"id"}}"#,
        r#"{"remove_bridge":{"name":"eth0"}}"#,
        r#"{"delete_taps":{"slots":[1],"name":"eth0"}}"#,
        r#"{"set_policy":{"policy":{},"rules":"add table x"}}"#,
    ] {
        refused(&with_verb(verb));
    }
    refused(r#"{"version":"0.1.0","op":"op-abc123","verb":{"ping":{}},"uid":0}"#);
    refused(r#"{"version":"0.1.0","version":"0.1.0","op":"op-abc123","verb":{"ping":{}}}"#);
}

#[test]
fn values_out_of_range_are_refused() {
    for verb in [
        r#"{"make_taps":{"slots":[0]}}"#,
        r#"{"make_taps":{"slots":[1001]}}"#,
        r#"{"make_taps":{"slots":[-1]}}"#,
        r#"{"make_taps":{"slots":["1"]}}"#,
        r#"{"make_taps":{"slots":[1.5]}}"#,
        r#"{"make_taps":{"slots":["eth0"]}}"#,
        r#"{"set_resolver":{"dns_port":0}}"#,
        r#"{"set_resolver":{"dns_port":65536}}"#,
        r#"{"probe_path":{"kind":"everywhere"}}"#,
        r#"{"ensure_bridge":{"subnet":{"v4":"8.8.8.0/24","v6":"fd00::/64"},"mtu":1500}}"#,
        r#"{"ensure_bridge":{"subnet":{"v4":"10.0.0.0/8","v6":"fd00::/64"},"mtu":1500}}"#,
        r#"{"ensure_bridge":{"subnet":{"v4":"10.0.0.0/24","v6":"2001:db8::/64"},"mtu":1500}}"#,
        r#"{"ensure_bridge":{"subnet":{"v4":"10.0.0.0/24","v6":"fd00::/64"},"mtu":1279}}"#,
        r#"{"ensure_bridge":{"subnet":{"v4":"10.0.0.0/24","v6":"fd00::/64","dev":"eth0"},"mtu":1500}}"#,
    ] {
        refused(&with_verb(verb));
    }
    let many: Vec<_> = (1..=65).map(|n| n.to_string()).collect();
    let error = refused(&with_verb(&format!(
        r#"{{"make_taps":{{"slots":[{}]}}}}"#,
        many.join(",")
    )));
    assert!(error.contains("65 TAPs are too many"), "{error}");
}

#[test]
fn an_operation_id_cannot_forge_a_line_of_the_log() {
    for op in [
        "",
        "op-",
        "op-abc12",
        "op-abc1234",
        "op-ABC123",
        "op-abc12\\n",
        "xx-abc123",
        "op-abc 23",
    ] {
        refused(&format!(
            r#"{{"version":"0.1.0","op":"{op}","verb":{{"ping":{{}}}}}}"#
        ));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _either = Request::decode(&bytes);
        let _either = Reply::decode(&bytes);
    }

    #[test]
    fn a_request_that_was_cut_is_refused(index in 0_usize..12, cut in 0.0_f64..1.0) {
        let packet = request(every_verb().swap_remove(index)).encode().unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a length")]
        let kept = (packet.len() as f64 * cut) as usize;
        prop_assert!(Request::decode(&packet[..kept]).is_err());
    }

    #[test]
    fn a_changed_byte_never_breaks_the_decoder(index in 0_usize..12, at: prop::sample::Index, byte: u8) {
        let mut packet = request(every_verb().swap_remove(index)).encode().unwrap();
        let at = at.index(packet.len());
        packet[at] = byte;
        if let Ok(read) = Request::decode(&packet) {
            prop_assert!(read.encode().is_ok());
        }
    }
}
