//! Real guests on a real bridge, made by the real helper, in a network of the test's own.

mod asleep;
mod forks;
mod guests;
mod names;
mod others;
mod outside;
mod pool;
mod removed;
mod resolvers;
mod restarts;

use banger_linux::seqpacket::Connection;
use banger_testkit::checks::run;
use banger_testkit::namespaces::{json, tool};
use banger_testkit::world::LIMIT;
use banger_testkit::{Ran, World, eventually};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Tells each client by which address it knows it. Perl is in every Debian (perl-base is essential).
const SERVE: &str = "use IO::Socket::IP; \
    my $s = IO::Socket::IP->new(Listen => 9, LocalHost => '::', LocalPort => 7000, V6Only => 0) or die; \
    while (my $c = $s->accept) { print $c 'you are ', $c->peerhost, qq(\\n); close $c }";
/// Connects to an address and port, and prints what it is told.
const CONNECT: &str = "use IO::Socket::IP; \
    my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => 5) \
    or do { print qq(no: $@\\n); exit 1 }; print scalar <$s>";
/// Where [`SERVE`] listens.
const PORT: u16 = 7000;

/// A guest in the background, with less memory than the default.
fn guest(world: &World, name: &str, options: &[&str]) {
    let arguments = [&["-d", "--name", name, "--memory", "384MiB"], options].concat();
    let _ = world.run(run(&arguments)).good();
}

fn sh(world: &World, name: &str, script: &str) -> Ran {
    world.run(["vm", "exec", name, "--", "sh", "-c", script])
}

/// Both addresses of a guest, IPv4 first.
fn addresses(world: &World, name: &str) -> [IpAddr; 2] {
    let shown = world.show(name);
    let address = |index: usize| shown["addresses"][index].as_str()?.parse().ok();
    match (address(0), address(1)) {
        (Some(four @ IpAddr::V4(_)), Some(six @ IpAddr::V6(_))) => [four, six],
        _ => panic!("{shown}"),
    }
}

/// Both addresses of the bridge.
fn bridge_addresses() -> [IpAddr; 2] {
    let shown = json("ip -j addr show dev br-fc scope global");
    let all = shown[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let of = |family: &str| {
        let found = all.iter().find(|info| info["family"] == family);
        let text = found.and_then(|info| info["local"].as_str());
        text.and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{shown}"))
    };
    [of("inet"), of("inet6")]
}

/// Has a guest serve at [`PORT`], from now on.
fn serve(world: &World, name: &str) {
    let script = "(exec perl -e \"$1\") >/dev/null 2>&1 </dev/null &";
    let arguments = ["vm", "exec", name, "--", "sh", "-c", script, "sh", SERVE];
    let _ = world.run(arguments).good();
    eventually("the server", LIMIT, || {
        let ports = world.run(["vm", "ports", name]).good().text();
        if ports.contains("7000") {
            Ok(())
        } else {
            Err(ports)
        }
    });
}

/// What a guest is told when it connects; the failure where it cannot.
fn told(world: &World, name: &str, address: IpAddr, port: u16) -> Result<String, String> {
    let (address, port) = (address.to_string(), port.to_string());
    let ran = world.run([
        "vm", "exec", name, "--", "perl", "-e", CONNECT, &address, &port,
    ]);
    let text = ran.text().trim().to_owned();
    if ran.code == Some(0) && text.starts_with("you are ") {
        return Ok(text
            .trim_start_matches("you are ")
            .trim_start_matches("::ffff:")
            .to_owned());
    }
    assert!(
        text.starts_with("no: "),
        "the client itself failed: {ran:?}"
    );
    Err(text)
}

fn pings(world: &World, name: &str, address: IpAddr) -> bool {
    sh(
        world,
        name,
        &format!("ping -n -c 1 -W 2 {address} >/dev/null"),
    )
    .code
        == Some(0)
}

/// A server of the test's own that nobody is to reach.
struct Trap(TcpListener);

impl Trap {
    fn at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("bound");
        listener.set_nonblocking(true).expect("set");
        Self(listener)
    }

    fn place(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    fn is_untouched(&self) -> bool {
        self.0.accept().is_err()
    }

    /// Whether it would have noticed: the host itself reaches it.
    fn works(&self) -> bool {
        let _connection = TcpStream::connect_timeout(&self.place(), LIMIT).expect("reached");
        !self.is_untouched()
    }
}

/// Serves at a listener for as long as the test's process lives: tells each client its address.
fn tell_all(listener: TcpListener) {
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let peer = client.peer_addr().map(|peer| peer.ip().to_canonical());
            // A client that left does not want to know.
            let _gone = writeln!(client, "you are {}", peer.expect("a peer"));
        }
    });
}

/// Everything of the network that a daemon might leave: links, addresses, routes, tables, switches.
fn network() -> String {
    let links = json("ip -j link show");
    let name = |link: &serde_json::Value| link["ifname"].as_str().map(str::to_owned);
    let links = links.as_array().expect("links").iter();
    let mut all = format!("{:?}\n", links.filter_map(name).collect::<Vec<_>>());
    // Of link-local addresses the kernel decides when they are there.
    for line in [
        "ip -o addr show scope global",
        "ip route",
        "nft list tables",
    ] {
        all += &tool(line);
    }
    for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        let value = std::fs::read_to_string(format!("/proc/sys/net/{switch}")).unwrap_or_default();
        all += &format!("{switch} {value}");
    }
    all
}

/// Demands that the network becomes again what it was, and that nothing but the daemon lives on.
fn everything_goes(world: &World, before: &str) {
    world.assert_nothing_left();
    world.stop_daemon();
    eventually(
        "the network to be as before",
        Duration::from_secs(60),
        || {
            let now = network();
            if now == before && world.processes().is_empty() {
                Ok(())
            } else {
                Err(format!("{before}---\n{now}{:?}", world.processes()))
            }
        },
    );
    let socket = world.path("run/banger/banger-root.sock");
    assert!(
        Connection::connect(&socket).is_err(),
        "somebody serves there"
    );
}
