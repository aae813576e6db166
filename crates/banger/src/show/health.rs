//! Verdicts on guests.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use crate::health::{Judged, Verdict};

/// How guests are.
#[must_use]
pub fn table(all: &[Judged]) -> Table {
    let mut table = Table::new(&[
        "SANDBOX",
        "VERDICT",
        "INIT",
        "UPTIME",
        "MEMORY FREE",
        "MEMORY",
        "SESSIONS",
        "AGENT",
    ]);
    for judged in all {
        let tone = match judged.verdict {
            Verdict::Healthy => Tone::Good,
            Verdict::Starting => Tone::Warning,
            Verdict::Unhealthy => Tone::Bad,
        };
        let mut row = vec![
            (judged.name.clone(), Tone::Plain),
            (judged.verdict.word().into(), tone),
        ];
        if let Some(health) = &judged.health {
            let kib = |kib: u64| show_bytes(kib.saturating_mul(1024));
            let cells = [
                health.init.clone(),
                age(0, health.uptime_ms / 1000),
                kib(health.memory_available_kib),
                kib(health.memory_total_kib),
                health.sessions.to_string(),
                health.agent_version.clone(),
            ];
            row.extend(cells.map(|text| (text, Tone::Plain)));
        }
        table.row(row);
    }
    table
}

/// `web answered in 1.3 ms`; nothing for one that did not.
#[must_use]
pub fn answer(judged: &Judged) -> Option<String> {
    let took = judged.answered_ms?;
    Some(format!("{} answered in {took} ms", judged.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::judge;
    use banger_proto::fault::{Fault, FaultCode};
    use banger_proto::owner::sandbox::Health;
    use std::time::Duration;

    #[test]
    fn each_has_its_verdict_and_what_it_said() {
        let said = Health {
            init: "settled".into(),
            uptime_ms: 65_000,
            memory_available_kib: 900,
            memory_total_kib: 1024,
            sessions: 2,
            agent_version: "0.1.0".into(),
        };
        let fault = Fault::new(FaultCode::TimedOut, "no answer");
        let all = [("web", Ok(said)), ("db", Err(fault))]
            .map(|(name, answer)| judge(name, answer, Duration::from_millis(2)).expect("judged"));
        insta::assert_snapshot!(table(&all).render(false), @r"
        SANDBOX  VERDICT    INIT     UPTIME  MEMORY FREE  MEMORY  SESSIONS  AGENT
        web      healthy    settled  1min    900KiB       1MiB    2         0.1.0
        db       unhealthy
        ");
        let answers: Vec<_> = all.iter().filter_map(answer).collect();
        assert_eq!(answers, ["web answered in 2 ms"]);
    }
}
