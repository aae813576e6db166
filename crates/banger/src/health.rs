//! Whether guests are well: a verdict of each from its answer, or from why there is none.

use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::Health;
use serde::Serialize;
use std::time::Duration;

/// How a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Its agent answers, and its init is up.
    Healthy,
    /// Its agent answers, and its init still starts units.
    Starting,
    /// It does not run, or does not answer.
    Unhealthy,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The sandbox, as it was named.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Milliseconds from the question to the guest's answer, the way over the daemon included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<f64>,
    /// What the guest said.
    #[serde(flatten)]
    pub health: Option<Health>,
    /// Why it is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// Judges an answer, or a fault that tells of the guest.
///
/// # Errors
/// The fault, when it tells nothing of the guest: there is no such sandbox, or no daemon.
pub fn judge(name: &str, answer: Result<Health, Fault>, took: Duration) -> Result<Judged, Fault> {
    let unknown = Judged {
        name: name.into(),
        verdict: Verdict::Unhealthy,
        answered_ms: None,
        health: None,
        fault: None,
    };
    match answer {
        Ok(health) => Ok(Judged {
            verdict: match health.init.as_str() {
                "starting" => Verdict::Starting,
                _ => Verdict::Healthy,
            },
            answered_ms: Some((took.as_secs_f64() * 10_000.0).round() / 10.0),
            health: Some(health),
            ..unknown
        }),
        Err(fault) => match fault.code {
            FaultCode::Refused | FaultCode::Guest | FaultCode::TimedOut => Ok(Judged {
                fault: Some(fault),
                ..unknown
            }),
            _ => Err(fault),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(init: &str) -> Health {
        Health {
            init: init.into(),
            uptime_ms: 1,
            memory_available_kib: 2,
            memory_total_kib: 3,
            sessions: 0,
            agent_version: "0.1.0".into(),
        }
    }

    #[test]
    fn an_answer_is_judged_by_how_far_the_init_is() {
        let of = |init| judge("v", Ok(said(init)), Duration::from_micros(1260)).expect("judged");
        let verdicts = ["none", "settled", "starting"].map(|init| of(init).verdict);
        assert_eq!(
            verdicts,
            [Verdict::Healthy, Verdict::Healthy, Verdict::Starting]
        );
        assert_eq!(of("none").answered_ms, Some(1.3));
    }

    #[test]
    fn only_a_fault_about_the_guest_is_a_verdict() {
        for code in FaultCode::ALL {
            let about_the_guest = matches!(
                code,
                FaultCode::Refused | FaultCode::Guest | FaultCode::TimedOut
            );
            let judged = judge("v", Err(Fault::new(code, "x")), Duration::ZERO);
            let verdict = judged.map(|judged| judged.verdict).ok();
            assert_eq!(
                verdict,
                about_the_guest.then_some(Verdict::Unhealthy),
                "{code:?}"
            );
        }
    }

    #[test]
    fn as_json_a_verdict_stands_beside_what_was_said() {
        let judged = judge("v", Ok(said("none")), Duration::ZERO).expect("judged");
        let json = serde_json::to_value(judged).expect("JSON");
        assert_eq!(
            (&json["verdict"], &json["init"]),
            (&"healthy".into(), &"none".into())
        );
        assert_eq!(json.get("fault"), None);
    }
}
