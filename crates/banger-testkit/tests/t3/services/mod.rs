//! Databases and a container engine in real guests, of an image that was made with `mmdebstrap`; see
//! `xtask/src/test/services.rs`.

mod containers;
mod databases;

use banger_testkit::World;
use std::time::Duration;

/// How long a guest beside others may take for what takes it ten seconds alone.
const LIMIT: Duration = Duration::from_secs(180);

/// Makes a machine of the image, which runs.
fn create(world: &World, name: &str, options: &[&str]) {
    let create = ["vm", "create", "--name", name, "--image", "services"];
    let _ = world.run([&create[..], options].concat()).good();
}
