//! The tables by which a guest's `modprobe` and `udev` find modules. Packages do not have them:
//! distributions make them with `depmod` when a package is installed. They cannot be made in the
//! guest, where the disk is read-only. Pure.

use super::{
    module_set::{Module, ModuleSet},
    table_index::TableIndex,
};
use std::fmt::Write;

/// A module's path, then those it needs, the one to be loaded first last (as depmod has it).
fn dependency_line(set: &ModuleSet, name: &str, module: &Module) -> String {
    let order = set.load_order(&[name], false).modules;
    let needed = order.iter().rev().filter(|other| other.path != module.path);
    needed.fold(format!("{}:", module.path), |line, other| {
        line + " " + &other.path
    })
}

/// The key of an alias in the index: `-` as `_`, except in the brackets of a pattern.
fn alias_key(alias: &str) -> String {
    let mut is_bracket = false;
    let plain = alias.chars().map(|c| {
        match c {
            '[' => is_bracket = true,
            ']' => is_bracket = false,
            _ => {}
        }
        if c == '-' && !is_bracket { '_' } else { c }
    });
    plain.collect()
}

/// The device node that makes the kernel load a module when it is opened: `fuse fuse c10:229`.
fn device_line(name: &str, aliases: &[String]) -> Option<String> {
    let node = aliases
        .iter()
        .find_map(|alias| alias.strip_prefix("devname:"))?;
    let (kind, numbers) = aliases.iter().find_map(|alias| {
        let character = alias.strip_prefix("char-major-").map(|rest| ('c', rest));
        character.or_else(|| alias.strip_prefix("block-major-").map(|rest| ('b', rest)))
    })?;
    let (major, minor) = numbers.split_once('-')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{name} {node} {kind}{major}:{minor}"))
}

/// A line of text must not be able to become two.
fn is_one_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// The tables by file name.
pub(super) fn of(set: &ModuleSet) -> Vec<(&'static str, Vec<u8>)> {
    let (mut dependencies, mut dependency_index) = (String::new(), TableIndex::default());
    let (mut aliases, mut alias_index) = (String::new(), TableIndex::default());
    let (mut soft, mut devices) = (String::new(), String::new());
    for (number, (name, module)) in (0..).zip(set.modules()) {
        let line = dependency_line(set, name, module);
        let _ = writeln!(dependencies, "{line}");
        dependency_index.insert(name, number, &line);
        let is_plain = |alias: &&String| !alias.contains(char::is_whitespace) && is_one_line(alias);
        for alias in module.info.aliases.iter().filter(is_plain) {
            let _ = writeln!(aliases, "alias {alias} {name}");
            alias_index.insert(&alias_key(alias), number, name);
        }
        for words in module.info.soft.iter().filter(|words| is_one_line(words)) {
            let _ = writeln!(soft, "softdep {name} {words}");
        }
        if let Some(line) = device_line(name, &module.info.aliases).filter(|line| is_one_line(line))
        {
            let _ = writeln!(devices, "{line}");
        }
    }
    let mut builtin_index = TableIndex::default();
    set.builtin()
        .for_each(|name| builtin_index.insert(name, 0, ""));
    let mut tables = vec![
        ("modules.dep", dependencies.into_bytes()),
        ("modules.alias", aliases.into_bytes()),
        ("modules.softdep", soft.into_bytes()),
        ("modules.devname", devices.into_bytes()),
    ];
    for (name, index) in [
        ("modules.dep.bin", dependency_index),
        ("modules.alias.bin", alias_index),
        ("modules.builtin.bin", builtin_index),
        // Where it is absent, modprobe gives up before it has looked at the rest.
        ("modules.symbols.bin", TableIndex::default()),
        ("modules.builtin.alias.bin", TableIndex::default()),
    ] {
        tables.extend(index.encode().map(|bytes| (name, bytes)));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::super::module_info::ModuleInfo;
    use super::*;
    use std::collections::BTreeMap;

    fn module(path: &str, depends: &[&str], aliases: &[&str]) -> Module {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Module {
            path: path.to_owned(),
            info: ModuleInfo {
                depends: owned(depends),
                aliases: owned(aliases),
                soft: vec!["pre: crc32c".to_owned()],
            },
        }
    }

    #[test]
    fn the_tables_are_written_as_depmod_does() {
        let set = ModuleSet::new(
            [
                module(
                    "virtio_pci.ko",
                    &["virtio_ring"],
                    &["pci:v00001AF4d*", "two words"],
                ),
                module("virtio_ring.ko", &["virtio"], &[]),
                module("virtio.ko", &[], &["devname:fuse", "char-major-10-229"]),
            ],
            "kernel/ext4.ko",
        );
        let tables: BTreeMap<_, _> = of(&set).into_iter().collect();
        let text = |name: &str| String::from_utf8_lossy(&tables[name]).into_owned();
        assert_eq!(
            text("modules.dep"),
            "virtio.ko:\nvirtio_pci.ko: virtio_ring.ko virtio.ko\nvirtio_ring.ko: virtio.ko\n"
        );
        assert_eq!(
            text("modules.alias"),
            "alias devname:fuse virtio\nalias char-major-10-229 virtio\nalias pci:v00001AF4d* virtio_pci\n"
        );
        assert_eq!(text("modules.devname"), "virtio fuse c10:229\n");
        assert!(text("modules.softdep").starts_with("softdep virtio pre: crc32c\n"));
        assert!(text("modules.dep.bin").contains("virtio_pci.ko: virtio_ring.ko virtio.ko\0"));
        assert!(tables.contains_key("modules.builtin.bin"));
    }

    #[test]
    fn an_alias_cannot_add_lines_to_a_table() {
        let set = ModuleSet::new([module("a.ko", &[], &["x\u{b}y", "evil\nalias y z"])], "");
        let tables: BTreeMap<_, _> = of(&set).into_iter().collect();
        assert_eq!(tables["modules.alias"], b"");
    }

    #[test]
    fn an_alias_is_found_with_either_dash_but_for_ranges() {
        assert_eq!(alias_key("crypto-a[0-9]-b"), "crypto_a[0-9]_b");
    }

    #[test]
    fn only_a_module_with_a_name_and_numbers_has_a_device_line() {
        let line = |aliases: &[&str]| {
            let aliases: Vec<String> = aliases.iter().map(|a| (*a).to_owned()).collect();
            device_line("m", &aliases)
        };
        assert_eq!(
            line(&["devname:a/b", "block-major-7-1"]).as_deref(),
            Some("m a/b b7:1")
        );
        assert_eq!(line(&["devname:a", "char-major-10-*"]), None);
        assert_eq!(line(&["char-major-10-1"]), None);
    }
}
