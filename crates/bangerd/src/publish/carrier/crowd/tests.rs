use super::*;
use futures_util::FutureExt;

fn next(crowd: &Crowd) -> Option<u64> {
    crowd.next_waiting().now_or_never()
}

#[tokio::test]
async fn each_that_wants_a_daemon_is_told_once_and_all_are_to_the_next() {
    let crowd = Crowd::new([7; 8]);
    let (one, two) = (crowd.enter(false, 80), crowd.enter(true, 53));
    assert_eq!(
        [next(&crowd), next(&crowd), next(&crowd)],
        [Some(1), Some(2), None]
    );
    one.wait_for_daemon();
    assert_eq!([next(&crowd), next(&crowd)], [Some(1), None]);
    crowd.all_wait();
    assert_eq!([next(&crowd), next(&crowd)], [Some(1), Some(2)]);
    assert_ne!(one.session(), two.session());
    drop((one, two));
    crowd.all_wait();
    assert_eq!(next(&crowd), None);
}

#[tokio::test]
async fn sessions_are_those_that_the_guest_needs() {
    let crowd = Crowd::new([7; 8]);
    let (one, two) = (crowd.enter(false, 80), crowd.enter(false, 80));
    assert!(crowd.sessions().is_empty(), "it has heard of neither");
    one.has_daemon();
    two.has_daemon();
    two.wait_for_daemon();
    assert_eq!(crowd.sessions(), [one.session(), two.session()]);
    one.is_over();
    assert_eq!(crowd.sessions(), [two.session()]);
    two.has_daemon();
    drop(two);
    assert!(crowd.sessions().is_empty());
}

#[tokio::test]
async fn one_that_ends_between_two_daemons_is_told_so_that_the_guest_forgets_it() {
    let crowd = Crowd::new([7; 8]);
    let one = crowd.enter(false, 80);
    let session = one.session();
    one.has_daemon();
    one.wait_for_daemon();
    drop(one);
    assert_eq!(next(&crowd), Some(1));
    let (served, daemon) = UnixStream::pair().expect("a pair");
    let served = Served {
        stream: served,
        come: Vec::new(),
    };
    crowd.serve(1, served);
    let mut told = [0; 200];
    daemon.readable().await.expect("told");
    let count = daemon.try_read(&mut told).expect("told");
    assert_eq!(&told[..count], line(&Reply::Gone(session)));
    crowd.all_wait();
    assert_eq!(next(&crowd), None, "it was told once");
}

#[tokio::test]
async fn one_that_ends_while_it_is_served_or_never_was_is_told_to_nobody_else() {
    let crowd = Crowd::new([7; 8]);
    drop(crowd.enter(false, 80));
    let served = crowd.enter(false, 80);
    served.has_daemon();
    assert_eq!(next(&crowd), Some(2));
    drop(served);
    assert_eq!(next(&crowd), None);
}
