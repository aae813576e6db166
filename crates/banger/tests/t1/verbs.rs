//! Everything but sessions and copying.

use crate::fake::{Fake, sandbox};
use banger_proto::fault::{Fault, FaultCode};
use serde_json::json;
use std::io::Write;
use std::process::Stdio;

#[test]
fn ps_shows_what_runs_and_list_shows_all() {
    let fake = Fake::start();
    let ps = fake.run(&["ps"]);
    assert_eq!((ps.code, ps.err.as_str()), (0, ""));
    assert!(
        ps.out.contains("dev") && !ps.out.contains("old"),
        "{}",
        ps.out
    );
    assert!(fake.run(&["ps", "-a"]).out.contains("old"));
    assert!(fake.run(&["vm", "ls"]).out.contains("old"));
    let ids = fake.run(&["vm", "ls", "-q"]).out;
    assert_eq!(ids, format!("{}\n{}\n", "a".repeat(32), "b".repeat(32)));
    let json = fake.run(&["vm", "list", "--json"]).out;
    let all: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    assert_eq!(all.len(), 2);
}

#[test]
fn a_fault_has_prefix_remedy_and_operation_and_is_json_when_asked_for() {
    let fake = Fake::start();
    let plain = fake.run(&["vm", "show", "nobody"]);
    assert_eq!(plain.code, 1);
    assert_eq!(
        plain.err,
        "banger: there is no sandbox \"nobody\" (op-fault1)\nremedy: do better\n"
    );
    let json = fake.run(&["vm", "show", "nobody", "--json"]);
    let fault: Fault = serde_json::from_str(&json.err).expect("JSON");
    assert_eq!((fault.code, json.out.as_str()), (FaultCode::NotFound, ""));
}

#[test]
fn good_references_proceed_when_others_fail_and_each_counts_once() {
    let fake = Fake::start();
    let ended = fake.run(&["vm", "stop", "old", "nobody", "dev", "aaaa"]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (1, "old stopped\ndev stopped\n")
    );
    assert!(ended.err.contains("nobody"), "{}", ended.err);
    let stops = fake
        .state()
        .requests
        .iter()
        .filter(|r| r.ends_with("/stop"))
        .count();
    assert_eq!(stops, 2);
}

#[test]
fn rm_and_prune_delete_and_prune_leaves_what_runs() {
    let fake = Fake::start();
    let refused = fake.run(&["vm", "prune"]);
    assert_eq!(refused.code, 2, "nobody to ask");
    let pruned = fake.run(&["vm", "prune", "-f"]);
    assert_eq!(pruned.code, 0, "{}", pruned.err);
    assert_eq!(fake.state().sandboxes.len(), 1);
    let removed = fake.run(&["rm", "dev"]);
    assert_eq!((removed.code, removed.out.as_str()), (0, "dev\n"));
    assert!(fake.state().sandboxes.is_empty());
}

#[test]
fn create_prints_the_name_and_sends_only_what_was_typed() {
    let fake = Fake::start();
    let ended = fake.run(&["vm", "create", "--memory", "2GiB"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "new\n"));
    assert_eq!(ended.err, "starting the guest\n");
    let body = fake.state().bodies.first().cloned().expect("a body");
    let sent: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&sent["memory_mib"], &sent["name"]),
        (&2048.into(), &().into())
    );
    assert_eq!(
        fake.run(&["vm", "create", "-q"]).out,
        format!("{}\n", "c".repeat(32))
    );
}

#[test]
fn an_import_that_is_refused_early_tells_why() {
    let fake = Fake::start();
    let file = fake.path("root.tar");
    let sparse = std::fs::File::create(&file).expect("made");
    sparse.set_len(64 << 20).expect("long");
    for _ in 0..10 {
        let ended = fake.run(&["image", "import", file.to_str().expect("UTF-8"), "taken"]);
        assert_eq!(ended.code, 1);
        assert!(
            ended.err.contains("there is an image of that name"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn an_import_sends_the_whole_archive() {
    let fake = Fake::start();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let file = fake.path("root.tar");
    std::fs::write(&file, &bytes).expect("written");
    let ended = fake.run(&["image", "import", file.to_str().expect("UTF-8")]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "root\n"),
        "{}",
        ended.err
    );
    assert_eq!(fake.state().bodies.last(), Some(&bytes));

    let mut child = fake
        .command(&["image", "import", "-", "piped"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&bytes).expect("written");
    drop(stdin);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(fake.state().bodies.last(), Some(&bytes));
}

#[test]
fn a_kernel_import_sends_an_absolute_path() {
    let fake = Fake::start();
    let mut command = fake.command(&["kernel", "import", "k", "--file", "vmlinux"]);
    std::fs::write(fake.path("vmlinux"), "").expect("written");
    let output = command
        .current_dir(fake.directory.path())
        .output()
        .expect("runs");
    assert!(output.status.success(), "{output:?}");
    let body = fake.state().bodies.last().cloned().expect("a body");
    let text = String::from_utf8(body).expect("text");
    assert!(
        text.contains(r#""from":"file""#) && text.contains(r#":"/"#),
        "{text}"
    );
}

#[test]
fn doctor_fails_when_a_check_does() {
    let fake = Fake::start();
    let ended = fake.run(&["doctor"]);
    assert_eq!(ended.code, 1);
    let told = ended.out.contains("FAIL  kvm") && ended.out.contains("remedy: load it");
    assert!(told, "{}{}", ended.out, ended.err);
}

#[test]
fn logs_and_ports_are_shown() {
    let fake = Fake::start();
    let logs = fake.run(&["vm", "logs", "dev"]);
    assert_eq!(
        logs.raw, b"booting\r\n\x1b]0;evil\x07\n",
        "as they are, into a pipe"
    );
    assert!(fake.saw("GET /v1/sandboxes/dev/logs?follow=false&source=console"));
    let ports = fake.run(&["vm", "ports", "dev", "old"]);
    assert!(ports.out.contains("web (5)"), "{}", ports.out);
}

#[test]
fn wrong_arguments_are_two_and_help_is_zero() {
    let fake = Fake::start();
    let wrong = fake.run(&["vm", "run", "--vcpu", "0"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.starts_with("banger: invalid value '0'"),
        "{}",
        wrong.err
    );
    let json = fake.run(&["--json", "nonsense"]);
    let fault: Fault = serde_json::from_str(&json.err).expect("JSON");
    assert_eq!((json.code, fault.code), (2, FaultCode::BadRequest));
    for arguments in [&["-d", "--rm"][..], &["-d", "--", "true"]] {
        let all = [&["run"][..], arguments].concat();
        assert_eq!(fake.run(&all).code, 2);
    }
    assert!(
        fake.state().requests.is_empty(),
        "refused before anything was asked"
    );
    for help in [
        &["--help"][..],
        &["help", "vm", "run"],
        &["help", "exit-codes"],
        &["--version"],
    ] {
        let ended = fake.run(help);
        assert!(ended.code == 0 && !ended.out.is_empty(), "{help:?}");
    }
    assert_eq!(fake.run(&["--version"]).out.lines().count(), 1);
}

#[test]
fn every_verb_has_examples_in_its_help() {
    let fake = Fake::start();
    let vm = "run create start stop restart kill set delete list show exec shell cp logs prune ports health ping stats";
    let mut verbs: Vec<Vec<&str>> = vm.split(' ').map(|verb| vec!["vm", verb]).collect();
    for all in [
        "image list show import make delete",
        "kernel list show import rm",
        "daemon status stop",
    ] {
        let (noun, rest) = all.split_once(' ').expect("a noun");
        verbs.extend(rest.split(' ').map(|verb| vec![noun, verb]));
    }
    verbs.extend(["ps", "top", "doctor", "version", "completion"].map(|verb| vec![verb]));
    for verb in verbs {
        let help = fake.run(&[&verb[..], &["--help"]].concat()).out;
        assert!(help.contains("Examples:\n"), "{verb:?}: {help}");
    }
}

#[test]
fn names_are_completed_from_a_daemon_that_runs() {
    let fake = Fake::start();
    let mut command = fake.command(&["--", "banger", "vm", "stop", ""]);
    command.env("BANGER_COMPLETE", "fish");
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("dev") && text.contains("old"), "{output:?}");
    for shell in ["bash", "zsh", "fish", "elvish"] {
        assert!(
            fake.run(&["completion", shell])
                .out
                .contains("BANGER_COMPLETE"),
            "{shell}"
        );
    }
}

#[test]
fn unpublish_completes_the_published_ports_of_the_machine_that_is_named() {
    let fake = Fake::start();
    let port = |asked: &str, protocol: &str, address: &str, port: u16| {
        json!({"asked": asked, "protocol": protocol, "address": address, "port": port,
            "guest_port": 80, "open": true})
    };
    let publish = [
        json!([
            port("8080:80", "tcp", "127.0.0.1", 8080),
            port("5353:80/udp", "udp", "127.0.0.1", 5353),
            port("[::1]:8081:80", "tcp", "::1", 8081)
        ]),
        json!([port("9090:80", "tcp", "127.0.0.1", 9090)]),
    ];
    for (sandbox, publish) in fake.state().sandboxes.iter_mut().zip(publish) {
        sandbox["publish"] = publish;
    }
    let complete = |words: &[&str]| {
        let words = [&["--", "banger", "vm", "unpublish"], words].concat();
        let mut command = fake.command(&words);
        let output = command
            .env("BANGER_COMPLETE", "fish")
            .output()
            .expect("runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let values = text.lines().filter_map(|line| line.split('\t').next());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = complete(&["dev", ""]);
    for port in ["8080", "5353/udp", "[::1]:8081"] {
        assert!(all.iter().any(|found| found == port), "{all:?}");
        assert!(port.parse::<banger_model::publish::PortSelector>().is_ok());
    }
    assert!(!all.iter().any(|found| found.contains("9090")), "{all:?}");
    assert_eq!(complete(&["dev", "80"]), ["8080"]);
    assert_eq!(complete(&["old", "9"]), ["9090"]);
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let fake = Fake::start();
    let many: Vec<_> = (0..5000)
        .map(|i| sandbox('d', &format!("n{i}"), "running"))
        .collect();
    fake.state().sandboxes = many;
    let mut child = fake.command(&["ps"]).spawn().expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0));
}
