//! T1: the real command line against a fake daemon on a real socket.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code: a failed expectation is a failed test"
)]

mod copying;
mod creations;
mod fake;
mod sessions;
mod standalone;
mod terminal;
mod verbs;
