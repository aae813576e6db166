//! The tiers of tests: which test belongs to which. `docs/testing.md` says what each may assume.

/// A tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// Assumes nothing.
    T0,
    /// A temporary directory, sockets and processes of its own.
    T1,
    /// Root in namespaces of its own.
    T2,
    /// QEMU.
    T3,
    /// The lab.
    T4,
    /// Hostile input.
    T5,
}

impl Tier {
    /// All tiers, in order.
    pub(crate) const ALL: [Self; 6] = [Self::T0, Self::T1, Self::T2, Self::T3, Self::T4, Self::T5];

    /// Its name, as it is typed and printed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::T0 => "T0",
            Self::T1 => "T1",
            Self::T2 => "T2",
            Self::T3 => "T3",
            Self::T4 => "T4",
            Self::T5 => "T5",
        }
    }

    /// The name of its test binaries (`tests/t1.rs` or `tests/t1/main.rs`); T0 has none.
    pub(crate) const fn binary(self) -> Option<&'static str> {
        match self {
            Self::T0 => None,
            Self::T1 => Some("t1"),
            Self::T2 => Some("t2"),
            Self::T3 => Some("t3"),
            Self::T4 => Some("t4"),
            Self::T5 => Some("t5"),
        }
    }

    /// The tier of that name, in either case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.name().eq_ignore_ascii_case(name))
    }

    /// Why this tier has no tests to run in this version of banger; none for a tier that must run.
    pub(crate) const fn absent(self) -> Option<&'static str> {
        match self {
            Self::T4 => Some("the lab does not exist yet"),
            _ => None,
        }
    }

    /// The modules of unit tests that belong to another tier than T0.
    pub(crate) const MODULES: [&'static str; 3] = ["t1", "t2", "t5"];

    /// nextest's filterset for it. nextest refuses a pattern that matches no binary at all, and a
    /// tier may have none yet: the pattern matches this crate's binary too, which is no test binary.
    pub(crate) fn filterset(self) -> String {
        let unit = "(kind(lib) + kind(bin))";
        match self.binary() {
            None => {
                let others = Self::MODULES.map(|module| format!("test(/(^|::){module}::/)"));
                format!("{unit} - ({})", others.join(" + "))
            }
            Some(name) if Self::MODULES.contains(&name) => {
                format!("{} + ({unit} & test(/(^|::){name}::/))", test_binary(name))
            }
            Some(name) => test_binary(name),
        }
    }
}

fn test_binary(name: &str) -> String {
    format!("(binary(/^({name}|xtask)$/) & kind(test))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_found_by_its_name_in_either_case() {
        assert_eq!(Tier::parse("t3"), Some(Tier::T3));
        assert_eq!(Tier::parse("T6"), None);
    }

    #[test]
    fn unit_tests_outside_of_the_named_modules_are_t0() {
        assert_eq!(
            Tier::T0.filterset(),
            "(kind(lib) + kind(bin)) - (test(/(^|::)t1::/) + test(/(^|::)t2::/) + test(/(^|::)t5::/))"
        );
    }

    #[test]
    fn a_tier_has_its_binaries_and_some_have_modules() {
        assert_eq!(
            Tier::T3.filterset(),
            "(binary(/^(t3|xtask)$/) & kind(test))"
        );
        assert!(
            Tier::T1
                .filterset()
                .starts_with("(binary(/^(t1|xtask)$/) & kind(test)) + ")
        );
        assert!(Tier::T2.filterset().contains("(^|::)t2::"));
        assert!(Tier::T5.filterset().contains("(^|::)t5::"));
    }
}
