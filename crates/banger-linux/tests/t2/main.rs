//! The crate against a kernel, as root, each test in network namespaces of its own. What it did is
//! checked with `ip`, `bridge` and `nft`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test, a failed expectation is the message"
)]

mod addresses;
mod confine;
mod links;
mod namespaces;
mod nftables;
mod seqpacket;
mod sysctl;
mod taps;
mod world;
