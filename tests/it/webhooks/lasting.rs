//! What outlasts a crash, a file that is gone bad, and a receiver that refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carnet::notify::WebhookOptions;
use carnet::pb::v1::DeliveryOutcome;
use carnet::pb::v1::target::Target as Named;

use super::receiver::{Answer, Got, Receiver};
use super::{A_WAIT, SECRET, asked, listed, log, outcomes, telling};
use crate::support::ask::revocation;
use crate::support::broker::TestBroker;
use crate::support::pki::{id, soon};

/// Most notices that wait to be tried again.
const WAITING_MAX: usize = 128;

fn kept_file(folder: &Path) -> PathBuf {
    folder.join("data/notify/pager.json")
}

/// What is kept on disk, once these words are in it.
async fn kept(broker: &TestBroker, words: &str) -> Vec<u8> {
    let path = kept_file(broker.folder());
    soon(async {
        loop {
            let bytes = fs::read(&path).unwrap_or_default();
            if String::from_utf8_lossy(&bytes).contains(words) {
                return bytes;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn after_a_crash_what_was_not_kept_is_told_again_by_the_same_ids_and_nothing_is_lost() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::status(500)]);
    let mut broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    let first = asked(&agent, &task, "eve@evil.test").await;
    // A try that failed is on disk at once, and without a close.
    let crashed = kept(&broker, "tried_again").await;
    let second = asked(&agent, &task, "mallory@evil.test").await;
    let before = receiver.got(3).await;
    assert_eq!(before[2].approval(), first.approval_id, "it is told again once another is taken");
    log(&broker, 3).await;

    broker.restart_after(|folder| fs::write(kept_file(folder), crashed).unwrap()).await;
    let after = receiver.got(5).await;
    assert_eq!((after[3].approval(), after[3].id()), (second.approval_id, before[1].id()));
    assert_eq!((after[4].approval(), after[4].id()), (first.approval_id, before[0].id()));
    assert_eq!(log(&broker, 3).await.len(), 3, "the log is that of the file, and what came after it");
}

#[tokio::test]
async fn who_wanted_no_more_is_still_off_after_a_crash() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::status(410)]);
    let mut broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    let crashed = kept(&broker, "\"switched_off\":true").await;
    broker.restart_after(|folder| fs::write(kept_file(folder), crashed).unwrap()).await;
    asked(&broker.agent().await, &task, "mallory@evil.test").await;
    let standing = listed(&broker.operator().await, "pager").await.unwrap().webhooks.remove(0);
    assert!(standing.switched_off);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_file_that_is_gone_bad_is_set_aside_and_one_that_cannot_be_read_is_left_alone() {
    let receiver = Receiver::start().await;
    let mut broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "old@evil.test").await;
    receiver.got(1).await;
    drop(receiver);

    // A folder in its place cannot be read.
    broker.stop().await;
    let path = kept_file(broker.folder());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = broker.try_start().await.unwrap_err();
    assert!(error.contains("how far the webhook `pager` was told cannot be read"), "{error}");
    assert!(path.is_dir(), "it was not written over");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "{\"form\":").unwrap();

    let receiver = Receiver::start().await;
    broker.setup.webhooks = vec![receiver.options("pager", &[SECRET])];
    broker.try_start().await.unwrap();
    let aside = path.with_file_name("pager.json.damaged");
    assert_eq!(fs::read_to_string(aside).unwrap(), "{\"form\":");
    let told = receiver.got_of("approval.pending").await;
    assert_eq!(told.json()["data"]["task_id"], task.id.as_str(), "it is young enough to be told again");
    let log = listed(&broker.operator().await, "pager").await.unwrap().deliveries;
    assert!(log.iter().any(|told| told.problem == "unreadable"), "{log:#?}");
}

#[tokio::test]
async fn a_receiver_that_refuses_one_type_of_notices_is_told_the_others() {
    let receiver = Receiver::start().await;
    receiver.refuses("access.revoked", 422);
    let broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    let operator = broker.operator().await;
    for n in 0..=WAITING_MAX {
        operator.revoke(revocation(Named::Agent(id(&format!("/gone/{n}")).to_string()))).await.unwrap();
    }
    let refused = log(&broker, WAITING_MAX + 2).await;
    let overflow = (DeliveryOutcome::GivenUp, "overflow", 0, 0);
    assert_eq!(outcomes(&refused[..1]), [overflow]);
    let first = refused.last().unwrap();
    assert_eq!((&refused[0].webhook_id, refused[0].position), (&first.webhook_id, first.position), "the oldest");

    let decision = asked(&agent, &task, "eve@evil.test").await;
    assert_eq!(receiver.got_of("approval.pending").await.approval(), decision.approval_id);
}

#[tokio::test]
async fn what_is_refused_for_what_it_is_is_given_up_after_three_tries() {
    let receiver = Receiver::start().await;
    receiver.refuses("approval.pending", 400);
    let broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    for tries in 1..3 {
        log(&broker, tries).await;
        broker.advance(A_WAIT * 5_u32.pow(u32::try_from(tries).unwrap() - 1));
    }
    let told = log(&broker, 3).await;
    let again = |attempt| (DeliveryOutcome::TriedAgain, "status", 400, attempt);
    assert_eq!(outcomes(&told), [(DeliveryOutcome::GivenUp, "status", 400, 3), again(2), again(1)]);
}

#[tokio::test]
async fn what_waits_for_another_receiver_or_for_nobody_any_more_is_not_told() {
    let (before, after) = (Receiver::start().await, Receiver::start().await);
    before.always(Some(Answer::status(500)));
    let mut broker = telling(vec![before.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    log(&broker, 1).await;
    // Elsewhere: it begins anew.
    broker.setup.webhooks = vec![after.options("pager", &[SECRET])];
    broker.restart().await;
    after.answers([Answer::status(500)]);
    let second = asked(&broker.agent().await, &task, "mallory@evil.test").await;
    assert_eq!(after.got(1).await[0].approval(), second.approval_id);
    log(&broker, 2).await;
    // The same, and not of this type any more.
    let types = vec![carnet::model::notice::NoticeType::PolicyActivated];
    broker.setup.webhooks = vec![WebhookOptions { types, ..after.options("pager", &[SECRET]) }];
    broker.restart().await;
    broker.advance(A_WAIT);
    broker.activate(&crate::support::broker::shipped_policy()).await;
    let told: Vec<String> = after.got(2).await.iter().map(Got::kind).collect();
    assert_eq!(told, ["approval.pending", "policy.activated"]);
}
