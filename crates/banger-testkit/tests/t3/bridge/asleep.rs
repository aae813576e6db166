//! A suspended guest, by its name: from the host and from a guest that may talk to it.

use super::*;
use banger_testkit::namespaces::own_network;

#[test]
fn a_guest_that_is_suspended_goes_on_for_who_connects_to_it_by_name() {
    own_network(|| {
        let world = World::bridged();
        guest(&world, "a", &["--join", "shop"]);
        guest(&world, "b", &["--join", "shop"]);
        guest(&world, "c", &[]);
        serve(&world, "a");
        let own = addresses(&world, "a");
        let _ = world.run(["vm", "suspend", "a"]).good();
        let state = || world.show("a")["state"].as_str().map(str::to_owned);
        // Who does not see it does not wake it.
        let _unknown = sh(&world, "c", "getent ahostsv4 a.vm");
        assert_eq!(state().as_deref(), Some("suspended"));
        let client = "use IO::Socket::IP; my $s = IO::Socket::IP->new(PeerHost => q(a.vm), PeerPort => 7000, Timeout => 20) \
                      or die $@; print scalar <$s>";
        let told = world
            .run(["vm", "exec", "b", "--", "perl", "-e", client])
            .good()
            .text();
        assert!(told.starts_with("you are "), "{told}");
        assert_eq!(addresses(&world, "a"), own);

        let _ = world.run(["vm", "suspend", "a"]).good();
        let found = tool("dig @127.0.0.1 -p 42069 +tries=1 +time=20 +short a.vm A");
        assert_eq!(found.trim(), own[0].to_string());
        assert_eq!(state().as_deref(), Some("running"));
        let _ = world.run(["vm", "rm", "a", "b", "c"]).good();
    });
}
