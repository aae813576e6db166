use super::*;
use crate::host_network::fixtures::{NotingHost, until};

fn frame() -> Frame {
    let installation = Installation::from_random([3; 8]);
    Frame {
        installation,
        bridge: BridgeName::default(),
        subnet: Subnet::new([172, 16, 0, 0].into(), 24, &installation).unwrap(),
    }
}

fn id(number: u8) -> SandboxId {
    SandboxId::from_random([number; 16])
}

fn place(number: u8, links: &[u8]) -> Place {
    Place {
        slot: u16::from(number).try_into().unwrap(),
        name: format!("m{number}").parse().unwrap(),
        host_part: u16::from(number + 1).try_into().unwrap(),
        nat: false,
        membership: Membership {
            id: id(number),
            networks: [].into(),
            links: links.iter().map(|other| id(*other)).collect(),
        },
    }
}

fn policies(host: &NotingHost) -> Vec<Policy> {
    let policies = host.asked().into_iter().filter_map(|verb| match verb {
        Verb::SetPolicy { policy } => Some(policy),
        _ => None,
    });
    policies.collect()
}

#[tokio::test(start_paused = true)]
async fn many_changes_become_few_and_the_newest_wins() {
    let host = NotingHost::holding();
    let rules = Rules::new(host.clone(), frame());
    rules.set(id(1), place(1, &[]), new_id());
    until("the first is on its way", || policies(&host).len() == 1).await;
    let mut last = 0;
    for number in 2..=100 {
        last = rules.set(id(number), place(number, &[]), new_id());
    }
    host.let_answer(2);
    assert_eq!(rules.until_taken(last).await, Ok(()));
    let guests: Vec<_> = policies(&host).iter().map(|p| p.guests().len()).collect();
    assert_eq!(guests, [1, 100]);
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_may_is_what_its_newest_place_says() {
    let host = NotingHost::new();
    let rules = Rules::new(host.clone(), frame());
    rules.set(id(1), place(1, &[2]), new_id());
    let two = rules.set(id(2), place(2, &[]), new_id());
    rules.until_taken(two).await.unwrap();
    let linked = policies(&host).pop().unwrap();
    assert!(
        linked
            .guests()
            .iter()
            .all(|guest| guest.networks.len() == 1)
    );
    let open = Place {
        nat: true,
        ..place(1, &[])
    };
    let three = rules.set(id(1), open, new_id());
    rules.until_taken(three).await.unwrap();
    let changed = policies(&host).pop().unwrap();
    assert!(changed.wants_nat() && changed.guests().iter().all(|g| g.networks.is_empty()));
    rules.remove(id(1), new_id());
    rules.remove(id(9), new_id());
    let newest = rules.newest();
    assert_eq!(newest, 4, "who was not there is no change");
    rules.until_taken(newest).await.unwrap();
    assert_eq!(policies(&host).pop().unwrap().guests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rules_that_the_host_did_not_take_are_told_and_brought_again() {
    let host = NotingHost::new();
    host.fail("set_policy", true);
    let rules = Rules::new(host.clone(), frame());
    let change = rules.set(id(1), place(1, &[]), new_id());
    let trouble = rules.until_taken(change).await.unwrap_err();
    assert!(trouble.contains("it was told to fail"), "{trouble}");
    host.fail("set_policy", false);
    tokio::time::advance(AGAIN).await;
    until("they are taken", || rules.taken.borrow().trouble.is_none()).await;
    assert_eq!(rules.until_taken(change).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn two_guests_at_one_tap_are_refused_before_the_host_is_asked() {
    let host = NotingHost::new();
    let rules = Rules::new(host.clone(), frame());
    rules.set(id(1), place(1, &[]), new_id());
    let change = rules.set(id(2), place(1, &[]), new_id());
    assert!(rules.until_taken(change).await.is_err());
    assert!(
        policies(&host)
            .iter()
            .all(|policy| policy.guests().len() < 2)
    );
}

#[tokio::test(start_paused = true)]
async fn rules_are_brought_for_the_operation_that_changed_them_last() {
    let host = NotingHost::holding();
    let rules = Rules::new(host.clone(), frame());
    let [first, second, third] =
        ["op-000001", "op-000002", "op-000003"].map(|op| op.parse().unwrap());
    rules.set(id(1), place(1, &[]), first);
    until("the first is on its way", || policies(&host).len() == 1).await;
    rules.set(id(2), place(2, &[]), second);
    let last = rules.set(id(3), place(3, &[]), third);
    host.let_answer(2);
    rules.until_taken(last).await.unwrap();
    let operations = [(first, "set_policy"), (third, "set_policy")];
    assert_eq!(host.operations(), operations);
}
