//! Operations.

use super::table::{Table, Tone};
use super::words::age;
use banger_proto::owner::operation::{Operation, Outcome};

/// The table of `operations`.
#[must_use]
pub fn table(operations: &[Operation], now: u64) -> Table {
    let mut table = Table::new(&["OPERATION", "KIND", "OF", "BEGUN", "STATE", "DETAIL"]);
    for operation in operations {
        let (state, tone) = match operation.outcome {
            None => ("goes on", Tone::Good),
            Some(outcome @ Outcome::Done) => (outcome.word(), Tone::Faint),
            Some(outcome @ Outcome::Failed) => (outcome.word(), Tone::Bad),
            Some(outcome @ Outcome::Cancelled) => (outcome.word(), Tone::Warning),
        };
        let fault = operation.fault.as_ref().map(|fault| &fault.message);
        let fault = fault.filter(|_| operation.outcome == Some(Outcome::Failed));
        let detail = operation.stage.as_ref().or(fault);
        let begun = format!("{} ago", age(operation.begun_at, now));
        table.row([
            (operation.id.as_str(), Tone::Plain),
            (&operation.kind, Tone::Plain),
            (&operation.name, Tone::Plain),
            (&begun, Tone::Plain),
            (state, tone),
            (detail.map_or("", String::as_str), Tone::Faint),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::fault::{Fault, FaultCode};

    #[test]
    fn what_goes_on_says_how_far_it_is_and_what_failed_says_why() {
        let begun = Operation {
            id: "op-aaaaaa".into(),
            kind: "create".into(),
            sandbox: None,
            name: "web".into(),
            begun_at: 0,
            stage: Some("making disks".into()),
            ended_at: None,
            outcome: None,
            fault: None,
        };
        let ended = |outcome, code| Operation {
            id: "op-bbbbbb".into(),
            kind: "kernel-import".into(),
            stage: None,
            ended_at: Some(2),
            outcome: Some(outcome),
            fault: Some(Fault::new(code, "no network")),
            ..begun.clone()
        };
        let failed = ended(Outcome::Failed, FaultCode::Unavailable);
        let cancelled = ended(Outcome::Cancelled, FaultCode::Cancelled);
        insta::assert_snapshot!(table(&[failed, cancelled, begun], 60).render(false), @r"
        OPERATION  KIND           OF   BEGUN     STATE      DETAIL
        op-bbbbbb  kernel-import  web  1min ago  failed     no network
        op-bbbbbb  kernel-import  web  1min ago  cancelled
        op-aaaaaa  create         web  1min ago  goes on    making disks
        ");
    }
}
