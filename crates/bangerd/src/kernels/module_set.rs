//! All modules of a kernel: who needs whom, in which order to load, and what is built in. Pure.

use super::module_info::ModuleInfo;
use std::collections::{BTreeMap, BTreeSet};

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// Where it lies below the module directory.
    pub(super) path: String,
    /// What it says of itself.
    pub(super) info: ModuleInfo,
}

/// The modules of a kernel by name, and the names of those that are built in.
#[derive(Debug, Default)]
pub(super) struct ModuleSet {
    modules: BTreeMap<String, Module>,
    builtin: BTreeSet<String>,
}

/// The name by which the kernel knows a module, from its path: without directory and ending, `-`
/// written as `_`. None for a file that is not a module.
pub(super) fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (stem, ending) = file.split_once(".ko")?;
    let is_module = matches!(ending, "" | ".xz" | ".zst" | ".gz") && !stem.is_empty();
    is_module.then(|| stem.replace('-', "_"))
}

/// An order in which modules can be loaded, and what is missing from it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoadOrder<'a> {
    /// Each after those that it needs.
    pub(super) modules: Vec<&'a Module>,
    /// Names that are needed and neither there nor built in.
    pub(super) missing: BTreeSet<String>,
}

impl ModuleSet {
    /// From the modules and the kernel's list `modules.builtin` (one path on each line).
    pub(super) fn new(modules: impl IntoIterator<Item = Module>, builtin: &str) -> Self {
        Self {
            modules: modules
                .into_iter()
                .filter_map(|module| Some((name_of(&module.path)?, module)))
                .collect(),
            builtin: builtin
                .lines()
                .filter_map(|line| name_of(line.trim()))
                .collect(),
        }
    }

    fn canonical(name: &str) -> String {
        name.replace('-', "_")
    }

    /// The module that a soft dependency means: by name, else one of those with that alias, the
    /// portable one first (`crc32c` is `crc32c_generic`, not what only some processors can do).
    fn by_name_or_alias(&self, wanted: &str) -> Option<&str> {
        if let Some((name, _)) = self.modules.get_key_value(&Self::canonical(wanted)) {
            return Some(name);
        }
        let is_meant = |module: &Module| module.info.aliases.iter().any(|alias| alias == wanted);
        let meant = self.modules.iter().filter(|(_, module)| is_meant(module));
        meant
            .map(|(name, _)| name.as_str())
            .min_by_key(|name| (!name.ends_with("_generic"), *name))
    }

    /// The names that must, or with `soft` should, be loaded right before a module.
    fn before(&self, module: &Module, soft: bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if soft {
            let wanted = module.info.soft_before();
            let found = wanted.iter().filter_map(|name| self.by_name_or_alias(name));
            names.extend(found.map(str::to_owned));
        }
        names.extend(module.info.depends.iter().map(|name| Self::canonical(name)));
        names
    }

    /// Orders the roots and all that they need. A circle is cut where it is noticed.
    pub(super) fn load_order(&self, roots: &[&str], soft: bool) -> LoadOrder<'_> {
        let mut order = LoadOrder {
            modules: Vec::new(),
            missing: BTreeSet::new(),
        };
        let mut seen = BTreeSet::new();
        // A name is met twice: first it puts those before it on the stack, then it is taken.
        let mut stack: Vec<(String, bool)> = roots
            .iter()
            .rev()
            .map(|root| (Self::canonical(root), false))
            .collect();
        while let Some((name, is_ready)) = stack.pop() {
            let Some(module) = self.modules.get(&name) else {
                if !self.builtin.contains(&name) {
                    order.missing.insert(name);
                }
                continue;
            };
            if is_ready {
                order.modules.push(module);
            } else if seen.insert(name.clone()) {
                stack.push((name, true));
                let before = self.before(module, soft);
                stack.extend(before.into_iter().rev().map(|name| (name, false)));
            }
        }
        order
    }

    /// Whether there may be a module of that name, or the same built in: there may be anything where nothing
    /// tells what is built in.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.builtin.is_empty() || self.builtin.contains(name) || self.modules.contains_key(name)
    }

    /// All modules by name, in the order of their names.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&str, &Module)> {
        let all = self.modules.iter();
        all.map(|(name, module)| (name.as_str(), module))
    }

    /// The names of what is built in.
    pub(super) fn builtin(&self) -> impl Iterator<Item = &str> {
        self.builtin.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, depends: &[&str]) -> Module {
        Module {
            path: path.to_owned(),
            info: ModuleInfo {
                depends: depends.iter().map(|name| (*name).to_owned()).collect(),
                ..ModuleInfo::default()
            },
        }
    }

    fn virtio() -> ModuleSet {
        ModuleSet::new(
            [
                module("kernel/virtio/virtio.ko", &[]),
                module("kernel/virtio/virtio_ring.ko.xz", &["virtio"]),
                module("kernel/virtio/virtio_pci.ko", &["virtio_ring", "virtio"]),
                module("kernel/char/virtio-rng.ko", &["virtio_ring"]),
            ],
            "kernel/fs/ext4/ext4.ko\nkernel/fs/jbd2/jbd2.ko\n",
        )
    }

    fn paths(set: &ModuleSet, roots: &[&str]) -> Vec<String> {
        let order = set.load_order(roots, true);
        order
            .modules
            .iter()
            .map(|module| module.path.clone())
            .collect()
    }

    #[test]
    fn a_module_comes_once_and_after_those_it_needs() {
        assert_eq!(
            paths(&virtio(), &["virtio_rng", "virtio_pci", "ext4"]),
            [
                "kernel/virtio/virtio.ko",
                "kernel/virtio/virtio_ring.ko.xz",
                "kernel/char/virtio-rng.ko",
                "kernel/virtio/virtio_pci.ko",
            ]
        );
    }

    #[test]
    fn what_is_neither_there_nor_built_in_is_missing() {
        let set = virtio();
        let order = set.load_order(&["ext4", "overlay"], true);
        assert!(order.modules.is_empty());
        assert_eq!(order.missing, BTreeSet::from(["overlay".to_owned()]));
    }

    #[test]
    fn a_kernel_may_have_what_is_listed_or_anything_where_nothing_is() {
        let set = virtio();
        assert!(set.may_have("virtio_rng") && set.may_have("jbd2"));
        assert!(!set.may_have("vmgenid"));
        let unlisted = ModuleSet::new([module("kernel/virtio/virtio.ko", &[])], "");
        assert!(unlisted.may_have("vmgenid"));
    }

    #[test]
    fn a_circle_is_cut_and_a_long_chain_needs_no_stack() {
        let circle = ModuleSet::new([module("a.ko", &["b"]), module("b.ko", &["a"])], "");
        assert_eq!(paths(&circle, &["a"]), ["b.ko", "a.ko"]);
        let chain: Vec<Module> = (0..50_000)
            .map(|n| module(&format!("m{n}.ko"), &[&format!("m{}", n + 1)]))
            .collect();
        let chain = ModuleSet::new(chain, "m50000.ko");
        assert_eq!(paths(&chain, &["m0"]).len(), 50_000);
    }

    #[test]
    fn a_soft_dependency_may_be_an_alias_and_may_be_absent() {
        let alias = |path: &str| {
            let mut module = module(path, &[]);
            module.info.aliases.push("crc32c".to_owned());
            module
        };
        let mut ext4 = module("ext4.ko", &[]);
        ext4.info.soft = vec!["pre: crc32c nothing".to_owned()];
        let set = ModuleSet::new([alias("crc32c-a.ko"), alias("crc32c_generic.ko"), ext4], "");
        assert_eq!(paths(&set, &["ext4"]), ["crc32c_generic.ko", "ext4.ko"]);
    }

    #[test]
    fn names_are_those_that_the_kernel_uses() {
        assert_eq!(
            name_of("kernel/a/virtio-rng.ko.zst").as_deref(),
            Some("virtio_rng")
        );
        for path in ["modules.dep", "a.ko.txt", ".ko", "a.koala", ""] {
            assert_eq!(name_of(path), None, "{path:?}");
        }
    }
}
