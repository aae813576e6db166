//! Read by somebody else's resolver: dig, of bind9-dnsutils.

use super::super::DnsServer;
use super::sockets::fill;
use std::process::Command;

/// What dig prints for these words, asked at a server of its own. Runs beside the server's thread.
fn dig(server: &DnsServer, words: &str) -> String {
    let mut command = Command::new("dig");
    let (address, port) = (server.address().ip(), server.address().port());
    command.args([format!("@{address}"), "-p".into(), port.to_string()]);
    // Not the user's ~/.digrc; one try, with a limit of several times what a busy machine needs.
    command
        .args(["-r", "+time=10", "+tries=1"])
        .args(words.split(' '));
    let ran = command
        .output()
        .expect("dig, which `cargo xtask setup` installs");
    assert!(ran.status.success(), "{words}: {ran:?}");
    String::from_utf8(ran.stdout).expect("text")
}

fn server() -> DnsServer {
    let server = DnsServer::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    fill(server.authority());
    server
}

#[test]
fn dig_reads_addresses_names_and_the_zone() {
    let server = server();
    for (words, lines) in [
        ("+short web.vm A", "172.16.0.2\n"),
        ("+short API.Web.VM AAAA", "fd00::2\n"),
        ("+short +tcp web.vm A", "172.16.0.2\n"),
        ("+short +noedns web.vm A", "172.16.0.2\n"),
        ("+short -x 172.16.0.2", "web.vm.\n"),
        ("+short vm NS", "vm.\n"),
        ("+short web.vm MX", ""),
        ("+short nobody.vm A", ""),
    ] {
        assert_eq!(dig(&server, words), lines, "{words}");
    }
}

#[test]
fn dig_sees_status_and_flags() {
    let server = server();
    for (words, status, flags) in [
        ("web.vm", "NOERROR", "flags: qr aa rd;"),
        ("web.vm MX", "NOERROR", "flags: qr aa rd;"),
        ("nobody.vm", "NXDOMAIN", "flags: qr aa rd;"),
        ("example.com", "REFUSED", "flags: qr rd;"),
        ("-c CH version.bind TXT", "REFUSED", "flags: qr rd;"),
        ("-x 192.0.2.1", "REFUSED", "flags: qr rd;"),
        ("+opcode=notify web.vm", "NOTIMP", "flags: qr rd;"),
        (
            "+edns=1 +noednsnegotiation web.vm",
            "BADVERS",
            "flags: qr rd;",
        ),
        ("+header-only", "FORMERR", "flags: qr rd;"),
    ] {
        let text = dig(&server, words);
        assert!(
            text.contains(&format!("status: {status},")),
            "{words}: {text}"
        );
        assert!(text.contains(flags), "{words}: {text}");
        assert!(
            !text.to_lowercase().contains("malformed"),
            "{words}: {text}"
        );
    }
}

#[test]
fn dig_comes_back_by_tcp_for_what_is_cut() {
    let server = server();
    let many: Vec<String> = (1..=16).map(|n| format!("fd00::1:{n:x}")).collect();
    let addresses = super::super::fixtures::addresses(&many.join(" "));
    server
        .authority()
        .set(super::super::fixtures::name("many"), addresses);
    let name = format!("{}.many.vm", "a".repeat(60));
    let text = dig(&server, &format!("+noedns {name} AAAA"));
    assert!(text.contains("Truncated, retrying in TCP mode"), "{text}");
    assert!(text.contains("ANSWER: 16,"), "{text}");
    let text = dig(&server, &format!("+bufsize=4096 {name} AAAA"));
    assert!(
        !text.contains("Truncated") && text.contains("ANSWER: 16,"),
        "{text}"
    );
}
