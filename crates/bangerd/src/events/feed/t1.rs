use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

fn happening(name: &str) -> Happening {
    Happening {
        time: UtcTime::from_ms(1),
        sandbox: SandboxId::from_random([1; 16]),
        name: name.parse().expect("a name"),
        op: None,
        what: What::Starting,
    }
}

async fn tell(feed: &Feed, count: u64) {
    for number in 0..count {
        feed.tell(happening(&format!("v{number}")));
    }
    feed.drained().await;
}

async fn numbers(feed: &Feed, after: u64) -> Vec<u64> {
    let events = feed.after(after).await.expect("read");
    events.iter().map(|event| event.seq).collect()
}

#[tokio::test]
async fn numbers_go_on_with_the_next_daemon() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("events.jsonl");
    let open = || Feed::open(&path, 0, |_| {});
    tell(&open(), 3).await;
    let feed = open();
    assert_eq!(*feed.newest().borrow(), 3);
    tell(&feed, 2).await;
    assert_eq!(numbers(&feed, 0).await, [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&feed, 3).await, [4, 5]);
    assert!(numbers(&feed, 5).await.is_empty());
    assert_eq!(numbers(&open(), 4).await, [5]);
}

#[tokio::test]
async fn a_follower_that_is_far_behind_gets_each_once_in_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("events.jsonl");
    let feed = Feed::open(&path, 0, |_| {});
    let all = RECENT as u64 + 100;
    tell(&feed, all).await;
    for after in [0, 50, 99, 100, 101, all - 1] {
        let expected: Vec<u64> = (after + 1..=all).collect();
        assert_eq!(numbers(&feed, after).await, expected, "after {after}");
    }
}

#[tokio::test]
async fn the_history_is_bounded_and_its_newest_part_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("events.jsonl");
    let feed = Feed::open(&path, 0, |_| {});
    // Some 40 bytes of a name and 170 in all: thrice what one file holds.
    let all = 3 * LIMIT / 170;
    for part in 0..=all / 4096 {
        tell(&feed, (all - part * 4096).min(4096)).await;
    }
    let size: u64 = std::fs::read_dir(directory.path())
        .expect("read")
        .map(|entry| entry.expect("an entry").metadata().expect("there").len())
        .sum();
    assert!(size <= 2 * LIMIT + 4096, "{size}");
    let kept = numbers(&feed, 0).await;
    assert_eq!(kept.last(), Some(&all));
    assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

#[tokio::test]
async fn on_a_full_disk_events_are_told_and_no_number_is_given_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    // Nothing can be written where there is no directory.
    let state = directory.path().join("state");
    let path = state.join("events.jsonl");
    let kept = Arc::new(AtomicU64::new(0));
    let keep = Arc::clone(&kept);
    let feed = Feed::open(&path, 0, move |floor| keep.store(floor, Ordering::SeqCst));
    tell(&feed, 3).await;
    assert_eq!(numbers(&feed, 0).await, [1, 2, 3]);
    let floor = kept.load(Ordering::SeqCst);
    assert!(floor >= 3);
    // The daemon is killed now: nothing of it is in the file.
    let next = Feed::open(&path, floor, |_| {});
    std::fs::create_dir(&state).expect("made");
    tell(&next, 1).await;
    assert!(numbers(&next, 0).await[0] > 3);
    // It was not killed: once there is room, what waited is written, in order.
    std::fs::remove_file(&path).expect("removed");
    tell(&feed, 1).await;
    let written = history::read(&path, 0).expect("read");
    assert_eq!(
        written.iter().map(|event| event.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
}

#[tokio::test]
async fn a_line_that_is_garbage_hides_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("events.jsonl");
    tell(&Feed::open(&path, 0, |_| {}), 2).await;
    let mut text = std::fs::read_to_string(&path).expect("read");
    text.push_str("nonsense\n{\"seq\":3,\"ti");
    std::fs::write(&path, text).expect("written");
    let feed = Feed::open(&path, 0, |_| {});
    tell(&feed, 1).await;
    assert_eq!(numbers(&feed, 0).await, [1, 2, 3]);
}

#[tokio::test]
async fn many_that_tell_at_once_get_numbers_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let feed = Feed::open(&directory.path().join("events.jsonl"), 0, |_| {});
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let feed = feed.clone();
            std::thread::spawn(move || (0..100).for_each(|_| feed.tell(happening("v"))))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("fine"));
    feed.drained().await;
    let numbers = numbers(&feed, 0).await;
    assert_eq!(numbers.len(), 800);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 800);
}
