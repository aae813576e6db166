//! What a guest says of itself. It may say anything: the figures are bounded by their types, sums and
//! differences end at the ends of these, and nothing of it is kept.

use super::has_guest;
use crate::guest::Link;
use crate::guest::stream::CallError;
use crate::sandbox::View;
use banger_proto::guest::message::{Answer, Call, Usage};
use banger_proto::owner::stats::{GuestStats, GuestUsage, NetworkStats};
use std::sync::Arc;
use std::time::Duration;

/// How long a guest may take to answer: an idle one takes a millisecond, an emulated one under load
/// a hundred. Whoever looks every second sees the others on time.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// Asks; or says why there is nothing to ask. Of a machine that does not run neither.
pub(super) async fn ask(view: &View) -> (Option<GuestStats>, Option<String>) {
    if !has_guest(view.record.state) {
        return (None, None);
    }
    if let Some(stalled) = &view.stalled {
        return (None, Some(stalled.clone()));
    }
    let link = view.link.as_ref().filter(|link| link.lost().is_none());
    let Some(link) = link else {
        let trouble = view.trouble.clone();
        let trouble = trouble.unwrap_or_else(|| "its agent is not connected yet".into());
        return (None, Some(trouble));
    };
    match told(link).await {
        Ok(stats) => (Some(stats), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

async fn told(link: &Arc<Link>) -> Result<GuestStats, CallError> {
    // An agent of an older banger knows memory and uptime from its health.
    let call = if link.can_tell_usage() {
        Call::Usage
    } else {
        Call::Health
    };
    match (link.call(&call, LIMIT).await?, call) {
        (Answer::Usage(usage), Call::Usage) => Ok(of_usage(&usage)),
        (Answer::Health(health), Call::Health) => Ok(GuestStats {
            usage: None,
            ..memory(
                health.uptime_ms,
                health.memory_total_kib,
                health.memory_available_kib,
            )
        }),
        _ => Err(CallError::Nonsense("an answer to another call")),
    }
}

fn of_usage(usage: &Usage) -> GuestStats {
    GuestStats {
        usage: Some(GuestUsage {
            load_hundredths: usage.load_hundredths,
            threads: usage.threads,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
            network: NetworkStats {
                received_bytes: usage.received_bytes,
                sent_bytes: usage.sent_bytes,
            },
        }),
        ..memory(
            usage.uptime_ms,
            usage.memory_total_kib,
            usage.memory_available_kib,
        )
    }
}

const fn memory(uptime_ms: u64, total_kib: u64, available_kib: u64) -> GuestStats {
    GuestStats {
        uptime_ms,
        memory_total_bytes: total_kib.saturating_mul(1024),
        memory_used_bytes: total_kib.saturating_sub(available_kib).saturating_mul(1024),
        usage: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_that_is_used_is_what_is_not_available() {
        let stats = memory(7, 1000, 700);
        assert_eq!(stats.memory_total_bytes, 1000 * 1024);
        assert_eq!(stats.memory_used_bytes, 300 * 1024);
    }

    proptest! {
        #[test]
        fn whatever_a_guest_says_has_figures(total: u64, available: u64, count: u64) {
            let said = Usage {
                memory_total_kib: total,
                memory_available_kib: available,
                read_bytes: count,
                ..Usage::default()
            };
            let stats = of_usage(&said);
            prop_assert!(stats.memory_used_bytes <= stats.memory_total_bytes);
            prop_assert_eq!(stats.usage.map(|usage| usage.read_bytes), Some(count));
        }
    }
}
