use super::*;
use banger_model::SandboxState;
use banger_proto::owner::stats::{GuestStats, GuestUsage, MemoryShares, VmmStats};
use proptest::prelude::*;

/// A machine that runs since second 10 after the host's boot.
pub(crate) fn running(name: &str, taken_ms: u64, cpu_ms: u64) -> Stats {
    Stats {
        id: name.repeat(8),
        name: name.into(),
        state: SandboxState::Running,
        taken_ms,
        vcpu: 2,
        disk_used: 3 << 20,
        vmm: Some(VmmStats {
            pid: 7,
            started_ms: 10_000,
            cpu_ms,
            resident_bytes: 100 << 20,
            memory: Some(MemoryShares {
                own_bytes: 30 << 20,
                own_dirty_bytes: 20 << 20,
                shared_bytes: 70 << 20,
                proportional_bytes: 44 << 20,
            }),
            read_bytes: Some(1 << 20),
            written_bytes: Some(cpu_ms * 1000),
        }),
        network: None,
        guest: Some(GuestStats {
            uptime_ms: 5000,
            memory_total_bytes: 512 << 20,
            memory_used_bytes: 64 << 20,
            usage: Some(GuestUsage {
                load_hundredths: 50,
                threads: 40,
                read_bytes: 1,
                written_bytes: 2,
                network: NetworkStats {
                    received_bytes: 2000,
                    sent_bytes: 1000,
                },
            }),
        }),
        guest_trouble: None,
    }
}

#[test]
fn the_first_look_is_taken_over_the_whole_run() {
    let rates = measure(None, running("a", 20_000, 5000)).rates;
    assert_eq!((rates.over_ms, rates.cpu_percent), (10_000, Some(50.0)));
    assert_eq!(rates.written_rate, Some(500_000));
    assert_eq!(
        rates.received_rate,
        Some(200),
        "the guest's word, where there is none better"
    );
}

#[test]
fn a_second_look_is_taken_over_what_is_between_them() {
    let before = running("a", 20_000, 5000);
    let rates = measure(Some(&before), running("a", 21_000, 7000)).rates;
    assert_eq!((rates.over_ms, rates.cpu_percent), (1000, Some(200.0)));
    assert_eq!(
        (rates.read_rate, rates.written_rate),
        (Some(0), Some(2_000_000))
    );
}

#[test]
fn another_run_is_not_compared_with_the_one_before() {
    let mut before = running("a", 20_000, 5000);
    let vmm = before.vmm.as_mut().expect("runs");
    (vmm.pid, vmm.cpu_ms) = (6, 4_000_000);
    let rates = measure(Some(&before), running("a", 21_000, 7000)).rates;
    assert_eq!((rates.over_ms, rates.cpu_percent), (11_000, Some(63.6)));
}

#[test]
fn counters_that_went_back_or_are_the_word_of_another_give_no_rate() {
    let before = running("a", 20_000, 5000);
    let mut now = running("a", 21_000, 5000);
    now.network = Some(NetworkStats {
        received_bytes: 1,
        sent_bytes: 1,
    });
    assert_eq!(measure(Some(&before), now.clone()).rates.sent_rate, None);
    let mut more = now.clone();
    more.network = Some(NetworkStats {
        received_bytes: 9,
        sent_bytes: 9,
    });
    (more.taken_ms, now.taken_ms) = (now.taken_ms, more.taken_ms + 1000);
    assert_eq!(measure(Some(&more), now).rates.received_rate, None);
}

#[test]
fn a_machine_that_does_not_run_has_no_rates() {
    let mut stopped = running("a", 20_000, 5000);
    stopped.vmm = None;
    assert_eq!(measure(None, stopped).rates, Rates::default());
}

#[test]
fn looks_are_compared_by_machine() {
    let mut looks = Looks::default();
    let _first = looks.next(vec![running("a", 20_000, 100), running("b", 20_000, 100)]);
    let second = looks.next(vec![running("b", 21_000, 600), running("c", 21_000, 1100)]);
    let percents: Vec<_> = second.iter().map(|one| one.rates.cpu_percent).collect();
    assert_eq!(percents, [Some(50.0), Some(10.0)]);
    assert_eq!(looks.0.len(), 2, "machines that are gone are forgotten");
}

proptest! {
    #[test]
    fn whatever_was_counted_has_finite_rates(taken: [u64; 2], cpu: [u64; 2], bytes: [u64; 2]) {
        let [mut before, mut now] = [0, 1].map(|at: usize| running("a", taken[at], cpu[at] / 1000));
        before.vmm.as_mut().expect("runs").read_bytes = Some(bytes[0]);
        now.vmm.as_mut().expect("runs").read_bytes = Some(bytes[1]);
        let rates = measure(Some(&before), now).rates;
        prop_assert!(rates.cpu_percent.is_none_or(|percent| percent.is_finite() && percent >= 0.0));
    }
}
