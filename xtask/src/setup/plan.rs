//! What to do about what is missing. Pure: a survey in, steps out.

use super::apt_sources::{self, Source};
use super::distribution::{Family, Program};
use super::survey::Survey;
use crate::command::quoted;

/// The file that adds the backports suite.
pub(crate) const SOURCES_FILE: &str = "/etc/apt/sources.list.d/banger-backports.sources";

/// One step of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write [`SOURCES_FILE`]. Undo: remove it.
    AddSource(Source),
    /// Fetch the package lists.
    Update,
    /// Install packages, from a release other than the default one where one is named.
    Install {
        /// Their names.
        packages: Vec<&'static str>,
        /// apt's target release.
        release: Option<String>,
    },
}

impl Step {
    /// The step as root would type it.
    pub(crate) fn as_shell(&self) -> String {
        match self {
            Self::AddSource(source) => {
                let stanza = source.stanza();
                let lines: Vec<_> = stanza.lines().map(quoted).collect();
                format!("printf '%s\\n' {} > {SOURCES_FILE}", lines.join(" "))
            }
            Self::Update => "apt-get update".to_owned(),
            Self::Install { packages, release } => {
                let release = release.as_ref().map(|name| format!("-t {name} "));
                let words = packages.join(" ");
                format!(
                    "{} {}{words}",
                    Family::Apt.install(),
                    release.unwrap_or_default()
                )
            }
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Everything is there.
    Nothing,
    /// These steps, by this process.
    Act(Vec<Step>),
    /// These steps, by root: this process may not.
    AskRoot(Vec<Step>),
    /// The distribution is another one: the command for its user, and the programs for which no
    /// package is known there.
    Tell {
        /// The whole command; none when the distribution is unknown.
        command: Option<String>,
        /// Programs without a package.
        unpackaged: Vec<Program>,
    },
}

/// Decides what to do about a survey.
pub(crate) fn plan(survey: &Survey) -> Plan {
    if survey.missing.is_empty() {
        return Plan::Nothing;
    }
    match survey.distribution.family() {
        Some(Family::Apt) if survey.root => Plan::Act(apt_steps(survey)),
        Some(Family::Apt) => Plan::AskRoot(apt_steps(survey)),
        Some(family) => tell(survey, family),
        None => Plan::Tell {
            command: None,
            unpackaged: survey.missing.clone(),
        },
    }
}

fn tell(survey: &Survey, family: Family) -> Plan {
    let packages: Vec<_> = survey
        .missing
        .iter()
        .filter_map(|program| family.package(*program))
        .collect();
    let mut unpackaged = survey.missing.clone();
    unpackaged.retain(|program| family.package(*program).is_none());
    Plan::Tell {
        command: (!packages.is_empty())
            .then(|| format!("{} {}", family.install(), packages.join(" "))),
        unpackaged,
    }
}

/// QEMU goes into a command of its own when it comes from backports, so that the target release
/// moves nothing else to newer versions.
fn apt_steps(survey: &Survey) -> Vec<Step> {
    let codename = &survey.distribution.codename;
    let mut steps = Vec::new();
    let mut release = None;
    if survey.distribution.wants_backports() && survey.missing.contains(&Program::Qemu) {
        let present = apt_sources::has_backports(&survey.sources, codename);
        let derived = apt_sources::derive_backports(&survey.sources, codename);
        if present || derived.is_some() {
            release = Some(apt_sources::backports_suite(codename));
        }
        if !present {
            steps.extend(derived.map(Step::AddSource));
        }
    }
    steps.push(Step::Update);
    let (newer, usual): (Vec<Program>, Vec<Program>) = survey
        .missing
        .iter()
        .partition(|program| **program == Program::Qemu && release.is_some());
    for (programs, release) in [(usual, None), (newer, release)] {
        let packages: Vec<_> = programs
            .into_iter()
            .filter_map(|program| Family::Apt.package(program))
            .collect();
        if !packages.is_empty() {
            steps.push(Step::Install { packages, release });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Distribution;
    use super::*;

    fn survey(os_release: &str, sources: &str, missing: &[Program]) -> Survey {
        Survey {
            distribution: Distribution::parse(os_release),
            sources: apt_sources::parse_one_line(sources),
            missing: missing.to_vec(),
            root: true,
        }
    }

    const BOOKWORM: &str = "ID=debian\nVERSION_CODENAME=bookworm";
    const MIRROR: &str = "deb http://mirror.example/debian bookworm main";

    fn shell(plan: &Plan) -> Vec<String> {
        match plan {
            Plan::Act(steps) | Plan::AskRoot(steps) => steps.iter().map(Step::as_shell).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_complete_machine_needs_nothing() {
        assert_eq!(plan(&survey(BOOKWORM, MIRROR, &[])), Plan::Nothing);
    }

    #[test]
    fn debian_12_takes_qemu_and_nothing_else_from_backports() {
        let found = plan(&survey(
            BOOKWORM,
            MIRROR,
            &[Program::Qemu, Program::Mmdebstrap, Program::Curl],
        ));
        let steps = shell(&found);
        assert!(steps[0].contains("bookworm-backports") && steps[0].ends_with(SOURCES_FILE));
        assert_eq!(
            steps[1..],
            [
                "apt-get update",
                "apt-get install --no-install-recommends mmdebstrap curl",
                "apt-get install --no-install-recommends -t bookworm-backports qemu-system-x86",
            ]
        );
    }

    #[test]
    fn configured_backports_are_used_without_adding_them_again() {
        let both = format!("{MIRROR}\ndeb http://mirror.example/debian bookworm-backports main");
        let steps = shell(&plan(&survey(BOOKWORM, &both, &[Program::Qemu])));
        assert_eq!(steps.len(), 2);
        assert!(steps[1].contains("-t bookworm-backports"));
    }

    #[test]
    fn without_a_known_mirror_the_release_itself_has_to_do() {
        let steps = shell(&plan(&survey(BOOKWORM, "", &[Program::Qemu])));
        assert_eq!(
            steps[1],
            "apt-get install --no-install-recommends qemu-system-x86"
        );
    }

    #[test]
    fn backports_are_not_added_when_qemu_is_there_or_new_enough_in_the_release() {
        let steps = shell(&plan(&survey(BOOKWORM, MIRROR, &[Program::Mmdebstrap])));
        assert_eq!(steps.len(), 2);
        let trixie = "ID=debian\nVERSION_CODENAME=trixie";
        let steps = shell(&plan(&survey(trixie, MIRROR, &[Program::Qemu])));
        assert!(steps.iter().all(|step| !step.contains("backports")));
    }

    #[test]
    fn without_root_the_same_steps_are_root_s() {
        let mut found = survey(BOOKWORM, MIRROR, &[Program::Qemu]);
        let as_root = shell(&plan(&found));
        found.root = false;
        assert!(matches!(plan(&found), Plan::AskRoot(_)));
        assert_eq!(shell(&plan(&found)), as_root);
    }

    #[test]
    fn another_distribution_is_told_its_own_command() {
        let found = plan(&survey(
            "ID=arch",
            "",
            &[Program::Qemu, Program::Mmdebstrap, Program::E2fsck],
        ));
        assert_eq!(
            found,
            Plan::Tell {
                command: Some("pacman -S qemu-system-x86 e2fsprogs".to_owned()),
                unpackaged: vec![Program::Mmdebstrap],
            }
        );
        let unknown = plan(&survey("ID=nixos", "", &[Program::Qemu]));
        assert!(matches!(unknown, Plan::Tell { command: None, .. }));
    }
}
