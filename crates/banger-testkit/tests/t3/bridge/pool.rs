//! A guest on the bridge that waited: its name and whom it may reach come with whoever gets it.

use super::*;
use banger_testkit::namespaces::own_network;

#[test]
fn one_that_waited_gets_its_name_and_its_friends_when_it_is_had() {
    own_network(|| {
        let world = World::bridged();
        world.configure_exactly("templates = \"prepared\"\npool_size = 1\nnetwork = \"bridge\"\n");
        let prepare = ["image", "prepare", "--memory", "384MiB", "--init", "none"];
        let _ = world.run(prepare).good();
        guest(&world, "web", &["--join", "shop"]);
        eventually("one to wait", LIMIT, || {
            let status = world.run(["daemon", "status", "--json"]).good().json();
            match status["pooled"] == 1 && status["operations"] == 0 {
                true => Ok(()),
                false => Err(status),
            }
        });
        let waits = addresses_that_answer(&world);
        guest(&world, "db", &["--join", "shop"]);
        let [four, six] = addresses(&world, "db");
        assert!(waits.contains(&four), "{waits:?} {four}");
        let found = sh(&world, "web", "getent ahostsv4 db.vm").text();
        assert_eq!(found.split_whitespace().next(), Some(&*four.to_string()));
        assert_eq!(sh(&world, "db", "hostname").text(), "db\n");
        // Of those that its template had nothing is left.
        let own = sh(&world, "db", "hostname --all-ip-addresses").text();
        let mut own: Vec<IpAddr> = own.split_whitespace().flat_map(str::parse).collect();
        own.sort();
        assert_eq!(own, [four, six]);
        serve(&world, "db");
        for address in [four, six] {
            let told = told(&world, "web", address, PORT).expect("of one network");
            assert_eq!(
                told,
                addresses(&world, "web")[usize::from(address.is_ipv6())].to_string()
            );
        }
        // Nobody of another network reaches it.
        guest(&world, "other", &[]);
        assert!(told(&world, "other", four, PORT).is_err());
        let _ = world.run(["vm", "rm", "web", "db", "other"]).good();
        world.stop_daemon();
        world.assert_nothing_left();
    });
}

/// What the name server has addresses for: names of all guests, whoever's they are.
fn addresses_that_answer(world: &World) -> Vec<IpAddr> {
    let sandboxes = std::fs::read_dir(world.state().join("sandboxes")).expect("listed");
    let ids = sandboxes
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    ids.map(|id| addresses(world, &id)[0]).collect()
}
