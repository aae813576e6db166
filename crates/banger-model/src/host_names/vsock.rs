//! Where a guest's vsock is found.

use super::SOCKET_PATH_MAX;
use crate::SandboxId;
use crate::subnet::HostPart;
use std::path::{Path, PathBuf};

/// The context id of a guest on vsock: 10000 and its address's host part.
///
/// It is unique on the bridge because the host part is, for every prefix length; 0 to 2 are
/// reserved (vsock(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(u32);

impl Cid {
    /// The id of the guest with this host part.
    #[must_use]
    pub fn of(part: HostPart) -> Self {
        Self(10_000 + u32::from(part.get()))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The socket of a sandbox's vsock, `fc-SHORTID.vsock` in the runtime directory; none where the
/// path would be longer than a socket's may be.
#[must_use]
pub fn vsock_path(runtime: &Path, id: &SandboxId) -> Option<PathBuf> {
    let path = runtime.join(format!("fc-{}.vsock", id.short()));
    (path.as_os_str().len() <= SOCKET_PATH_MAX).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_id_is_ten_thousand_and_the_host_part() {
        let first = HostPart::try_from(2).unwrap();
        assert_eq!(Cid::of(first).get(), 10_002);
        let last = HostPart::try_from(HostPart::MAX).unwrap();
        assert_eq!(Cid::of(last).get(), 75_533);
    }

    #[test]
    fn context_ids_do_not_collide_in_the_widest_subnet() {
        let parts = (2..=HostPart::MAX).map(|part| Cid::of(HostPart::try_from(part).unwrap()));
        let ids: std::collections::BTreeSet<_> = parts.collect();
        assert_eq!(ids.len(), usize::from(HostPart::MAX) - 1);
    }

    #[test]
    fn a_path_that_a_socket_cannot_have_is_none() {
        let id = SandboxId::from_random([0xab; 16]);
        let path = vsock_path(Path::new("/run/banger"), &id);
        assert_eq!(path, Some(PathBuf::from("/run/banger/fc-abababab.vsock")));
        let longest = format!("/{}", "d".repeat(SOCKET_PATH_MAX - 1 - 1 - 17));
        assert_eq!(
            vsock_path(Path::new(&longest), &id).map(|path| path.as_os_str().len()),
            Some(SOCKET_PATH_MAX)
        );
        assert_eq!(vsock_path(Path::new(&format!("{longest}d")), &id), None);
    }
}
