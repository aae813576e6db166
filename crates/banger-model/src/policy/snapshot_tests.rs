//! What policies become, kept beside this file: a change of a rule is a change of a snapshot.

use super::*;
use crate::SandboxId;
use crate::host_names::TapSlot;
use crate::subnet::HostPart;

fn installation() -> Installation {
    Installation::from_random([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef])
}

pub(super) fn guest(number: u16) -> Guest {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Guest {
        id: SandboxId::from_random(id),
        slot: TapSlot::try_from(number).unwrap(),
        host_part: HostPart::try_from(number + 1).unwrap(),
        nat: false,
        networks: BTreeSet::new(),
    }
}

pub(super) fn member(number: u16, networks: &[u32]) -> Guest {
    Guest {
        networks: networks.iter().copied().map(NetworkId).collect(),
        ..guest(number)
    }
}

pub(super) fn policy_of(
    prefix: u8,
    dns_port: Option<u16>,
    guests: Vec<Guest>,
) -> Result<Policy, BadPolicy> {
    let subnet = Subnet::new([172, 16, 0, 0].into(), prefix, &installation()).unwrap();
    let dns_port = dns_port.and_then(NonZeroU16::new);
    Policy::new(
        installation(),
        BridgeName::default(),
        subnet,
        dns_port,
        guests,
    )
}

fn rendered(dns_port: Option<u16>, guests: Vec<Guest>, switched: &Switched) -> String {
    let policy = policy_of(24, dns_port, guests).unwrap();
    Ruleset::new(&policy, switched).transaction()
}

#[test]
fn no_guests() {
    insta::assert_snapshot!(rendered(None, vec![], &Switched::default()));
}

#[test]
fn one_isolated_guest() {
    insta::assert_snapshot!(rendered(None, vec![guest(1)], &Switched::default()));
}

#[test]
fn a_guest_with_a_way_out_for_which_forwarding_was_switched_on() {
    let switched = Switched {
        ipv4: true,
        ipv6: true,
        accept_ra: BTreeSet::from(["eth0".to_owned()]),
    };
    let out = Guest {
        nat: true,
        ..guest(1)
    };
    insta::assert_snapshot!(rendered(None, vec![out, guest(2)], &switched));
}

#[test]
fn two_linked_guests_and_a_stranger() {
    let guests = vec![member(1, &[7]), member(2, &[7]), guest(3)];
    insta::assert_snapshot!(rendered(None, guests, &Switched::default()));
}

#[test]
fn three_guests_on_a_network() {
    let guests = vec![member(1, &[7]), member(2, &[7, 8]), member(3, &[7])];
    insta::assert_snapshot!(rendered(None, guests, &Switched::default()));
}

#[test]
fn names_are_served_at_another_port() {
    insta::assert_snapshot!(rendered(Some(42069), vec![guest(1)], &Switched::default()));
}
