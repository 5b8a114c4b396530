//! What people are shown fits: lists shorten long words, and one approval has them whole.

use carnet::model::limits::PAGE_SIZE_MAX;

use super::*;
use crate::support::ask::ceiling;
use crate::support::caller::unique;

/// Addresses that are as long as a ceiling takes.
fn long(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n}-{}@evil.test", "x".repeat(4000))).collect()
}

fn mail_to(values: Vec<String>) -> v1::Ceiling {
    let mut ceiling = ceiling(&["mail.send"]);
    ceiling.tools[0].sinks = vec![v1::SinkCeiling { sink: "to".to_owned(), values, ..Default::default() }];
    ceiling
}

#[tokio::test]
async fn long_words_are_shortened_in_a_list_and_whole_in_what_is_looked_at() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let only = v1::RegisterTaskRequest {
        ceiling: Some(mail_to(vec!["bob@example.org".to_owned()])),
        ..world.initiated_by(world.corp.token("1001", INITIATING))
    };
    let task = orchestrator.open(only).await;
    let values = [long(20), vec!["bob@example.org".to_owned()]].concat();
    let more = v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(mail_to(values.clone())),
        ..v1::AmendTaskRequest::default()
    };
    let decision = orchestrator.amend_task(more).await.unwrap().decision.unwrap();
    assert!(!decision.approval_id.is_empty(), "{decision:?}");
    let rae = world.rae().await;
    let listed = listed(&rae, ApprovalState::Pending).await.remove(0);
    let adds = &listed.amendment.as_ref().unwrap().adds;
    assert_eq!((adds.len(), adds[8].as_str()), (9, "and 12 more"));
    assert!(adds[0].contains("0-xxx") && adds[0].ends_with(" bytes more"), "{}", adds[0]);
    let words = adds.iter().chain(&listed.doubts).map(String::len);
    assert!(words.clone().all(|bytes| bytes < 300), "{:?}", words.collect::<Vec<_>>());

    let whole = get(&rae, &decision.approval_id).await.unwrap();
    let amendment = whole.record.unwrap().amendment.unwrap();
    assert!(values.iter().take(20).all(|value| amendment.adds.iter().any(|what| what.contains(value))));
    assert_eq!(amendment.ceiling.unwrap().tools[0].sinks[0].values, values);
    assert!(whole.left_out.is_empty());
}

/// A client with tonic's own bounds takes the fullest page, and the largest approval.
#[tokio::test]
async fn what_is_shown_of_the_largest_amendment_is_taken_by_any_client() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let only = v1::RegisterTaskRequest {
        ceiling: Some(mail_to(vec!["bob@example.org".to_owned()])),
        ..world.initiated_by(world.corp.token("1001", INITIATING))
    };
    let task = orchestrator.open(only).await;
    // Two ceilings, what they add and take, and all of it once more in the facts: beyond four MiB.
    let more = |values: Vec<String>| v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(mail_to(values)),
        ..v1::AmendTaskRequest::default()
    };
    let first = orchestrator.amend_task(more(long(250))).await.unwrap().decision.unwrap();
    approve(&world.rae().await, &first).await;
    let again = orchestrator.amend_task(more(long(250))).await.unwrap().decision.unwrap();
    assert_eq!(again.outcome(), Outcome::Granted);
    let others = long(500).split_off(250);
    let decision = orchestrator.amend_task(more(others)).await.unwrap().decision.unwrap();

    let token = world.corp.token("1005", ACTING);
    let plain = world.broker.person(&token).await.approvals().max_decoding_message_size(4 << 20);
    let request = v1::GetApprovalRequest { approval_id: decision.approval_id.clone() };
    let shown = plain.clone().get_approval(request).await.unwrap().into_inner();
    assert!(shown.left_out.contains(&"record.facts_json".to_owned()), "{:?}", shown.left_out);
    let amendment = shown.record.unwrap().amendment.unwrap();
    assert!(amendment.ceiling.is_some() && amendment.ceiling_before.is_some(), "what is judged is not left out");
    let request = v1::ListApprovalsRequest { page_size: PAGE_SIZE_MAX, ..v1::ListApprovalsRequest::default() };
    let listed = plain.clone().list_approvals(request).await.unwrap().into_inner();
    assert_eq!((listed.approvals.len(), listed.next_page_token.as_str()), (1, ""));
    // The record has all of it.
    let record = world.broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert!(record.facts_json.len() > 2 << 20);
}
