//! A power cut in the middle of a write: the log behind the database ends anywhere.

use super::*;
use std::collections::BTreeMap;
use std::fs;

/// How many changes there are, and how many records they are of.
const CHANGES: usize = 60;
const RECORDS: usize = 5;
/// How often the log is torn.
const TEARS: u64 = 60;

type Known = BTreeMap<String, Option<String>>;

fn change(number: usize) -> Record {
    let which = number % RECORDS;
    let mut record = record(u8::try_from(which + 1).expect("few"), &format!("s{which}"));
    record.reason = Some(format!("change {number}"));
    record
}

/// What is known after so many changes.
fn known_after(count: usize) -> Known {
    let changes = (0..count).map(change);
    changes
        .map(|record| (record.name.to_string(), record.reason))
        .collect()
}

/// What follows the place where the log is torn: nothing, or what the disk held there before.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Nothing,
    Zeros,
    Garbage,
}

fn tear(log: &[u8], at: usize, rest: Rest) -> Vec<u8> {
    let mut torn = log[..at].to_vec();
    match rest {
        Rest::Nothing => {}
        Rest::Zeros => torn.resize(log.len(), 0),
        Rest::Garbage => torn.extend(log[at..].iter().map(|byte| byte ^ 0xa5)),
    }
    torn
}

#[tokio::test]
async fn a_torn_log_gives_what_was_known_after_some_change_and_never_half_of_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let store = Store::open(&path).expect("new");
    for number in 0..CHANGES {
        store.put(&change(number)).await.expect("written");
    }
    // Not closed: that would empty the log.
    let database = fs::read(&path).expect("there");
    let log = fs::read(directory.path().join("state.db-wal")).expect("there");
    let possible: Vec<Known> = (0..=CHANGES).map(known_after).collect();
    let mut last = 0;
    for number in 0..=TEARS {
        let share = u64::try_from(log.len()).expect("a length") * number / TEARS;
        let at = usize::try_from(share).expect("a length");
        for rest in [Rest::Nothing, Rest::Zeros, Rest::Garbage] {
            let copy = tempfile::tempdir().expect("a directory");
            let path = copy.path().join("state.db");
            fs::write(&path, &database).expect("copied");
            fs::write(copy.path().join("state.db-wal"), tear(&log, at, rest)).expect("copied");
            let store = Store::open(&path).expect("usable");
            let (all, bad) = store.all().await.expect("read");
            assert!(bad.is_empty(), "{bad:?}");
            let known: Known = all
                .into_iter()
                .map(|record| (record.name.to_string(), record.reason))
                .collect();
            let found = possible.iter().rposition(|possible| *possible == known);
            let found = found.unwrap_or_else(|| panic!("{at} {rest:?}: {known:?}"));
            assert!(found >= last, "less is known with more of the log");
            last = found;
        }
    }
    assert_eq!(last, CHANGES, "all that was answered is there");
}
