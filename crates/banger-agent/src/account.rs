//! Who a command runs as: `/etc/passwd` and `/etc/group`, read as bytes, missing or not.

use crate::fault::{fault, shown};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::GuestFault;
use std::str;

/// A user, as a command needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Option<Vec<u8>>,
}

/// The two files; empty where there is none.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) passwd: Vec<u8>,
    pub(crate) group: Vec<u8>,
}

/// Finds `user[:group]`, each by name or number; nothing means root. A number needs no entry: it
/// then has group 0 and home `/`, as container engines do it.
pub(crate) fn find(files: &Files, wanted: Option<&str>) -> Result<Account, GuestFault> {
    let wanted = wanted.unwrap_or("0");
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let mut account = find_user(&files.passwd, user)?;
    account.groups = groups_of(&files.group, &account.name);
    if let Some(group) = group {
        account.gid = find_group(&files.group, group)?;
        account.groups.clear();
    }
    Ok(account)
}

fn find_user(passwd: &[u8], user: &str) -> Result<Account, GuestFault> {
    let number = user.parse::<u32>().ok();
    let entries = || lines(passwd).filter_map(read_entry);
    let by_name = entries().find(|entry| entry.name == user.as_bytes());
    let by_number = || entries().find(|entry| Some(entry.uid) == number);
    if let Some(found) = by_name.or_else(by_number) {
        return Ok(found);
    }
    match (number, user) {
        (Some(uid), _) => Ok(unlisted(uid)),
        (None, "root") => Ok(unlisted(0)),
        _ => {
            let message = format!("the guest has no user \"{}\"", shown(user.as_bytes()));
            Err(fault(FaultCode::NotFound, message))
        }
    }
}

fn unlisted(uid: u32) -> Account {
    let (name, home) = match uid {
        0 => (b"root".to_vec(), b"/root".to_vec()),
        _ => (uid.to_string().into_bytes(), b"/".to_vec()),
    };
    Account {
        name,
        uid,
        gid: 0,
        groups: Vec::new(),
        home,
        shell: None,
    }
}

fn find_group(groups: &[u8], group: &str) -> Result<u32, GuestFault> {
    let named = lines(groups).find_map(|line| {
        let [name, _, gid, _] = fields::<4>(line)?;
        (name == group.as_bytes()).then(|| number(gid))?
    });
    named.or_else(|| group.parse().ok()).ok_or_else(|| {
        let message = format!("the guest has no group \"{}\"", shown(group.as_bytes()));
        fault(FaultCode::NotFound, message)
    })
}

fn groups_of(groups: &[u8], user: &[u8]) -> Vec<u32> {
    /// What Linux takes at most (`NGROUPS_MAX`).
    const MOST: usize = 65_536;
    let member = |line| {
        let [_, _, gid, members] = fields::<4>(line)?;
        let is_member = members
            .split(|byte| *byte == b',')
            .any(|member| member == user);
        is_member.then(|| number(gid))?
    };
    lines(groups).filter_map(member).take(MOST).collect()
}

fn read_entry(line: &[u8]) -> Option<Account> {
    let [name, _, uid, gid, _, home, shell] = fields::<7>(line)?;
    let home = if home.is_empty() { b"/" } else { home };
    Some(Account {
        name: name.to_vec(),
        uid: number(uid)?,
        gid: number(gid)?,
        groups: Vec::new(),
        home: home.to_vec(),
        shell: (!shell.is_empty()).then(|| shell.to_vec()),
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.contains(&0))
}

fn fields<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut split = line.split(|byte| *byte == b':');
    let mut found = [&b""[..]; N];
    for field in &mut found {
        *field = split.next()?;
    }
    split.next().is_none().then_some(found)
}

fn number(digits: &[u8]) -> Option<u32> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files() -> Files {
        Files {
            passwd: b"root:x:0:0:root:/root:/bin/bash\n\
                dev:x:1000:1000:,,,:/home/dev:/bin/zsh\nbroken:x\nodd:x:2:2::/:\n123:x:7:7::/n:/s"
                .to_vec(),
            group: b"root:x:0:\nsudo:x:27:ann,dev\ndocker:x:99:dev\ndevs:x:1000:\n".to_vec(),
        }
    }

    #[test]
    fn users_are_found_by_name_and_number_with_their_groups() {
        let dev = find(&files(), Some("dev")).expect("listed");
        assert_eq!(
            (dev.uid, dev.gid, dev.groups.as_slice()),
            (1000, 1000, &[27, 99][..])
        );
        assert_eq!(dev.shell.as_deref(), Some(&b"/bin/zsh"[..]));
        assert_eq!(find(&files(), Some("1000")), Ok(dev));
        assert_eq!(find(&files(), None).expect("root").home, b"/root");
        assert_eq!(find(&files(), Some("odd")).expect("listed").shell, None);
        assert_eq!(find(&files(), Some("123")).expect("by name first").uid, 7);
    }

    #[test]
    fn a_group_may_be_given_by_name_or_number() {
        let as_docker = find(&files(), Some("dev:docker")).expect("both listed");
        assert_eq!((as_docker.gid, as_docker.groups.len()), (99, 0));
        assert_eq!(
            find(&files(), Some("dev:4711")).expect("a number").gid,
            4711
        );
        assert!(find(&files(), Some("dev:nobody")).is_err());
    }

    #[test]
    fn without_the_files_numbers_and_root_work_and_other_names_do_not() {
        let none = Files::default();
        for user in [None, Some("root"), Some("0")] {
            let root = find(&none, user).expect("always there");
            assert_eq!((root.uid, root.gid, root.home), (0, 0, b"/root".to_vec()));
        }
        let unlisted = find(&none, Some("33")).expect("a number");
        assert_eq!(
            (unlisted.uid, unlisted.gid, unlisted.home),
            (33, 0, b"/".to_vec())
        );
        let fault = find(&none, Some("www-data")).expect_err("unknown");
        assert_eq!(fault.code, FaultCode::NotFound);
        assert_eq!(fault.message, "the guest has no user \"www-data\"");
    }

    proptest! {
        #[test]
        fn hostile_files_never_panic(passwd: Vec<u8>, group in "([a-z]{0,3}:x?:[0-9]{0,12}:[a-z,]{0,9}\n){0,4}", user in ".{0,9}") {
            let files = Files { passwd, group: group.into_bytes() };
            let _ = find(&files, Some(&user));
        }
    }
}
