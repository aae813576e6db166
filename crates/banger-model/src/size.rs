//! Sizes of a machine: processors, memory, disks.
//!
//! Text forms accept `K`, `M`, `G`, `T` with an optional `iB` or `B`, in any case; a bare number
//! means MiB. All units are binary.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Bytes in one MiB.
pub const MIB: u64 = 1 << 20;

/// Why a size was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// Not a number with a known unit.
    #[error("{text:?} is not a size: write for example 512MiB or 4GiB (a bare number means MiB)")]
    Form {
        /// What was given.
        text: String,
    },
    /// Outside of what any machine can have.
    #[error("{what} {given} is out of range: give {least} to {most}")]
    Range {
        /// What the size is of.
        what: &'static str,
        /// What was given.
        given: String,
        /// The least allowed value.
        least: String,
        /// The largest allowed value.
        most: String,
    },
}

/// Reads `4GiB`, `512M`, `8192` (MiB) as bytes.
///
/// # Errors
/// `BadSize::Form` for anything else, fractions, signs and values over 2⁶⁴ included.
pub fn parse_bytes(text: &str) -> Result<u64, BadSize> {
    let bad = || BadSize::Form {
        text: text.to_owned(),
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => 1 << 10,
        "" | "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).ok_or_else(bad)
}

/// Writes bytes in the largest unit that needs at most one decimal: `4GiB`, `1.5GiB`, `512MiB`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = bytes / (unit / 10).max(1);
            return if tenths.is_multiple_of(10) || bytes.is_multiple_of(unit) {
                format!("{}{name}", bytes / unit)
            } else {
                format!("{}.{}{name}", bytes / unit, (bytes % unit) * 10 / unit)
            };
        }
    }
    format!("{bytes}B")
}

/// Number of virtual processors: 1 to 64 (a host's own limit is judged against the survey).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VcpuCount(u32);

/// Memory of a guest in whole MiB: 64 MiB (less does not boot a distribution kernel with its
/// initramfs, measured) to 1 TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct MemorySize(u64);

/// Nominal size of a sandbox disk in whole MiB: 64 MiB (ext4 with a journal) to 16 TiB (the limit
/// of ext4 with 32-bit block numbers and 4 KiB blocks). Disks are sparse: only what is written
/// takes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct DiskSize(u64);

impl TryFrom<u32> for VcpuCount {
    type Error = BadSize;
    fn try_from(count: u32) -> Result<Self, BadSize> {
        if (1..=64).contains(&count) {
            return Ok(Self(count));
        }
        Err(BadSize::Range {
            what: "vcpu",
            given: count.to_string(),
            least: "1".into(),
            most: "64".into(),
        })
    }
}

impl VcpuCount {
    /// The number of processors.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<VcpuCount> for u32 {
    fn from(count: VcpuCount) -> Self {
        count.0
    }
}

impl FromStr for VcpuCount {
    type Err = BadSize;
    fn from_str(text: &str) -> Result<Self, BadSize> {
        let count: i64 = text.parse().map_err(|_| BadSize::Range {
            what: "vcpu",
            given: text.to_owned(),
            least: "1".into(),
            most: "64".into(),
        })?;
        Self::try_from(u32::try_from(count).unwrap_or(0)).map_err(|_| BadSize::Range {
            what: "vcpu",
            given: text.to_owned(),
            least: "1".into(),
            most: "64".into(),
        })
    }
}

macro_rules! mib_size {
    ($name:ident, $what:literal, $least:expr, $most:expr) => {
        impl $name {
            /// The size in MiB.
            #[must_use]
            pub const fn mib(self) -> u64 {
                self.0
            }
            /// The size in bytes.
            #[must_use]
            pub const fn bytes(self) -> u64 {
                self.0 * MIB
            }
            fn out_of_range(given: String) -> BadSize {
                BadSize::Range {
                    what: $what,
                    given,
                    least: show_bytes($least * MIB),
                    most: show_bytes($most * MIB),
                }
            }
        }
        impl TryFrom<u64> for $name {
            type Error = BadSize;
            fn try_from(mib: u64) -> Result<Self, BadSize> {
                if ($least..=$most).contains(&mib) {
                    Ok(Self(mib))
                } else {
                    Err(Self::out_of_range(format!("{mib}MiB")))
                }
            }
        }
        impl FromStr for $name {
            type Err = BadSize;
            fn from_str(text: &str) -> Result<Self, BadSize> {
                let bytes = parse_bytes(text)?;
                if !bytes.is_multiple_of(MIB) {
                    return Err(Self::out_of_range(text.to_owned()));
                }
                Self::try_from(bytes / MIB).map_err(|_| Self::out_of_range(text.to_owned()))
            }
        }
        impl From<$name> for u64 {
            fn from(size: $name) -> Self {
                size.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&show_bytes(self.bytes()))
            }
        }
    };
}
mib_size!(MemorySize, "memory", 64, 1 << 20);
mib_size!(DiskSize, "disk size", 64, 16 << 20);

impl fmt::Display for VcpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_binary_and_a_bare_number_is_mib() {
        let cases = [
            ("4GiB", 4 << 30),
            ("4G", 4 << 30),
            ("512MiB", 512 << 20),
            ("4KiB", 4096),
            ("8192", 8 << 30),
            ("1t", 1 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "G",
            "-1G",
            "1.5G",
            "1X",
            "1 G",
            "99999999999T",
            "0x10",
            "١G",
        ] {
            assert!(parse_bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn zero_and_absurd_values_are_out_of_range() {
        for text in ["0", "-1", "65", "many"] {
            let error = text.parse::<VcpuCount>().expect_err(text).to_string();
            assert!(error.contains("give 1 to 64"), "{error}");
        }
        assert!("0".parse::<MemorySize>().is_err());
        assert!("63M".parse::<MemorySize>().is_err());
        assert!("2T".parse::<MemorySize>().is_err());
        assert!("17T".parse::<DiskSize>().is_err());
        assert!("65537K".parse::<DiskSize>().is_err());
    }

    #[test]
    fn sizes_are_shown_as_people_write_them() {
        for (bytes, text) in [
            (4 << 30, "4GiB"),
            (512 << 20, "512MiB"),
            (3 << 29, "1.5GiB"),
            (1023, "1023B"),
            (0, "0B"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn a_shown_memory_size_of_whole_units_reads_back(gib in 1_u64..1024) {
            let size = MemorySize::try_from(gib * 1024).expect("in range");
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,24}") {
            let _ = parse_bytes(&text);
        }
    }
}
