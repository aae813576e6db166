//! Which distribution this is, and what it calls the packages that are needed.

/// The programs that may be missing. Each is there for a reason that is said before it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Runs every guest.
    Qemu,
    /// Makes the default image.
    Mmdebstrap,
    /// Checks every image disk before it is published.
    E2fsck,
    /// Lets mmdebstrap work for a user who is not root.
    Newuidmap,
    /// Talks to the owner API in tests, as another client would.
    Curl,
    /// Asks the name server in tests, as another resolver would.
    Dig,
    /// What the name server is measured against.
    Dnsmasq,
    /// Shows the tests what rules the kernel has.
    Nft,
    /// Shows the tests what links and addresses the kernel has.
    Ip,
    /// A firewall that guests have to get through in tests, and what Docker's rules are made with.
    Iptables,
    /// Another one.
    Ufw,
}

impl Program {
    /// All of them, in the order in which they are reported.
    pub(crate) const ALL: [Self; 11] = [
        Self::Qemu,
        Self::Mmdebstrap,
        Self::E2fsck,
        Self::Newuidmap,
        Self::Curl,
        Self::Dig,
        Self::Dnsmasq,
        Self::Nft,
        Self::Ip,
        Self::Iptables,
        Self::Ufw,
    ];

    /// The name of the executable.
    pub(crate) const fn executable(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-system-x86_64",
            Self::Mmdebstrap => "mmdebstrap",
            Self::E2fsck => "e2fsck",
            Self::Newuidmap => "newuidmap",
            Self::Curl => "curl",
            Self::Dig => "dig",
            Self::Dnsmasq => "dnsmasq",
            Self::Nft => "nft",
            Self::Ip => "ip",
            Self::Iptables => "iptables",
            Self::Ufw => "ufw",
        }
    }

    /// What it is for.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Qemu => "runs the machines (version 7.2 or newer)",
            Self::Mmdebstrap => "makes the default image from this machine's own package mirror",
            Self::E2fsck => "checks every image disk before it is used",
            Self::Newuidmap => "lets mmdebstrap make an image without root",
            Self::Curl => "is the tests' second client of the daemon's API",
            Self::Dig => "asks the name server in tests, as another resolver would",
            Self::Dnsmasq => "is the name server that ours is measured against",
            Self::Nft => "loads the host network's rules, and shows the tests what the kernel has",
            Self::Ip => "shows the tests what links and addresses the kernel has",
            Self::Iptables => "is a firewall that guests have to get through in tests",
            Self::Ufw => {
                "is another one, in namespaces of the tests; on this host it stays switched off"
            }
        }
    }

    /// Whether only the tests need it.
    pub(crate) const fn only_for_tests(self) -> bool {
        matches!(
            self,
            Self::Curl | Self::Dig | Self::Dnsmasq | Self::Ip | Self::Iptables | Self::Ufw
        )
    }

    /// Whether only root needs it: guests of others are not on a bridge.
    pub(crate) const fn only_with_root(self) -> bool {
        matches!(self, Self::Nft)
    }

    /// Whether only a user who is not root needs it.
    pub(crate) const fn only_without_root(self) -> bool {
        matches!(self, Self::Newuidmap)
    }
}

/// How packages are installed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Debian, Ubuntu and what descends from them.
    Apt,
    /// Fedora, RHEL and what descends from them.
    Dnf,
    /// Arch Linux.
    Pacman,
    /// openSUSE and SLE.
    Zypper,
    /// Alpine.
    Apk,
}

impl Family {
    /// The command that installs packages, without their names.
    pub(crate) const fn install(self) -> &'static str {
        match self {
            Self::Apt => "apt-get install --no-install-recommends",
            Self::Dnf => "dnf install",
            Self::Pacman => "pacman -S",
            Self::Zypper => "zypper install",
            Self::Apk => "apk add",
        }
    }

    /// The package that holds a program; none where no package is known, so that none is invented.
    pub(crate) const fn package(self, program: Program) -> Option<&'static str> {
        Some(match (self, program) {
            (Self::Apt, Program::Qemu) => "qemu-system-x86",
            (Self::Dnf, Program::Qemu) => "qemu-system-x86-core",
            (Self::Pacman, Program::Qemu) => "qemu-system-x86",
            (Self::Zypper, Program::Qemu) => "qemu-x86",
            (Self::Apk, Program::Qemu) => "qemu-system-x86_64",
            (Self::Apt | Self::Dnf, Program::Mmdebstrap) => "mmdebstrap",
            (_, Program::Mmdebstrap) => return None,
            (_, Program::E2fsck) => "e2fsprogs",
            (Self::Apt, Program::Newuidmap) => "uidmap",
            (Self::Dnf, Program::Newuidmap) => "shadow-utils",
            (Self::Pacman | Self::Zypper, Program::Newuidmap) => "shadow",
            (Self::Apk, Program::Newuidmap) => "shadow-uidmap",
            (_, Program::Curl) => "curl",
            (Self::Apt, Program::Dig) => "bind9-dnsutils",
            (Self::Dnf | Self::Zypper, Program::Dig) => "bind-utils",
            (Self::Pacman, Program::Dig) => "bind",
            (Self::Apk, Program::Dig) => "bind-tools",
            (Self::Apt, Program::Dnsmasq) => "dnsmasq-base",
            (_, Program::Dnsmasq) => "dnsmasq",
            (_, Program::Nft) => "nftables",
            (Self::Dnf, Program::Ip) => "iproute",
            (_, Program::Ip) => "iproute2",
            (Self::Dnf, Program::Iptables) => "iptables-nft",
            (_, Program::Iptables) => "iptables",
            (Self::Zypper, Program::Ufw) => return None,
            (_, Program::Ufw) => "ufw",
        })
    }
}

/// What `/etc/os-release` says, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// Its own identifier, e.g. `debian`.
    pub(crate) id: String,
    /// What it descends from.
    pub(crate) id_like: Vec<String>,
    /// The release's name, e.g. `bookworm`; empty where there is none.
    pub(crate) codename: String,
}

impl Distribution {
    /// Reads os-release(5).
    pub(crate) fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let assignments = text.lines().filter_map(|line| line.split_once('='));
            let found = assignments.into_iter().find(|(key, _)| *key == name);
            found.map_or("", |(_, value)| value.trim().trim_matches(['"', '\'']))
        };
        Self {
            id: value("ID").to_owned(),
            id_like: value("ID_LIKE")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            codename: value("VERSION_CODENAME").to_owned(),
        }
    }

    /// How packages are installed on it; none when it is not known.
    pub(crate) fn family(&self) -> Option<Family> {
        let own = std::iter::once(self.id.as_str());
        own.chain(self.id_like.iter().map(String::as_str))
            .find_map(|id| match id {
                "debian" | "ubuntu" => Some(Family::Apt),
                "fedora" | "rhel" | "centos" => Some(Family::Dnf),
                "arch" => Some(Family::Pacman),
                "suse" | "opensuse" | "sles" | "opensuse-tumbleweed" | "opensuse-leap" => {
                    Some(Family::Zypper)
                }
                "alpine" => Some(Family::Apk),
                _ => None,
            })
    }

    /// Whether QEMU is taken from backports: Debian 12's own is 7.2, the oldest that works, and where
    /// other QEMU packages came from backports it cannot be installed beside them.
    pub(crate) fn wants_backports(&self) -> bool {
        self.id == "debian" && self.codename == "bookworm"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_is_read_from_os_release() {
        let text =
            "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let found = Distribution::parse(text);
        assert_eq!(
            (found.id.as_str(), found.codename.as_str()),
            ("debian", "bookworm")
        );
        assert_eq!(found.family(), Some(Family::Apt));
        assert!(found.wants_backports());
        assert!(!Distribution::parse("ID=debian\nVERSION_CODENAME=trixie").wants_backports());
    }

    #[test]
    fn a_descendant_installs_as_its_ancestor_does() {
        for (text, family) in [
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", Some(Family::Apt)),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"",
                Some(Family::Dnf),
            ),
            ("ID=manjaro\nID_LIKE=arch", Some(Family::Pacman)),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"",
                Some(Family::Zypper),
            ),
            ("ID=alpine", Some(Family::Apk)),
            ("ID=nixos", None),
            ("", None),
        ] {
            assert_eq!(Distribution::parse(text).family(), family, "{text}");
        }
    }

    #[test]
    fn every_family_has_a_package_for_what_runs_machines() {
        for family in [
            Family::Apt,
            Family::Dnf,
            Family::Pacman,
            Family::Zypper,
            Family::Apk,
        ] {
            assert!(family.package(Program::Qemu).is_some());
            assert!(family.package(Program::E2fsck).is_some());
        }
        assert!(
            Program::ALL
                .iter()
                .all(|program| Family::Apt.package(*program).is_some())
        );
    }
}
