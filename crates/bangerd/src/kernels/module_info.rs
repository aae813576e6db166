//! What a kernel module says of itself in its `.modinfo`: `key=value`, each ended by a zero byte.

use super::elf::{Elf, ElfError};

/// What is needed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleInfo {
    /// Names of modules that must be loaded before, as they are written.
    pub(super) depends: Vec<String>,
    /// Which modules should be loaded before and after, if they are there, as it is written:
    /// `pre: crc32c post: other`.
    pub(super) soft: Vec<String>,
    /// Patterns of the devices and names that it serves.
    pub(super) aliases: Vec<String>,
}

impl ModuleInfo {
    /// Reads it from an uncompressed module; one without `.modinfo` says nothing.
    pub(super) fn of_module(file: &[u8]) -> Result<Self, ElfError> {
        let elf = Elf::parse(file)?;
        Ok(Self::parse(elf.section(".modinfo").unwrap_or_default()))
    }

    fn parse(section: &[u8]) -> Self {
        let mut info = Self::default();
        for text in section.split(|byte| *byte == 0) {
            match std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.split_once('='))
            {
                Some(("depends", names)) => info.depends.extend(
                    names
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(str::to_owned),
                ),
                Some(("softdep", words)) => info.soft.push(words.to_owned()),
                Some(("alias", pattern)) => info.aliases.push(pattern.to_owned()),
                _ => {}
            }
        }
        info
    }

    /// Names or aliases of modules that should be loaded before, if they are there.
    pub(super) fn soft_before(&self) -> Vec<String> {
        self.soft
            .iter()
            .flat_map(|words| soft_before(words))
            .collect()
    }
}

/// The names behind `pre:`, as in `pre: crc32c post: other`.
fn soft_before(words: &str) -> Vec<String> {
    let mut before = false;
    let mut names = Vec::new();
    for word in words.split_ascii_whitespace() {
        match word {
            "pre:" => before = true,
            "post:" => before = false,
            name if before => names.push(name.to_owned()),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dependencies_and_aliases_are_read() {
        let file = fixtures::module(
            "license=GPL\0softdep=pre: crc32c x post: y\0alias=fs-ext4\0alias=ext3\0depends=mbcache,jbd2\0name=ext4\0",
        );
        let info = ModuleInfo::of_module(&file).expect("is read");
        assert_eq!(info.depends, ["mbcache", "jbd2"]);
        assert_eq!(info.soft_before(), ["crc32c", "x"]);
        assert_eq!(info.aliases, ["fs-ext4", "ext3"]);
    }

    #[test]
    fn a_module_that_needs_nothing_says_so_with_an_empty_text() {
        let info = ModuleInfo::of_module(&fixtures::module("depends=\0")).expect("is read");
        assert_eq!(info, ModuleInfo::default());
    }

    #[test]
    fn a_file_that_is_no_module_is_refused() {
        assert_eq!(ModuleInfo::of_module(b"text"), Err(ElfError::NotElf));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ModuleInfo::parse(&bytes);
            let _ = ModuleInfo::of_module(&bytes);
        }
    }
}
