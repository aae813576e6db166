use super::*;
use banger_model::spec::NetworkMode;
use banger_model::{Init, MemorySize, VcpuCount};

fn value<T>(value: T, source: Source) -> Sourced<T> {
    Sourced { value, source }
}

fn sample() -> Sandbox {
    Sandbox {
        id: "0123456789abcdef0123456789abcdef".into(),
        name: "dev".into(),
        state: SandboxState::Running,
        reason: None,
        image: value("debian".into(), Source::Builtin),
        kernel: value("default".into(), Source::Config),
        vcpu: value(2, Source::Request),
        memory_mib: value(1536, Source::Host),
        disk_mib: value(8192, Source::Builtin),
        system_disk_mib: value(8192, Source::Builtin),
        network: Some(value(NetworkMode::Bridge, Source::Host)),
        addresses: vec![[172, 16, 0, 2].into()],
        nat: false,
        networks: vec!["shop".into()],
        links: vec![],
        init: Init::Auto,
        ephemeral: false,
        checkpoint: false,
        publish: vec![],
        labels: [("ci".into(), String::new())].into(),
        created_at: 1000,
        run: Some(Run {
            pid: Some(77),
            backend: "qemu-tcg".into(),
            started_at: 1100,
            times: StartTimes {
                vmm_up_ms: 120.0,
                guest_running_ms: 130.0,
                agent_answered_ms: 1520.0,
                init_settled_ms: None,
            },
            kernel_release: "6.12.0".into(),
            init_started: true,
            resumed: false,
        }),
        leftovers: vec![],
        disk_used: 3 << 20,
        directory: "/state/sandboxes/0123".into(),
    }
}

#[test]
fn the_list_has_one_line_per_sandbox() {
    let stopped = Sandbox {
        name: "old".into(),
        state: SandboxState::Stopped,
        reason: Some("the VMM\nwas killed".into()),
        run: None,
        ..sample()
    };
    insta::assert_snapshot!(table(&[sample(), stopped], 1300).render(false), @"
    ID        NAME  STATE    IMAGE   VCPU  MEMORY  DISK  AGE   REASON
    01234567  dev   running  debian  2     1.5GiB  3MiB  5min
    01234567  old   stopped  debian  2     1.5GiB  3MiB  5min  the VMM�was killed
    ");
}

#[test]
fn what_is_not_known_is_not_made_up_and_what_is_left_behind_is_said() {
    let unreadable = Sandbox {
        name: "old".into(),
        state: SandboxState::Unreadable,
        reason: Some("no record".into()),
        run: None,
        ..sample()
    };
    let broken = Sandbox {
        state: SandboxState::NeedsRepair,
        leftovers: vec![banger_proto::owner::sandbox::Leftover {
            object: "work-disk".into(),
            why: "it is busy".into(),
        }],
        ..sample()
    };
    insta::assert_snapshot!(table(&[unreadable.clone(), broken.clone()], 1300).render(false), @"
    ID        NAME  STATE         IMAGE   VCPU  MEMORY  DISK  AGE   REASON
    01234567  old   unreadable    ?       ?     ?       3MiB  5min  no record
    01234567  dev   needs-repair  debian  2     1.5GiB  3MiB  5min
    ");
    insta::assert_snapshot!(details(&unreadable, 1300).render(false), @"
    name       old
    id         0123456789abcdef0123456789abcdef
    state      unreadable
    reason     no record
    directory  /state/sandboxes/0123
    ");
    let shown = details(&broken, 1300).render(false);
    assert!(
        shown.contains("left behind     work-disk: it is busy\n"),
        "{shown}"
    );
}

fn publishing(port: u16, open: bool, trouble: Option<&str>) -> Published {
    let asked: banger_model::publish::Publication = "0:80".parse().expect("a publication");
    Published {
        asked,
        protocol: asked.protocol,
        address: asked.address.to_string(),
        port,
        guest_port: 80,
        open,
        trouble: trouble.map(Into::into),
    }
}

#[test]
fn published_ports_have_a_column_when_there_are_any() {
    let web = Sandbox {
        publish: vec![publishing(4000, true, None), publishing(0, false, None)],
        ..sample()
    };
    insta::assert_snapshot!(table(&[sample(), web], 1300).render(false), @"
    ID        NAME  STATE    IMAGE   VCPU  MEMORY  DISK  AGE   PORTS                   REASON
    01234567  dev   running  debian  2     1.5GiB  3MiB  5min
    01234567  dev   running  debian  2     1.5GiB  3MiB  5min  127.0.0.1:4000->80/tcp
    ");
}

#[test]
fn a_published_port_that_is_not_open_says_why() {
    let shown = [
        publishing(4000, true, None),
        publishing(0, false, None),
        publishing(4000, false, Some("nginx (pid 7) has that port")),
    ]
    .map(|one| published(&one));
    assert_eq!(
        shown,
        [
            "127.0.0.1:4000->80/tcp",
            "127.0.0.1:0->80/tcp (while it runs)",
            "127.0.0.1:4000->80/tcp (not open: nginx (pid 7) has that port)",
        ]
    );
}

#[test]
fn details_say_where_each_value_came_from() {
    insta::assert_snapshot!(details(&sample(), 1300).render(false), @"
    name            dev
    id              0123456789abcdef0123456789abcdef
    state           running
    image           debian (builtin)
    kernel          default (config)
    vcpu            2
    memory          1.5GiB (host)
    work disk       8GiB (builtin)
    system disk     8GiB (builtin)
    disk used       3MiB
    network         bridge (host)
    addresses       172.16.0.2
    networks        shop
    outside access  no
    label           ci
    init            auto
    age             5min
    directory       /state/sandboxes/0123
    backend         qemu-tcg
    process         77
    guest kernel    6.12.0
    runs as PID 1   the image's init
    started         3min ago
    start times     VMM up 0.120s · guest running 0.130s · agent answered 1.520s
    ");
}

#[test]
fn the_four_times_are_in_one_line() {
    let run = sample().run.expect("runs");
    assert_eq!(
        times(&run.times, Some(Duration::from_millis(1560))),
        "VMM up 0.120s · guest running 0.130s · agent answered 1.520s · first command done 1.560s"
    );
}

#[test]
fn the_spec_line_shows_what_was_asked_over_the_defaults() {
    let defaults = Defaults {
        image: value("debian".into(), Source::Builtin),
        kernel: value("default".into(), Source::Builtin),
        vcpu: value(1, Source::Builtin),
        memory_mib: value(1024, Source::Builtin),
        disk_mib: value(8192, Source::Builtin),
        system_disk_mib: value(8192, Source::Builtin),
    };
    assert_eq!(
        spec_line(&CreateRequest::default(), &defaults),
        "1 vcpu | 1GiB | 8GiB disk | image debian"
    );
    let request = CreateRequest {
        vcpu: VcpuCount::try_from(4).ok(),
        memory_mib: MemorySize::try_from(512).ok(),
        image: "alpine".parse().ok(),
        ..CreateRequest::default()
    };
    assert_eq!(
        spec_line(&request, &defaults),
        "4 vcpu | 512MiB | 8GiB disk | image alpine"
    );
}

#[test]
fn what_a_guest_calls_its_processes_is_made_harmless() {
    let port = Port {
        protocol: "tcp".into(),
        address: "0.0.0.0".into(),
        port: 80,
        published: vec!["127.0.0.1:8080".into()],
        pid: Some(7),
        process: Some("\u{1b}]0;evil\u{7}".into()),
    };
    let text = ports([("dev", &[port][..])].into_iter()).render(false);
    assert!(!text.contains('\u{1b}') && text.contains("(7)"), "{text:?}");
}
