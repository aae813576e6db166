//! Sandboxes and their ports.

use super::table::{Table, Tone};
use super::words::{age, mib, show_bytes};
use banger_model::SandboxState;
use banger_model::spec::Source;
use banger_proto::owner::daemon::Defaults;
use banger_proto::owner::sandbox::{
    CreateRequest, Port, Published, Run, Sandbox, Sourced, StartTimes,
};
use std::fmt::Display;
use std::time::Duration;

/// The first eight digits of an id.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// How a state is drawn.
#[must_use]
pub const fn tone(state: SandboxState) -> Tone {
    match state {
        SandboxState::Running => Tone::Good,
        SandboxState::Starting | SandboxState::Stopping | SandboxState::Deleting => Tone::Warning,
        SandboxState::Created | SandboxState::Stopped | SandboxState::Suspended => Tone::Faint,
        SandboxState::NeedsRepair | SandboxState::Unreadable => Tone::Bad,
    }
}

/// The table of `list` and `ps`.
#[must_use]
pub fn table(sandboxes: &[Sandbox], now: u64) -> Table {
    let mut head = vec![
        "ID", "NAME", "STATE", "IMAGE", "VCPU", "MEMORY", "DISK", "AGE", "PORTS", "REASON",
    ];
    // Most machines publish nothing: the column is there when one does.
    let has_ports = sandboxes.iter().any(|sandbox| !sandbox.publish.is_empty());
    if !has_ports {
        head.retain(|title| *title != "PORTS");
    }
    let mut table = Table::new(&head);
    for sandbox in sandboxes {
        let known = |text: String| match sandbox.state {
            SandboxState::Unreadable => "?".to_owned(),
            _ => text,
        };
        let mut row = vec![
            (short(&sandbox.id).to_owned(), Tone::Faint),
            (sandbox.name.clone(), Tone::Plain),
            (sandbox.state.to_string(), tone(sandbox.state)),
            (known(sandbox.image.value.clone()), Tone::Plain),
            (known(sandbox.vcpu.value.to_string()), Tone::Plain),
            (known(mib(sandbox.memory_mib.value)), Tone::Plain),
            (show_bytes(sandbox.disk_used), Tone::Plain),
            (age(sandbox.created_at, now), Tone::Plain),
        ];
        if has_ports {
            row.push((open_ports(sandbox), Tone::Plain));
        }
        row.push((sandbox.reason.clone().unwrap_or_default(), Tone::Plain));
        table.row(row);
    }
    table
}

/// Those that can be connected to now.
fn open_ports(sandbox: &Sandbox) -> String {
    let open = sandbox.publish.iter().filter(|published| published.open);
    open.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A published port, and why it is not open where it should be.
fn published(published: &Published) -> String {
    match &published.trouble {
        Some(why) => format!("{published} (not open: {why})"),
        None if published.open => published.to_string(),
        None => format!("{published} (while it runs)"),
    }
}

fn sourced<T: Display>(text: T, source: Source) -> String {
    match source {
        Source::Request => text.to_string(),
        other => format!("{text} ({other})"),
    }
}

/// Everything about one.
#[must_use]
pub fn details(sandbox: &Sandbox, now: u64) -> Table {
    let mut table = Table::new(&[]);
    let mut line = |what: &str, text: String| {
        table.row([(what.to_owned(), Tone::Strong), (text, Tone::Plain)]);
    };
    line("name", sandbox.name.clone());
    line("id", sandbox.id.clone());
    line("state", sandbox.state.to_string());
    if let Some(reason) = &sandbox.reason {
        line("reason", reason.clone());
    }
    for left in &sandbox.leftovers {
        line("left behind", format!("{}: {}", left.object, left.why));
    }
    if sandbox.state == SandboxState::Unreadable {
        line("directory", sandbox.directory.clone());
        return table;
    }
    line("image", sourced(&sandbox.image.value, sandbox.image.source));
    line(
        "kernel",
        sourced(&sandbox.kernel.value, sandbox.kernel.source),
    );
    line("vcpu", sourced(sandbox.vcpu.value, sandbox.vcpu.source));
    let size = |size: &Sourced<u64>| sourced(mib(size.value), size.source);
    line("memory", size(&sandbox.memory_mib));
    line("work disk", size(&sandbox.disk_mib));
    line("system disk", size(&sandbox.system_disk_mib));
    line("disk used", show_bytes(sandbox.disk_used));
    if let Some(network) = &sandbox.network {
        line("network", sourced(network.value, network.source));
    }
    let addresses: Vec<_> = sandbox.addresses.iter().map(ToString::to_string).collect();
    for (label, words) in [
        ("addresses", &addresses),
        ("networks", &sandbox.networks),
        ("linked with", &sandbox.links),
    ] {
        if !words.is_empty() {
            line(label, words.join(" "));
        }
    }
    line(
        "outside access",
        if sandbox.nat { "yes" } else { "no" }.into(),
    );
    for one in &sandbox.publish {
        line("published", published(one));
    }
    for (key, value) in &sandbox.labels {
        let text = match value.as_str() {
            "" => key.clone(),
            value => format!("{key}={value}"),
        };
        line("label", text);
    }
    line("init", sandbox.init.to_string());
    if sandbox.ephemeral {
        line("ephemeral", "deleted when its first session ends".into());
    }
    if sandbox.checkpoint {
        line("checkpoints", "one before each command".into());
    }
    line("age", age(sandbox.created_at, now));
    line("directory", sandbox.directory.clone());
    if let Some(run) = &sandbox.run {
        run_details(run, now, &mut line);
    }
    table
}

fn run_details(run: &Run, now: u64, line: &mut impl FnMut(&str, String)) {
    line("backend", run.backend.clone());
    if let Some(pid) = run.pid {
        line("process", pid.to_string());
    }
    line("guest kernel", run.kernel_release.clone());
    let first = if run.init_started {
        "the image's init"
    } else {
        "the agent"
    };
    line("runs as PID 1", first.into());
    line("started", format!("{} ago", age(run.started_at, now)));
    line("start times", times(&run.times, None));
}

/// The meanings of "started", in order.
#[must_use]
pub fn times(times: &StartTimes, first_command: Option<Duration>) -> String {
    let seconds = |ms: f64| format!("{:.3}s", ms / 1000.0);
    let mut parts = vec![
        format!("VMM up {}", seconds(times.vmm_up_ms)),
        format!("guest running {}", seconds(times.guest_running_ms)),
        format!("agent answered {}", seconds(times.agent_answered_ms)),
    ];
    if let Some(settled) = times.init_settled_ms {
        parts.push(format!("init settled {}", seconds(settled)));
    }
    if let Some(done) = first_command {
        parts.push(format!("first command done {:.3}s", done.as_secs_f64()));
    }
    parts.join(" · ")
}

/// What a request will get, in one line: `1 vcpu | 1GiB | 8GiB disk | image debian`.
#[must_use]
pub fn spec_line(request: &CreateRequest, defaults: &Defaults) -> String {
    let vcpu = request
        .vcpu
        .map_or(defaults.vcpu.value, |count| count.get());
    let memory = request
        .memory_mib
        .map_or(defaults.memory_mib.value, |size| size.mib());
    let disk = request
        .disk_mib
        .map_or(defaults.disk_mib.value, |size| size.mib());
    let image = request
        .image
        .as_ref()
        .map_or(defaults.image.value.as_str(), |name| name.as_str());
    format!(
        "{vcpu} vcpu | {} | {} disk | image {image}",
        mib(memory),
        mib(disk)
    )
}

/// Sockets that listen, each with its sandbox.
#[must_use]
pub fn ports<'a>(all: impl Iterator<Item = (&'a str, &'a [Port])>) -> Table {
    let mut table = Table::new(&[
        "SANDBOX", "PROTOCOL", "ADDRESS", "PORT", "ENDPOINT", "PROCESS",
    ]);
    for (name, ports) in all {
        for port in ports {
            let process = match (&port.process, port.pid) {
                (Some(process), Some(pid)) => format!("{process} ({pid})"),
                (Some(process), None) => process.clone(),
                (None, pid) => pid.map(|pid| pid.to_string()).unwrap_or_default(),
            };
            table.row([
                (name, Tone::Plain),
                (&port.protocol, Tone::Plain),
                (&port.address, Tone::Plain),
                (&port.port.to_string(), Tone::Plain),
                (&port.published.join(", "), Tone::Plain),
                (&process, Tone::Plain),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests;
