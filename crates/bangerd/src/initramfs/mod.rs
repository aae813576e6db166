//! placeholder: written by its own branch.
