//! The helper itself, over its own socket, as root, each test in a network namespace of its own. What
//! it did is checked with `ip` and `nft`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test, a failed expectation is the message"
)]

mod firewalls;
mod guests;
mod guests_over_ipv6;
mod hostile;
mod killed;
mod rules;
mod verbs;
mod world;
