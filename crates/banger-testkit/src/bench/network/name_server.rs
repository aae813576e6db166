//! The two servers, each a process of its own.

use super::super::error::Error;
use bangerd::host_network::dns::{Addresses, DnsServer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many machines have names.
pub const MACHINES: usize = 200;
/// By this argument the program becomes our server: [`serve`].
pub const SERVE_VERB: &str = "__names";
/// How long a server may take to answer first; both need milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A machine that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its whole name.
    pub name: String,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

impl Machine {
    /// The machine of this number.
    #[must_use]
    pub fn new(index: usize) -> Self {
        let host = u8::try_from(index % 250 + 2).unwrap_or(2);
        Self {
            name: format!("machine-{index}.vm"),
            v4: Ipv4Addr::new(172, 16, 0, host),
            v6: Ipv6Addr::new(0xFD00, 1, 2, 0, 0, 0, 0, host.into()),
        }
    }
}

/// A server that runs; dropped, it is ended.
#[derive(Debug)]
pub struct NameServer {
    child: Child,
    address: SocketAddr,
}

impl NameServer {
    /// Ours.
    ///
    /// # Errors
    /// When it does not start.
    pub fn ours() -> Result<Self, Error> {
        let own = std::env::current_exe().map_err(Error::io("find this program"))?;
        let mut command = Command::new(own);
        command
            .arg(SERVE_VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let child = command
            .spawn()
            .map_err(Error::io("start our name server"))?;
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let mut line = String::new();
        if let Some(stdout) = server.child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(Error::io("read what our name server says"))?;
        }
        server.address = line
            .trim()
            .parse()
            .map_err(|_| Error::wrong(format!("our name server said {line:?}, and no address")))?;
        Ok(server)
    }

    /// dnsmasq with the same records, and nothing else: no forwarding, no files of the host.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn dnsmasq() -> Result<Self, Error> {
        let address = free_address()?;
        let mut command = Command::new("dnsmasq");
        command.env("PATH", path_with_sbin());
        command.args([
            "--no-daemon",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
        ]);
        command.args([
            "--pid-file=",
            "--bind-interfaces",
            "--local=/vm/",
            "--local-ttl=5",
        ]);
        command.arg(format!("--listen-address={}", address.ip()));
        command.arg(format!("--port={}", address.port()));
        for Machine { name, v4, v6 } in (0..MACHINES).map(Machine::new) {
            command.arg(format!("--host-record={name},{v4},{v6}"));
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(Error::io("start dnsmasq (`cargo xtask setup` installs it)"))?;
        let mut server = Self { child, address };
        server.wait_for_answer()?;
        Ok(server)
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks until something comes back.
    fn wait_for_answer(&mut self) -> Result<(), Error> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(Error::io("bind a socket"))?;
        let look = Some(Duration::from_millis(50));
        socket
            .set_read_timeout(look)
            .map_err(Error::io("limit a read"))?;
        let until = Instant::now() + START_LIMIT;
        let query = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x02vm\0\0\x01\0\x01";
        let mut buffer = [0; 512];
        while Instant::now() < until {
            let asked = socket.send_to(query, self.address);
            if asked.is_ok() && socket.recv(&mut buffer).is_ok() {
                return Ok(());
            }
            let ended = self
                .child
                .try_wait()
                .map_err(Error::io("watch a name server"))?;
            if let Some(status) = ended {
                return Err(Error::wrong(format!("the name server ended: {status}")));
            }
        }
        Err(Error::wrong("the name server does not answer"))
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _waited_already = self.child.wait();
    }
}

/// An address whose port was free a moment ago, for a server that cannot tell which it chose.
fn free_address() -> Result<SocketAddr, Error> {
    let bound = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    bound.map_err(Error::io("find a free port"))
}

/// Where distributions put servers, which is not on every user's path.
fn path_with_sbin() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// Our server: prints its address, and serves until its input ends.
///
/// # Errors
/// When it cannot serve.
pub fn serve() -> Result<(), Error> {
    let server = DnsServer::bind(([127, 0, 0, 1], 0).into());
    let server = server.map_err(|error| Error::wrong(error.to_string()))?;
    server.authority().replace(records()?);
    println!("{}", server.address());
    let flushed = std::io::stdout().flush();
    flushed.map_err(Error::io("tell the address"))?;
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    ended.map_err(Error::io("wait for the end"))?;
    Ok(())
}

fn records() -> Result<bangerd::host_network::dns::Records, Error> {
    let machines = (0..MACHINES).map(Machine::new);
    let record = |machine: Machine| {
        let bare = machine.name.trim_end_matches(".vm");
        let name = bare
            .parse()
            .map_err(|error| Error::wrong(format!("{error}")))?;
        let addresses = Addresses::new([IpAddr::from(machine.v4), IpAddr::from(machine.v6)]);
        let addresses = addresses.map_err(|error| Error::wrong(error.to_string()))?;
        Ok((name, addresses))
    };
    machines.map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_name_and_addresses_of_its_own() {
        let all = records().expect("names and addresses");
        assert_eq!(all.len(), MACHINES);
        let mut addresses: Vec<IpAddr> = all.values().flat_map(Addresses::iter).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 2 * MACHINES);
    }
}
