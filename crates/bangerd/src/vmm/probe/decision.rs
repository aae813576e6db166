//! What follows from what is known: pure.

use super::Probe;
use crate::vmm::machine::Accelerator;
use crate::vmm::process::{Ended, ExitReport};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What the owner's configuration says (`accelerator`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Find out.
    #[default]
    Auto,
    /// KVM, come what may.
    Kvm,
    /// Emulation, without asking.
    Tcg,
}

/// What is known of `/dev/kvm` by opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// It opens for reading and writing; more is not known.
    Opens,
    /// There is none.
    Missing,
    /// It is there, and not for this user.
    Denied,
    /// It does not open for another reason.
    Broken(String),
}

impl Device {
    /// Opens it and closes it again.
    #[must_use]
    pub fn survey(path: &Path) -> Self {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(_) => Self::Opens,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => Self::Missing,
                io::ErrorKind::PermissionDenied => Self::Denied,
                _ => Self::Broken(error.to_string()),
            },
        }
    }
}

/// What can be said without booting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    Settled(Probe),
    MustBoot,
}

/// How the boot went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The agent answered after this time.
    Answered(Duration),
    /// Nothing came within this time.
    Silent(Duration),
    /// The VMM crashed.
    Crashed(String),
    /// The VMM ended otherwise, or the agent's link failed.
    Failed(String),
}

impl Outcome {
    /// Whether it says something lasting. A failure may have had any cause, such as too little
    /// memory at that moment.
    pub(super) const fn is_about_kvm(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// What it means that the VMM ended before the agent answered. QEMU aborts or crashes where KVM
    /// lacks what it takes for granted; whatever else ends it may be different the next time.
    pub(super) fn of_ending(report: &ExitReport) -> Self {
        const SIGABRT: i32 = 6;
        const SIGSEGV: i32 = 11;
        let words = format!("qemu {report}");
        match report.status {
            Some(Ended::Killed(SIGABRT | SIGSEGV)) => Self::Crashed(words),
            _ => Self::Failed(words),
        }
    }
}

pub(super) fn before_boot(wish: Wish, device: &Device) -> Before {
    const JOIN: &str =
        "join the group that owns /dev/kvm: `sudo usermod -aG kvm \"$USER\"`, then log in again";
    const ENABLE: &str = "enable virtualisation in the firmware, or nested virtualisation on the outer host, and load the module kvm";
    let settled = |accelerator, reason: String, remedy: Option<&str>| {
        Before::Settled(Probe {
            accelerator,
            reason,
            remedy: remedy.map(str::to_owned),
            probed_at: None,
            took: Duration::ZERO,
        })
    };
    let tcg = Accelerator::Tcg;
    match (wish, device) {
        (Wish::Kvm, _) => settled(
            Accelerator::Kvm,
            "configured: accelerator = \"kvm\"".into(),
            None,
        ),
        (Wish::Tcg, _) => settled(tcg, "configured: accelerator = \"tcg\"".into(), None),
        (Wish::Auto, Device::Missing) => {
            settled(tcg, "this host has no /dev/kvm".into(), Some(ENABLE))
        }
        (Wish::Auto, Device::Denied) => {
            settled(tcg, "no permission to open /dev/kvm".into(), Some(JOIN))
        }
        (Wish::Auto, Device::Broken(why)) => {
            settled(tcg, format!("/dev/kvm does not open: {why}"), Some(ENABLE))
        }
        (Wish::Auto, Device::Opens) => Before::MustBoot,
    }
}

pub(super) fn after_boot(outcome: &Outcome, now: SystemTime) -> Probe {
    let (accelerator, reason, took) = match outcome {
        Outcome::Answered(took) => {
            let reason = format!(
                "a guest answered under KVM after {:.2} s",
                took.as_secs_f32()
            );
            (Accelerator::Kvm, reason, *took)
        }
        Outcome::Silent(limit) => {
            let limit_s = limit.as_secs_f32();
            let reason =
                format!("/dev/kvm opens, but a guest did not answer under KVM within {limit_s} s");
            (Accelerator::Tcg, reason, *limit)
        }
        Outcome::Crashed(why) | Outcome::Failed(why) => {
            let reason = format!("no guest could be run under KVM: {why}");
            (Accelerator::Tcg, reason, Duration::ZERO)
        }
    };
    Probe {
        accelerator,
        reason,
        remedy: None,
        probed_at: Some(now),
        took,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(wish: Wish, device: &Device) -> Probe {
        match before_boot(wish, device) {
            Before::Settled(probe) => probe,
            Before::MustBoot => panic!("{wish:?} with {device:?} needs no boot"),
        }
    }

    #[test]
    fn what_is_configured_holds_whatever_the_device_is() {
        let broken = Device::Broken("x".into());
        for device in [Device::Opens, Device::Missing, Device::Denied, broken] {
            assert_eq!(settled(Wish::Kvm, &device).accelerator, Accelerator::Kvm);
            assert_eq!(settled(Wish::Tcg, &device).accelerator, Accelerator::Tcg);
        }
    }

    #[test]
    fn without_a_usable_device_it_is_emulation_with_reason_and_remedy() {
        let cases = [
            (Device::Missing, "has no /dev/kvm", "virtualisation"),
            (Device::Denied, "no permission", "group"),
            (Device::Broken("busy".into()), "busy", "virtualisation"),
        ];
        for (device, reason, remedy) in cases {
            let probe = settled(Wish::Auto, &device);
            assert_eq!(probe.accelerator, Accelerator::Tcg);
            assert!(probe.reason.contains(reason), "{}", probe.reason);
            assert!(probe.remedy.is_some_and(|text| text.contains(remedy)));
        }
    }

    #[test]
    fn a_device_that_opens_proves_nothing() {
        assert_eq!(before_boot(Wish::Auto, &Device::Opens), Before::MustBoot);
    }

    #[test]
    fn only_an_answer_means_kvm_and_what_may_be_different_next_time_is_not_remembered() {
        let second = Duration::from_secs(1);
        let cases = [
            (Outcome::Answered(second), Accelerator::Kvm, true),
            (Outcome::Silent(second), Accelerator::Tcg, true),
            (Outcome::Crashed("assertion".into()), Accelerator::Tcg, true),
            (Outcome::Failed("no memory".into()), Accelerator::Tcg, false),
        ];
        for (outcome, accelerator, remembered) in cases {
            let probe = after_boot(&outcome, SystemTime::UNIX_EPOCH);
            assert_eq!(probe.accelerator, accelerator);
            assert_eq!(outcome.is_about_kvm(), remembered);
        }
    }

    #[test]
    fn only_a_crash_of_the_vmms_own_is_lasting() {
        let outcome = |status| {
            let log_tail = String::new();
            Outcome::of_ending(&ExitReport { status, log_tail }).is_about_kvm()
        };
        assert!(outcome(Some(Ended::Killed(6))) && outcome(Some(Ended::Killed(11))));
        for other in [None, Some(Ended::Exited(1)), Some(Ended::Killed(9))] {
            assert!(!outcome(other), "{other:?}");
        }
    }

    mod t1 {
        use super::*;

        #[test]
        fn the_device_is_judged_by_opening_it() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let file = directory.path().join("kvm");
            assert_eq!(Device::survey(&file), Device::Missing);
            std::fs::write(&file, "").expect("written");
            assert_eq!(Device::survey(&file), Device::Opens);
            assert!(matches!(
                Device::survey(directory.path()),
                Device::Broken(_)
            ));
        }
    }
}
