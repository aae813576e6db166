//! The command line of one machine: a pure function.
//!
//! The machine is a q35 with virtio devices on PCI and nothing else. What the figures in the
//! comments mean: time from spawn to the agent's answer, emulated, medians of six boots in one
//! interleaved batch (QEMU 10.0.2, Debian kernel 6.1, 1.6 s); differences below 0.1 s are noise.
//! Only `cryptomgr.notests` stood clear of it. Everything else here is chosen for being safe.

use crate::layout::SandboxPaths;
use crate::vmm::machine::{AGENT_PORT, Accelerator, Disk, Machine, Network};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What the kernel is told.
///
/// `panic=-1` with `-no-reboot`: a kernel that panics ends the process at once. `tsc=reliable`
/// keeps the clock source over a resume. `cryptomgr.notests` saves 0.3 s of the 1.9 s that a boot
/// takes without it. `random.trust_cpu=on` lets the processor's generator seed the kernel's, so
/// that nothing waits for entropy. Tried and within noise: `8250.nr_uarts`, `i8042.*`, `nokaslr`,
/// `mitigations=off`, `pti=off`, `no_timer_check`, `rcupdate.rcu_expedited=1`, leaving the console
/// out.
pub const KERNEL_COMMAND_LINE: &str =
    "console=ttyS0 quiet panic=-1 tsc=reliable cryptomgr.notests random.trust_cpu=on";

/// Everything that the process never needs is denied to it by the kernel, so that a guest that
/// breaks out of its devices finds no way to start a program or to gain rights. `spawn=deny` also
/// forbids network helpers: user-mode networking needs none.
const SECCOMP: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// The arguments for the machine, without the program's own name.
#[must_use]
pub fn arguments(machine: &Machine) -> Vec<OsString> {
    let mut line = CommandLine::default();
    base(&mut line, machine);
    memory(&mut line, machine);
    boot(&mut line, machine);
    sockets_and_console(&mut line, machine);
    for disk in &machine.disks {
        drive(&mut line, disk, machine.durable);
    }
    network(&mut line, machine.network);
    // Entropy for guests whose processor gives none.
    line.option("-device", "virtio-rng-pci");
    if machine.generation_id {
        line.option("-device", "vmgenid,guid=auto");
    }
    line.0
}

fn base(line: &mut CommandLine, machine: &Machine) {
    line.option("-name", format!("guest=banger-{}", machine.id.short()));
    line.option("-sandbox", SECCOMP);
    line.flag("-no-user-config").flag("-nodefaults");
    line.option("-display", "none").flag("-no-reboot");
    // Devices that no guest needs are off because they are code that a guest could attack, not for
    // speed. A core dump of the process must not contain the guest's memory.
    line.option(
        "-machine",
        format!(
            "q35,sata=off,smbus=off,usb=off,hpet=off,vmport=off,dump-guest-core=off,\
             suppress-vmdesc=on,memory-backend={MEMORY}"
        ),
    );
    match machine.accelerator {
        Accelerator::Kvm => {
            line.option("-accel", "kvm").option("-cpu", "host");
        }
        // `max` boots as fast as `qemu64`, but has what current distributions are compiled for
        // (x86-64-v2 and v3: a RHEL 9 image does not even start on `qemu64`) and a random generator.
        // Five-level paging is off: no guest here needs it, and each page walk emulates one step
        // more. Without ERMS and FSRM kernel and C library copy with vector moves instead of
        // `rep movsb`, which emulation does a byte at a time: a pipe through the guest is 2.5 times as
        // fast (59 to 154 MiB/s, measured). Neither model is the same in every QEMU, so a snapshot is bound to the version.
        Accelerator::Tcg => {
            line.option("-accel", "tcg,thread=multi");
            line.option("-cpu", "max,la57=off,erms=off,fsrm=off");
        }
    }
    line.option("-smp", machine.vcpu.to_string());
}

/// The name of the guest's memory among QEMU's objects.
pub(super) const MEMORY: &str = "ram";

/// A guest that boots has memory of QEMU's own. One that goes on has the saved file, mapped privately and
/// opened for reading: what it writes is a copy.
///
/// The state of the devices is saved and loaded without memory and without what else a migration
/// carries: both sides have to be told to expect neither a section about the configuration nor the
/// description at the end (`send-configuration`, `suppress-vmdesc`). `-S`: it is let go on when all is loaded.
fn memory(line: &mut CommandLine, machine: &Machine) {
    let mib = machine.memory.mib();
    line.option("-m", format!("{mib}M"));
    line.option("-global", "migration.send-configuration=off");
    // QEMU would have the guest tell the link of its address (and again, for a while): of the one that it was
    // saved with, which may be another's, before the agent has given it its own.
    line.option("-global", "migration.announce-rounds=0");
    let Some(saved) = &machine.resume else {
        line.option(
            "-object",
            format!("memory-backend-ram,id={MEMORY},size={mib}M"),
        );
        return;
    };
    line.option(
        "-object",
        Properties::of(format!(
            "memory-backend-file,id={MEMORY},size={mib}M,share=off,readonly=on,rom=off"
        ))
        .path("mem-path", &saved.memory),
    );
    line.flag("-S").option("-incoming", "defer");
}

fn boot(line: &mut CommandLine, machine: &Machine) {
    line.option("-kernel", &machine.kernel);
    line.option("-initrd", &machine.initramfs);
    line.option("-append", KERNEL_COMMAND_LINE);
}

fn sockets_and_console(line: &mut CommandLine, machine: &Machine) {
    let paths = &machine.paths;
    line.option(
        "-chardev",
        Properties::of("file,id=console,append=on").path("path", &paths.console_log()),
    );
    line.option("-serial", "chardev:console");
    line.option("-chardev", control_socket(paths));
    line.option("-mon", "chardev=control,mode=control");
    line.option(
        "-chardev",
        Properties::of("socket,id=agent,server=on,wait=off").path("path", &paths.agent_socket()),
    );
    line.option("-device", "virtio-serial-pci,id=serial");
    line.option(
        "-device",
        format!("virtserialport,bus=serial.0,nr=1,chardev=agent,name={AGENT_PORT}"),
    );
}

/// The value of the option by which QEMU gets its control socket: no two sandboxes have the same, and no
/// other program is started with it.
pub(super) fn control_socket(paths: &SandboxPaths) -> OsString {
    let fixed = Properties::of("socket,id=control,server=on,wait=off");
    fixed.path("path", &paths.vmm_socket()).0
}

/// One disk. `-blockdev` takes the file's name literally, where `-drive` looks for a protocol in
/// it. The guest's discards make the file sparse again; its flushes reach the host's disk only if
/// the machine is durable. A file that is written to is locked by QEMU against a second writer.
///
/// A write that finds no room on the host pauses the guest (`werror=enospc`), which can go on once
/// there is room: an error would make it take its file systems away from what runs on them. Other
/// errors are the guest's to see, as those of a disk that fails.
fn drive(line: &mut CommandLine, disk: &Disk, durable: bool) {
    let serial = disk.role.serial();
    let read_only = if disk.read_only { "on" } else { "off" };
    let no_flush = if durable { "off" } else { "on" };
    line.option(
        "-blockdev",
        Properties::of(format!(
            "driver=raw,node-name={serial},read-only={read_only},discard=unmap,\
             cache.direct=off,cache.no-flush={no_flush},file.driver=file,file.aio=threads"
        ))
        .path("file.filename", &disk.path),
    );
    line.option(
        "-device",
        format!(
            "virtio-blk-pci,drive={serial},serial={serial},write-cache=on,\
             werror=enospc,rerror=report"
        ),
    );
}

/// Without `outbound` the guest reaches nothing, and gets no IPv6 either: a router advertisement
/// would only give it a route that leads nowhere. `romfile=` leaves the boot ROM out, which some
/// distributions do not even install.
fn network(line: &mut CommandLine, network: Network) {
    let restriction = match network {
        Network::None => return,
        Network::Tap { slot, mac } => {
            let interface = slot.interface();
            let tap = format!("tap,id=net,ifname={interface},script=no,downscript=no");
            line.option("-netdev", tap);
            line.option(
                "-device",
                format!("virtio-net-pci,netdev=net,mac={mac},romfile="),
            );
            return;
        }
        Network::User { outbound: false } => "restrict=on,ipv6=off",
        Network::User { outbound: true } => "restrict=off",
    };
    line.option("-netdev", format!("user,id=net,{restriction}"));
    line.option("-device", "virtio-net-pci,netdev=net,romfile=");
}

#[derive(Default)]
struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }

    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
        self
    }
}

/// A value in QEMU's `key=value,…` form.
struct Properties(OsString);

impl Properties {
    fn of(fixed: impl Into<OsString>) -> Self {
        Self(fixed.into())
    }

    /// Adds a path. A comma ends a value, two stand for one; nothing else is special.
    fn path(mut self, key: &str, path: &Path) -> Self {
        self.0.push(format!(",{key}="));
        let mut doubled = Vec::with_capacity(path.as_os_str().len());
        for &byte in path.as_os_str().as_bytes() {
            doubled.push(byte);
            if byte == b',' {
                doubled.push(byte);
            }
        }
        self.0.push(OsString::from_vec(doubled));
        self
    }
}

impl AsRef<OsStr> for Properties {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}

#[cfg(test)]
mod tests;
