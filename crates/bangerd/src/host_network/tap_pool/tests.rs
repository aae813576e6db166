use super::*;
use crate::host_network::fixtures::{NotingHost, until};
use banger_proto::root::{TapState, Whose};

fn slot(number: u16) -> TapSlot {
    TapSlot::try_from(number).unwrap()
}

fn made(host: &NotingHost) -> Vec<Vec<u16>> {
    let batches = host.asked().into_iter().filter_map(|verb| match verb {
        Verb::MakeTaps { slots } => Some(slots.iter().map(TapSlot::get).collect()),
        _ => None,
    });
    batches.collect()
}

fn deleted(host: &NotingHost) -> Vec<u16> {
    let batches = host.asked().into_iter().filter_map(|verb| match verb {
        Verb::DeleteTaps { slots } => Some(slots.iter().map(TapSlot::get).collect::<Vec<_>>()),
        _ => None,
    });
    batches.flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn a_warm_tap_is_given_without_asking_and_the_pool_is_filled_behind_it() {
    let host = NotingHost::new();
    let pool = TapPool::new(host.clone(), 2, &[].into(), [].into());
    until("the pool is warm", || made(&host) == [[1, 2]]).await;
    until("it is known", || pool.has_idle(2)).await;
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(1));
    until("it is filled again", || made(&host).len() == 2).await;
    assert_eq!(made(&host), [vec![1, 2], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn without_a_pool_each_tap_is_made_when_it_is_wanted_and_deleted_behind_its_user() {
    let host = NotingHost::new();
    let pool = TapPool::new(host.clone(), 0, &[slot(1)].into(), [].into());
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(2));
    assert_eq!(made(&host), [[2]]);
    pool.give_back(slot(2), new_id());
    until("it is deleted", || deleted(&host) == [2]).await;
    until("its slot is free", || pool.is_free(slot(2))).await;
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(2));
}

#[tokio::test(start_paused = true)]
async fn giving_back_waits_for_nobody_and_a_slot_is_not_used_before_it_is_gone() {
    let host = NotingHost::holding();
    let used = (1..=100).map(slot).collect();
    let pool = TapPool::new(host.clone(), 0, &used, [].into());
    used.iter().for_each(|slot| pool.give_back(*slot, new_id()));
    until("a batch is asked for", || deleted(&host).len() == BATCH_MAX).await;
    assert_eq!(lock(&pool.0.slots).take(), Some(Taken::Cold(slot(101))));
    host.let_answer(2);
    until("all are deleted", || deleted(&host).len() == 100).await;
}

#[tokio::test(start_paused = true)]
async fn a_refill_that_fails_burns_no_slots_and_does_not_try_for_ever() {
    let host = NotingHost::new();
    host.fail("make_taps", true);
    let pool = TapPool::new(host.clone(), 3, &[].into(), [].into());
    until("what may be there is deleted", || {
        deleted(&host) == [1, 2, 3]
    })
    .await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(made(&host).len(), 1, "nobody wanted one since");
    assert!(matches!(pool.take(new_id()).await, Err(NoTap::Host(_))));
    host.fail("make_taps", false);
    until("it is filled after all", || pool.has_idle(3)).await;
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(1));
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_for_a_tap_leaves_none_behind() {
    let host = NotingHost::holding();
    let pool = TapPool::new(host.clone(), 0, &[].into(), [].into());
    {
        let taking = pool.take(new_id());
        tokio::pin!(taking);
        tokio::select! {
            biased;
            _ = &mut taking => panic!("nobody answered"),
            () = until("it is asked for", || made(&host).len() == 1) => {}
        }
    }
    host.let_answer(9);
    until("it is deleted", || deleted(&host) == [1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_bridge_is_said_so() {
    let pool = TapPool::new(NotingHost::new(), 0, &TapSlot::all().collect(), [].into());
    let refused = pool.take(new_id()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "all 1000 places on the bridge are taken"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_batch_at_work_and_no_other_follows() {
    let host = NotingHost::holding();
    let pool = TapPool::new(host.clone(), 2, &[].into(), [].into());
    until("a batch is asked for", || made(&host).len() == 1).await;
    {
        let closing = pool.close();
        tokio::pin!(closing);
        tokio::select! {
            biased;
            () = &mut closing => panic!("the batch is still at work"),
            () = tokio::time::sleep(std::time::Duration::from_secs(9)) => {}
        }
        host.let_answer(9);
        closing.await;
    }
    assert!(pool.has_idle(0), "to be swept");
    pool.0.work.notify_one();
    tokio::time::sleep(std::time::Duration::from_secs(9)).await;
    assert_eq!(made(&host).len(), 1, "filled again, behind the sweep");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_the_host_carries_the_operation_that_it_is_for() {
    let host = NotingHost::holding();
    let pool = TapPool::new(host.clone(), 0, &[].into(), [].into());
    let [start, stop, other] =
        ["op-start0", "op-stop00", "op-other0"].map(|op| op.parse().unwrap());
    host.let_answer(3);
    for number in 1..=3 {
        assert_eq!(pool.take(start).await.unwrap(), slot(number));
    }
    pool.give_back(slot(1), stop);
    until("the first goes", || deleted(&host) == [1]).await;
    // While the host is busy, two operations give back a TAP each: one batch, and an id of its own.
    pool.give_back(slot(2), stop);
    pool.give_back(slot(3), other);
    host.let_answer(2);
    until("all go", || deleted(&host).len() == 3).await;
    let asked = host.operations();
    assert_eq!(asked[..3], [(start, "make_taps"); 3]);
    assert_eq!(asked[3], (stop, "delete_taps"));
    assert!(![start, stop, other].contains(&asked[4].0), "{asked:?}");
}

/// Another program's interfaces of our names.
fn of_others(host: &NotingHost, slots: &[u16]) {
    let tap = |number: &u16| TapState {
        slot: slot(*number),
        whose: Whose::Foreign(None),
        on_bridge: false,
        up: true,
        in_use: true,
        owner: None,
    };
    host.survey.lock().unwrap().taps = slots.iter().map(tap).collect();
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_another_takes_meanwhile_is_passed_over_and_the_pool_goes_on() {
    let host = NotingHost::new();
    let pool = TapPool::new(host.clone(), 3, &[].into(), [].into());
    until("the pool is warm", || pool.has_idle(3)).await;
    of_others(&host, &[5]);
    for number in 1..=3 {
        assert_eq!(pool.take(new_id()).await.unwrap(), slot(number));
    }
    until("it is filled with others", || pool.has_idle(3)).await;
    let next = [pool.take(new_id()).await, pool.take(new_id()).await];
    assert_eq!(next.map(Result::unwrap), [slot(4), slot(6)]);
    assert!(!deleted(&host).contains(&5), "it is not ours");
    // Its owner has gone, and so it is free with the next look.
    of_others(&host, &[9]);
    until("it is filled again", || pool.has_idle(3)).await;
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(5));
}

#[tokio::test(start_paused = true)]
async fn without_a_pool_the_slot_of_another_is_passed_over_too() {
    let host = NotingHost::new();
    let pool = TapPool::new(host.clone(), 0, &[].into(), [slot(1)].into());
    of_others(&host, &[1, 2, 3]);
    assert_eq!(pool.take(new_id()).await.unwrap(), slot(4));
    assert_eq!(made(&host), [[2], [4]]);
    assert!(deleted(&host).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tap_that_another_has_replaced_keeps_no_other_from_being_deleted() {
    let host = NotingHost::holding();
    let pool = TapPool::new(host.clone(), 0, &[slot(1), slot(2)].into(), [].into());
    of_others(&host, &[1]);
    pool.give_back(slot(1), new_id());
    pool.give_back(slot(2), new_id());
    host.let_answer(9);
    until("ours is free", || pool.is_free(slot(2))).await;
    assert!(!pool.is_free(slot(1)));
}

#[tokio::test(start_paused = true)]
async fn all_taps_become_ports_of_a_bridge_that_was_made_anew() {
    let host = NotingHost::new();
    let used = (1..=100).map(slot).collect();
    let pool = TapPool::new(host.clone(), 2, &used, [].into());
    until("the pool is warm", || pool.has_idle(2)).await;
    pool.join_again(new_id()).await.unwrap();
    let joined = made(&host).split_off(1);
    assert!(joined.iter().all(|batch| batch.len() <= BATCH_MAX));
    assert_eq!(joined.concat(), (1..=102).collect::<Vec<_>>());
    assert!(pool.has_idle(2));
    host.fail("make_taps", true);
    let error = pool.join_again(new_id()).await.unwrap_err();
    assert!(error.to_string().contains("it was told to fail"));
}
