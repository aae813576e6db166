use crate::world::{alone, bridge, ip_link, json, mark, name, tool};
use banger_linux::Outcome;
use banger_linux::links::{self, Change, ClaimError, Kind, Marked, TapDetails};
use banger_linux::netlink::Netlink;
use banger_linux::nftables::Nft;
use banger_linux::programs::{Cancel, Programs};
use banger_linux::taps::{self, NewTap, TapError};
use std::sync::atomic::{AtomicBool, Ordering};

fn tap(netlink: &Netlink, text: &str, master: u32) -> Result<Marked, TapError> {
    let wanted = NewTap {
        name: &name(text),
        mark: &mark(),
        owner: 4242,
        change: Change {
            up: Some(true),
            mtu: Some(1400),
            master: Some(master),
        },
        isolated: true,
    };
    taps::create(netlink, &wanted)
}

#[test]
fn a_tap_is_made_as_asked_and_ip_sees_the_same() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        let made = tap(netlink, "tap-fc-1", br.index()).expect("made");
        let seen = ip_link("tap-fc-1").expect("ip sees it");
        let data = &seen["linkinfo"]["info_data"];
        assert_eq!(
            (
                &data["type"],
                &data["persist"],
                &data["vnet_hdr"],
                &data["pi"]
            ),
            (&"tap".into(), &true.into(), &true.into(), &false.into()),
            "{data}"
        );
        assert_eq!(data["user"], 4242);
        assert_eq!(
            (&seen["master"], &seen["mtu"], &seen["ifalias"]),
            (&"br-t".into(), &1400.into(), &mark().as_str().into())
        );
        assert_eq!(
            json("bridge -j -d link show dev tap-fc-1")[0]["isolated"],
            true
        );
        let read = links::find(netlink, made.name())
            .expect("read")
            .expect("there");
        let details = TapDetails {
            owner: Some(4242),
            persistent: true,
            vnet_hdr: true,
        };
        assert_eq!(read.kind, Kind::Tap(details));
        assert!(read.up && !read.carrier, "nobody is attached");
        assert_eq!(
            taps::delete(netlink, vec![made.clone()]).expect("asked"),
            [(made, Ok(Outcome::Made))]
        );
        assert_eq!(ip_link("tap-fc-1"), None);
    });
}

#[test]
fn an_interface_of_that_name_is_not_touched_whatever_it_is() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        tool("ip tuntap add dev tap-fc-1 mode tap user 7");
        tool("ip link add name tap-fc-2 type bridge");
        tool("ip tuntap add dev tap-fc-3 mode tun");
        tap(netlink, "tap-fc-4", br.index()).expect("ours");
        for text in ["tap-fc-1", "tap-fc-2", "tap-fc-3", "tap-fc-4"] {
            let before = ip_link(text);
            let refused = tap(netlink, text, br.index());
            assert_eq!(refused, Err(TapError::Exists { name: name(text) }));
            assert_eq!(ip_link(text), before);
        }
    });
}

#[test]
fn a_tap_that_cannot_be_finished_is_not_left_behind() {
    alone(|netlink| {
        let failed = tap(netlink, "tap-fc-1", 4_000_000).expect_err("no such bridge");
        assert!(
            failed.to_string().starts_with("cannot change tap-fc-1: "),
            "{failed}"
        );
        assert_eq!(ip_link("tap-fc-1"), None);
        let loopback = links::find(netlink, &name("lo"))
            .expect("read")
            .expect("there");
        assert!(
            tap(netlink, "tap-fc-1", loopback.index).is_err(),
            "loopback is no bridge"
        );
        assert_eq!(ip_link("tap-fc-1"), None);
    });
}

#[test]
fn frames_go_both_ways_through_an_open_tap() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        let up = Change {
            up: Some(true),
            ..Change::default()
        };
        links::change(netlink, &br, up).expect("up");
        let one = tap(netlink, "tap-fc-1", br.index()).expect("made");
        let two = tap(netlink, "tap-fc-2", br.index()).expect("made");
        links::isolate(netlink, &one, false).expect("open");
        let (sender, receiver) = (
            taps::open(netlink, &one).expect("opened"),
            taps::open(netlink, &two).expect("opened"),
        );
        let mut frame = [0_u8; 60];
        frame[..6].fill(0xff);
        frame[6..14].copy_from_slice(&[6, 1, 2, 3, 4, 5, 0x88, 0xb5]);
        // A port learns of its carrier, and forwards, a moment after it was opened.
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            assert!(std::time::Instant::now() < limit, "no frame came through");
            sender.send(&frame).expect("sent");
            if received(&receiver, &frame) {
                break;
            }
        }
        let busy = taps::open(netlink, &one).expect_err("attached already");
        assert_eq!(
            busy,
            TapError::Busy {
                name: name("tap-fc-1")
            }
        );
    });
}

fn received(tap: &taps::OpenTap, frame: &[u8]) -> bool {
    let mut fds = [rustix::event::PollFd::new(
        tap,
        rustix::event::PollFlags::IN,
    )];
    let wait = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    rustix::event::poll(&mut fds, Some(&wait)).expect("poll");
    let mut buffer = [0; 2048];
    while let Some(length) = tap.receive(&mut buffer).expect("read") {
        if &buffer[..length] == frame {
            return true;
        }
    }
    false
}

#[test]
fn a_tap_that_is_gone_cannot_be_opened_and_is_not_made() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        let made = tap(netlink, "tap-fc-1", br.index()).expect("made");
        tool("ip link del tap-fc-1");
        assert!(taps::open(netlink, &made).is_err());
        assert_eq!(ip_link("tap-fc-1"), None);
        tool("ip tuntap add dev tap-fc-1 mode tap");
        let foreign = taps::open(netlink, &made).expect_err("somebody else's");
        assert!(matches!(
            foreign,
            TapError::Link(ClaimError::Foreign { .. })
        ));
    });
}

#[test]
fn many_are_deleted_together_and_strangers_among_them_stay() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        let mut made: Vec<_> = (1..=20)
            .map(|slot| tap(netlink, &format!("tap-fc-{slot}"), br.index()).expect("made"))
            .collect();
        tool("ip link set tap-fc-7 alias stranger");
        tool("ip link del tap-fc-8");
        let successor = tap(netlink, "tap-fc-8", br.index()).expect("made anew");
        tool("ip link del tap-fc-9");
        made.truncate(19);
        let deleted = taps::delete(netlink, made).expect("asked");
        for (tap, result) in &deleted {
            match tap.name().as_str() {
                "tap-fc-7" => assert!(matches!(result, Err(ClaimError::Foreign { .. }))),
                "tap-fc-8" | "tap-fc-9" => assert_eq!(result, &Ok(Outcome::WasSoAlready)),
                _ => assert_eq!(result, &Ok(Outcome::Made)),
            }
        }
        assert_eq!(deleted.len(), 19);
        let left: Vec<_> = links::list(netlink)
            .expect("read")
            .into_iter()
            .filter(|link| matches!(link.kind, Kind::Tap(_)))
            .map(|link| link.name)
            .collect();
        assert_eq!(left, ["tap-fc-7", "tap-fc-20", "tap-fc-8"]);
        assert_eq!(
            ip_link("tap-fc-8").expect("stays")["ifindex"],
            successor.index()
        );
    });
}

#[test]
fn a_new_tap_is_free_at_once_while_programs_are_started() {
    let programs = Programs::find().expect("nft");
    let (enough, nft) = (AtomicBool::new(false), Nft::new(&programs, Cancel::Never));
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !enough.load(Ordering::Relaxed) {
                        nft.check("").expect("nothing to do");
                    }
                });
            }
            let free = |slot: &u32| {
                let made = tap(netlink, &format!("tap-fc-{slot}"), br.index()).expect("made");
                taps::open(netlink, &made).is_ok()
            };
            let count = (0..300).filter(free).count();
            enough.store(true, Ordering::Relaxed);
            assert_eq!(count, 300);
        });
    });
}
