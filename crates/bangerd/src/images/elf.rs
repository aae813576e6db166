//! As much of an ELF header as it takes to say for which processor a program is.

/// `EM_X86_64` of the ELF specification's machine registry.
pub(crate) const X86_64: u16 = 62;
/// Bytes of a file that [`ident`] looks at: up to and with `e_machine`.
pub(crate) const IDENT_LENGTH: usize = 20;

/// The width, type and machine of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ident {
    /// 64-bit (`ELFCLASS64`).
    pub(crate) wide: bool,
    /// `e_machine`.
    pub(crate) machine: u16,
}

impl Ident {
    /// Whether it is for the processors that banger's guests have.
    pub(crate) fn is_x86_64(self) -> bool {
        self.wide && self.machine == X86_64
    }

    /// The machine's usual name.
    pub(crate) fn name(self) -> String {
        let known = match (self.machine, self.wide) {
            (X86_64, true) => "x86_64",
            (X86_64, false) => "x32",
            (3, _) => "i386",
            (40, _) => "arm",
            (183, _) => "aarch64",
            (243, true) => "riscv64",
            (243, false) => "riscv32",
            (21, _) => "powerpc64",
            (20, _) => "powerpc",
            (22, _) => "s390x",
            (8, _) => "mips",
            (258, _) => "loongarch64",
            (2 | 43, _) => "sparc",
            (machine, _) => return format!("ELF machine {machine}"),
        };
        known.to_owned()
    }
}

/// Reads the beginning of a file; `None` when it is no ELF file.
pub(crate) fn ident(head: &[u8]) -> Option<Ident> {
    let head = head.get(..IDENT_LENGTH)?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let machine = [*head.get(18)?, *head.get(19)?];
    let machine = match head.get(5)? {
        1 => u16::from_le_bytes(machine),
        2 => u16::from_be_bytes(machine),
        _ => return None,
    };
    Some(Ident {
        wide: *head.get(4)? == 2,
        machine,
    })
}

/// The beginning of an ELF file, for tests.
#[cfg(test)]
pub(crate) fn sample(machine: u16) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    head.extend(machine.to_le_bytes());
    head.resize(64, 0);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn machines_are_named() {
        assert!(ident(&sample(X86_64)).expect("is ELF").is_x86_64());
        assert_eq!(ident(&sample(183)).expect("is ELF").name(), "aarch64");
        assert_eq!(
            ident(&sample(9999)).expect("is ELF").name(),
            "ELF machine 9999"
        );
        let mut big = sample(0);
        big[5] = 2;
        big[19] = 22;
        assert_eq!(ident(&big).expect("is ELF").name(), "s390x");
        assert_eq!(ident(b"#!/bin/sh\n# a script that is longer"), None);
        assert_eq!(ident(b"\x7fELF"), None);
    }

    proptest! {
        #[test]
        fn anything_can_be_looked_at(head: Vec<u8>) {
            let _ = ident(&head).map(Ident::name);
        }
    }
}
