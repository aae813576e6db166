//! Published ports: from a client on the host to a server in the guest.

use super::run;
use crate::world::LIMIT;
use crate::{World, api, eventually, run as program};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A server of TCP and UDP on 127.0.0.1 for the guest: it sends back what it got, of a connection when
/// that has ended its side. Perl is in every Debian (perl-base is essential).
const MIRROR: &str = r#"
use IO::Socket::INET; $| = 1;
my %at = (LocalAddr => '127.0.0.1', LocalPort => $ARGV[0]);
my $udp = IO::Socket::INET->new(%at, Proto => 'udp') or die "udp: $!";
my $tcp = IO::Socket::INET->new(%at, Listen => 5, ReuseAddr => 1) or die "tcp: $!";
if (!fork) { while (defined(my $from = $udp->recv(my $bytes, 65536))) { $udp->send($bytes, 0, $from) } exit }
print "up\n";
while (my $client = $tcp->accept) {
    my $all = '';
    while (sysread($client, my $bytes, 65536)) { $all .= $bytes }
    print $client $all; close $client;
}
"#;

/// How long a connection may take from the host to the guest and back: many times what it takes beside other
/// work. Whoever asks again and again asks with a connection that is new.
const CARRIED_LIMIT: Duration = Duration::from_secs(10);

/// A port that nobody has at the moment, in the guest either when that is the host. Below those that
/// the kernel gives to whoever wants any (ip(7)), so that no test beside this one gets it meanwhile;
/// each process begins somewhere else.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id() * 37;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(10_000 + number % 20_000).expect("small")
    });
    ports.find(is_free).expect("endless")
}

/// The server, for as long as the session that it runs in lives.
struct Mirror(Child);

impl Mirror {
    fn start(world: &World, port: u16) -> Self {
        let port = port.to_string();
        let arguments = ["vm", "exec", "v", "--", "perl", "-e", MIRROR, &port];
        let mut child = program::start(&mut world.banger(arguments));
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("readable");
        assert_eq!(line, "up\n", "the server did not start");
        Self(child)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone_already = self.0.wait();
    }
}

/// Where the only published port of a sandbox is.
///
/// # Panics
/// When there is not one, or it is not open.
#[must_use]
pub fn endpoint(world: &World, name: &str) -> SocketAddr {
    let shown = world.show(name);
    let published = &shown["publish"][0];
    assert_eq!(published["open"], true, "{shown}");
    let at = format!("127.0.0.1:{}", published["port"]);
    at.parse().expect("an address")
}

/// Connects to the only published port of a sandbox, behind which nobody needs to listen in the guest: where it
/// is carried, the connection is ended from there.
///
/// # Errors
/// When the port is not open, or nobody carries the connection.
pub fn carried(world: &World, name: &str) -> std::io::Result<()> {
    let shown = api::get(world, &format!("/v1/sandboxes/{name}"))?.json()?;
    let published = &shown["publish"][0];
    let port = published["port"]
        .as_u64()
        .filter(|_| published["open"] == true);
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| std::io::Error::other(published.to_string()))?;
    ended_from_there(([127, 0, 0, 1], port).into())
        .map_err(|error| std::io::Error::new(error.kind(), format!("{published}: {error}")))
}

/// Connects, sends nothing, and waits until it is ended, in order or not.
///
/// # Errors
/// When nobody listens, or nothing happens.
pub fn ended_from_there(at: SocketAddr) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(at)?;
    connection.set_read_timeout(Some(CARRIED_LIMIT))?;
    connection.shutdown(Shutdown::Write)?;
    match connection.read(&mut [0]) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

/// Sends bytes, ends its side, and reads to the end.
///
/// # Errors
/// When the connection is refused or broken off.
pub fn mirrored(at: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(at)?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(bytes)?;
    connection.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    connection.read_to_end(&mut back)?;
    Ok(back)
}

/// Sends a datagram until it comes back: what is lost may be lost.
///
/// # Panics
/// When it never does.
pub fn echoed(at: SocketAddr, payload: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.connect(at).expect("connected");
    let pause = Some(Duration::from_millis(500));
    socket.set_read_timeout(pause).expect("set");
    let mut bytes = vec![0; 65_536];
    eventually("the datagram to come back", LIMIT, || {
        socket.send(payload).map_err(|error| error.to_string())?;
        let count = socket.recv(&mut bytes).map_err(|error| error.to_string())?;
        assert_eq!(&bytes[..count], payload);
        Ok::<_, String>(())
    });
}

/// On whatever network: connections and datagrams go over the agent's link.
///
/// # Panics
/// When a server in the guest is not reached, or still is when it should be no longer.
pub fn a_server_in_the_guest_is_reached_until_its_port_is_published_no_longer(
    world: &World,
    network: &str,
) {
    let guest = free_port();
    let tcp = format!("0:{guest}");
    let options = ["-d", "--name", "v", "--network", network, "-p", &tcp];
    let _ = world.run(run(&options)).good();
    let at = endpoint(world, "v");
    let _server = Mirror::start(world, guest);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    assert!(mirrored(at, &bytes).expect("carried") == bytes);

    let udp = format!("0:{guest}/udp");
    let published = world.run(["vm", "publish", "-q", "v", &udp]).good().text();
    let udp_at: SocketAddr = published.trim().parse().expect("an address");
    assert!(udp_at.ip().is_loopback(), "{udp_at}");
    for size in [0, 5, 1400, 9000, 60_000] {
        echoed(udp_at, &bytes[..size]);
    }

    let ports = world.run(["vm", "ports", "v"]).good().text();
    assert!(ports.contains(&at.to_string()), "{ports}");
    let listed = world.run(["ps"]).good().text();
    for published in [
        format!("{at}->{guest}/tcp"),
        format!("{udp_at}->{guest}/udp"),
    ] {
        assert!(listed.contains(&published), "{listed}");
    }

    world.kill_daemon();
    assert_eq!(endpoint(world, "v"), at, "the next daemon has the same");
    assert_eq!(mirrored(at, b"again").expect("carried"), b"again");
    echoed(udp_at, b"again");

    for port in [at.port().to_string(), format!("{}/udp", udp_at.port())] {
        let _ = world.run(["vm", "unpublish", "v", &port]).good();
    }
    assert!(TcpStream::connect(at).is_err(), "it still listens");
    let free = UdpSocket::bind(udp_at).map(drop);
    free.expect("nobody has the port for datagrams any more");
}
