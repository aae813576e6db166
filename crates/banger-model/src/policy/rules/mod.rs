//! The rules that a policy means.

mod bridge;
mod inet;
mod statement;

pub(super) use bridge::bridge;
pub(super) use inet::inet;
