//! The faults: at least one for each line of what a session must hold, in its order, and those of the
//! host's network.

mod checkpoints;
mod commands;
mod crashes;
mod diff;
mod doctor;
mod load;
mod network;
mod operations;
mod pool;
mod records;
mod refusals;
mod repair;
mod resume;
mod usage;
mod verbs;

use super::{Mutation, Test};

/// A test of the whole program with the simulated VMM.
const fn whole(name: &'static str) -> Test {
    Test {
        package: "banger-testkit",
        binary: &["--test", "t1"],
        name,
    }
}

/// A test of the command line with a daemon that the test plays.
const fn client(name: &'static str) -> Test {
    Test {
        package: "banger",
        binary: &["--test", "t1"],
        name,
    }
}

/// The same as [`whole`], on a file system of its own.
const fn full_disk(name: &'static str) -> Test {
    Test {
        package: "banger-testkit",
        binary: &["--test", "t2"],
        name,
    }
}

/// The same as [`whole`], on a network of its own with the real helper.
const fn real_bridge(name: &'static str) -> Test {
    full_disk(name)
}

/// A test of the root helper in network namespaces.
const fn namespace(name: &'static str) -> Test {
    Test {
        package: "banger-root",
        binary: &["--test", "t2"],
        name,
    }
}

/// A unit test of a library.
const fn unit(package: &'static str, name: &'static str) -> Test {
    Test {
        package,
        binary: &["--lib"],
        name,
    }
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Mutation> {
    [
        commands::LIST,
        refusals::LIST,
        crashes::LIST,
        diff::LIST,
        doctor::LIST,
        load::LIST,
        network::LIST,
        operations::LIST,
        records::LIST,
        repair::LIST,
        checkpoints::LIST,
        pool::LIST,
        resume::LIST,
        usage::LIST,
        verbs::LIST,
    ]
    .into_iter()
    .flatten()
}
