//! Whether a guest that was saved can go on here and now: a comparison of plain data.

use crate::vmm::{Accelerator, Machine, MachineFingerprint, Network};
use banger_model::spec::NetworkMode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What has to be the same where a guest was saved and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Which VMM, for people.
    pub vmm: String,
    /// Which build of it.
    pub vmm_build: String,
    /// A digest of the machine, as the VMM takes it.
    pub machine: String,
    /// What ran the guest's instructions.
    pub accelerator: Accelerator,
    /// What the guest took for its processor: see [`processor`].
    pub processor: String,
    /// Number of processors.
    pub vcpu: u32,
    /// Memory of the guest, in MiB.
    pub memory_mib: u64,
    /// How it was connected: `user`, `bridge`, `none`.
    pub network: String,
    /// SHA-256 of the kernel, in hexadecimal.
    pub kernel: String,
    /// What tells the image from every other: its digest.
    pub image: String,
    /// What tells the initramfs, and the agent in it, from every other.
    pub initramfs: String,
    /// The generation of the guest's protocol that its agent speaks.
    pub agent_generation: u32,
}

/// What the files of a machine are, as their makers know it: none is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// See [`Fingerprint::kernel`].
    pub kernel: String,
    /// See [`Fingerprint::image`].
    pub image: String,
    /// See [`Fingerprint::initramfs`].
    pub initramfs: String,
    /// See [`Fingerprint::agent_generation`].
    pub agent_generation: u32,
}

impl Fingerprint {
    /// Of a machine that is about to be launched; `cpuinfo` is the text of `/proc/cpuinfo`.
    #[must_use]
    pub fn of(
        machine: &Machine,
        vmm: MachineFingerprint,
        contents: Contents,
        cpuinfo: &str,
    ) -> Self {
        let network = match machine.network {
            Network::None => NetworkMode::None,
            Network::User { .. } => NetworkMode::User,
            Network::Tap { .. } => NetworkMode::Bridge,
        };
        Self {
            vmm: vmm.vmm,
            vmm_build: vmm.build,
            machine: vmm.machine,
            accelerator: machine.accelerator,
            processor: processor(machine.accelerator, cpuinfo),
            vcpu: machine.vcpu.get(),
            memory_mib: machine.memory.mib(),
            network: network.to_string(),
            kernel: contents.kernel,
            image: contents.image,
            initramfs: contents.initramfs,
            agent_generation: contents.agent_generation,
        }
    }

    /// The first thing for which a guest with this fingerprint cannot go on where `now` is the one, in words;
    /// `None` when it can. What people know comes before what follows from it.
    #[must_use]
    pub fn differs(&self, now: &Self) -> Option<String> {
        let (was, is) = (self, now);
        if was.accelerator != is.accelerator {
            return Some(format!(
                "it ran with {}, and this is {}",
                was.accelerator, is.accelerator
            ));
        }
        if was.vmm != is.vmm {
            return Some(format!("{} saved it, and this is {}", was.vmm, is.vmm));
        }
        if was.vmm_build != is.vmm_build {
            return Some(format!("another build of {} saved it", was.vmm));
        }
        if was.processor != is.processor {
            return Some(format!(
                "its processor was {}, and this is {}",
                was.processor, is.processor
            ));
        }
        if was.vcpu != is.vcpu {
            return Some(format!(
                "it had {} processors, and shall have {}",
                was.vcpu, is.vcpu
            ));
        }
        if was.memory_mib != is.memory_mib {
            return Some(format!(
                "it had {} MiB of memory, and shall have {} MiB",
                was.memory_mib, is.memory_mib
            ));
        }
        if was.network != is.network {
            return Some(format!(
                "its network was `{}`, and shall be `{}`",
                was.network, is.network
            ));
        }
        let contents = [
            ("kernel", &was.kernel, &is.kernel),
            ("image", &was.image, &is.image),
            ("initramfs with the agent", &was.initramfs, &is.initramfs),
        ];
        let changed = contents.into_iter().find(|(_, was, is)| was != is);
        if let Some((what, ..)) = changed {
            return Some(format!("the {what} is another one now"));
        }
        if was.agent_generation != is.agent_generation {
            return Some(format!(
                "its agent has generation {}, and this banger wants {}",
                was.agent_generation, is.agent_generation
            ));
        }
        (was.machine != is.machine).then(|| "this banger makes another machine".to_owned())
    }
}

/// What an emulated guest has for a processor: the same on every host, for one build of the VMM.
const EMULATED: &str = "emulated";

/// What a guest takes for its processor: under KVM the host's, by its model and a digest of its features, as
/// `/proc/cpuinfo` has them (proc_cpuinfo(5)).
#[must_use]
pub fn processor(accelerator: Accelerator, cpuinfo: &str) -> String {
    if accelerator == Accelerator::Tcg {
        return EMULATED.to_owned();
    }
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let value = |name: &str| {
        let fields = first.lines().filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(field, _)| field.trim() == name);
        found.next().map_or_else(
            || "unknown".to_owned(),
            |(_, value)| value.trim().to_owned(),
        )
    };
    let mut features: Vec<String> = value("flags").split(' ').map(str::to_owned).collect();
    features.sort();
    let digest = Sha256::digest(features.join(" "));
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{} (features {digest})", value("model name"))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::fingerprint;
    use super::*;

    #[test]
    fn the_same_goes_on() {
        assert_eq!(fingerprint().differs(&fingerprint()), None);
    }

    #[test]
    fn each_difference_is_told_in_words() {
        type Change = fn(&mut Fingerprint);
        let changes: [(&str, Change); 12] = [
            ("ran with tcg, and this is kvm", |f| {
                f.accelerator = Accelerator::Kvm;
            }),
            ("qemu 10.0.2 saved it, and this is qemu 11.0.0", |f| {
                f.vmm = "qemu 11.0.0".into();
            }),
            ("another build of qemu 10.0.2", |f| f.vmm_build.push('x')),
            ("processor was emulated, and this is emulatedx", |f| {
                f.processor.push('x');
            }),
            ("2 processors, and shall have 3", |f| f.vcpu = 3),
            ("512 MiB of memory, and shall have 513 MiB", |f| {
                f.memory_mib = 513;
            }),
            ("network was `user`, and shall be `none`", |f| {
                f.network = "none".into();
            }),
            ("kernel is another one", |f| f.kernel.push('x')),
            ("image is another one", |f| f.image.push('x')),
            ("agent is another one", |f| f.initramfs.push('x')),
            ("generation 4, and this banger wants 5", |f| {
                f.agent_generation = 5;
            }),
            ("another machine", |f| f.machine.push('x')),
        ];
        for (words, change) in changes {
            let mut now = fingerprint();
            change(&mut now);
            let told = fingerprint().differs(&now).expect(words);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn what_people_have_changed_is_told_before_what_follows_from_it() {
        let mut now = fingerprint();
        now.machine.push('x');
        now.vcpu = 4;
        let told = fingerprint().differs(&now).expect("differs");
        assert!(told.contains("processors"), "{told}");
    }

    #[test]
    fn a_fingerprint_is_read_as_it_was_written() {
        let text = serde_json::to_string(&fingerprint()).expect("text");
        let read: Fingerprint = serde_json::from_str(&text).expect("one");
        assert_eq!(read, fingerprint());
    }

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: A Processor @ 2GHz\ncpu MHz\t\t: 2000.0\n\
                           flags\t\t: fpu sse2 avx\n\nprocessor\t: 1\nmodel name\t: Another\n";

    #[test]
    fn a_processor_is_its_model_and_its_features_in_any_order() {
        let kvm = |text: &str| processor(Accelerator::Kvm, text);
        let one = kvm(CPUINFO);
        assert!(one.starts_with("A Processor @ 2GHz (features "), "{one}");
        assert_eq!(one, kvm(&CPUINFO.replace("fpu sse2 avx", "avx fpu sse2")));
        assert_eq!(one, kvm(&CPUINFO.replace("2000.0", "1200.5")));
        assert_ne!(one, kvm(&CPUINFO.replace(" avx", "")));
        assert!(kvm("").starts_with("unknown"));
    }

    #[test]
    fn an_emulated_processor_is_the_same_everywhere() {
        assert_eq!(processor(Accelerator::Tcg, CPUINFO), EMULATED);
        assert_eq!(processor(Accelerator::Tcg, ""), EMULATED);
    }
}
