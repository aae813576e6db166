//! What the simulated QEMU reads of its command line: the rest is as good as read.

use std::path::PathBuf;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) agent: PathBuf,
    pub(super) control: PathBuf,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// The file that the memory is mapped from.
    pub(super) memory_file: Option<PathBuf>,
    /// Whether the state of the devices comes later.
    pub(super) incoming: bool,
    /// Disks that may be written to.
    pub(super) disks: Vec<PathBuf>,
}

impl Options {
    /// Finds each wherever the driver put it.
    pub(super) fn of(arguments: &[String]) -> Self {
        let mut options = Self::default();
        for (name, value) in arguments.iter().zip(arguments.iter().skip(1)) {
            let parts = parts(value);
            let part = |key: &str| {
                let mut found = parts.iter().filter_map(|part| part.strip_prefix(key));
                found.next().map(PathBuf::from)
            };
            match name.as_str() {
                "-m" => options.memory = mib(value) << 20,
                "-incoming" => options.incoming = true,
                "-object" => options.memory_file = part("mem-path=").or(options.memory_file),
                "-chardev" => {
                    let path = part("path=").unwrap_or_default();
                    if path.ends_with("agent.sock") {
                        options.agent = path;
                    } else if path.ends_with("qmp.sock") {
                        options.control = path;
                    }
                }
                "-blockdev" if parts.iter().any(|part| part == "read-only=off") => {
                    options.disks.extend(part("file.filename="));
                }
                _ => {}
            }
        }
        let named = [&options.agent, &options.control];
        assert!(
            named.iter().all(|path| !path.as_os_str().is_empty()),
            "no sockets in {arguments:?}"
        );
        options
    }
}

/// The parts of a value: a comma parts them, two are one that does not.
fn parts(value: &str) -> Vec<String> {
    let doubled = value.replace(",,", "\u{1}");
    let parts = doubled.split(',');
    parts.map(|part| part.replace('\u{1}', ",")).collect()
}

fn mib(value: &str) -> u64 {
    let number = value.strip_suffix('M').unwrap_or(value);
    number.parse().expect("a size in MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Options {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Options::of(&arguments)
    }

    const SOCKETS: &str = "-chardev socket,id=control,server=on,wait=off,path=/r/qmp.sock \
                           -chardev socket,id=agent,server=on,wait=off,path=/r,,x/agent.sock";

    #[test]
    fn a_guest_that_boots_has_memory_of_its_own() {
        let options = of(&format!(
            "-m 64M -object memory-backend-ram,id=ram,size=64M {SOCKETS}"
        ));
        assert_eq!(options.memory, 64 << 20);
        assert_eq!((options.memory_file, options.incoming), (None, false));
        assert_eq!(options.agent, PathBuf::from("/r,x/agent.sock"));
        assert_eq!(options.control, PathBuf::from("/r/qmp.sock"));
    }

    #[test]
    fn a_guest_that_goes_on_has_a_file_and_its_own_disks() {
        let options = of(&format!(
            "{SOCKETS} -m 64M -object memory-backend-file,id=ram,size=64M,mem-path=/s/memory \
             -S -incoming defer -blockdev driver=raw,read-only=on,file.filename=/i \
             -blockdev driver=raw,read-only=off,file.filename=/w"
        ));
        assert!(options.incoming);
        assert_eq!(options.memory_file, Some("/s/memory".into()));
        assert_eq!(options.disks, [PathBuf::from("/w")]);
    }
}
