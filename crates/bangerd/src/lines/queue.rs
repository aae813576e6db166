//! A bounded queue to a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a daemon that leaves waits for what was said last.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

enum Job<T> {
    One(T),
    Drained(oneshot::Sender<()>),
}

/// The end that things are put into. Cheap to clone; the thread ends with the last one.
pub(crate) struct Queue<T> {
    jobs: SyncSender<Job<T>>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            lost: Arc::clone(&self.lost),
        }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the thread: `work` gets each thing, and how many were lost before it.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(
        name: &str,
        room: usize,
        work: impl FnMut(T, u64) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel(room);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || serve(&inbox, &counted, work))?;
        Ok(Self { jobs, lost })
    }

    /// Puts something in; never waits.
    pub(crate) fn push(&self, item: T) {
        if self.jobs.try_send(Job::One(item)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was put in before is done, a second at most.
    pub(crate) async fn drained(&self) {
        let (done, waiting) = oneshot::channel();
        let mut job = Job::Drained(done);
        let put_in = async {
            while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.jobs.try_send(job) {
                job = back;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            waiting.await
        };
        let _too_slow_or_gone = tokio::time::timeout(DRAIN_LIMIT, put_in).await;
    }
}

fn serve<T>(inbox: &Receiver<Job<T>>, lost: &AtomicU64, mut work: impl FnMut(T, u64)) {
    while let Ok(job) = inbox.recv() {
        match job {
            Job::One(item) => work(item, lost.swap(0, Ordering::Relaxed)),
            Job::Drained(done) => {
                let _nobody_waits = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_nobody_waits() {
        let (go, gate) = channel::<()>();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let queue = Queue::start("test", 2, move |item: u32, lost| {
            gate.recv().expect("a test that lets it go on");
            kept.lock().expect("whole").push((item, lost));
        });
        let queue = queue.expect("a thread");
        // One may be at work already, two wait: of ten at least seven are left out.
        (0..10).for_each(|item| queue.push(item));
        (0..3).for_each(|_| go.send(()).expect("it listens"));
        tokio::time::timeout(Duration::from_secs(60), async {
            while seen.lock().expect("whole").len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("what fitted is worked on");
        (0..10).for_each(|_| go.send(()).expect("it listens"));
        queue.drained().await;
        queue.push(99);
        queue.drained().await;
        let seen = seen.lock().expect("whole");
        let lost: u64 = seen.iter().map(|(_, lost)| lost).sum();
        assert_eq!(seen.len() as u64 + lost, 11, "{seen:?}");
        assert!(lost >= 7, "{seen:?}");
        assert_eq!(seen.last().map(|(item, _)| *item), Some(99));
    }
}
