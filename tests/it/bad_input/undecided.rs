//! What cannot be decided is refused, with a reason code.

use std::time::Duration;

use bytes::Bytes;
use carnet::pb::v1::Outcome;
use serde_json::json;
use tonic::Code;

use super::messages::call;
use crate::support::ask::{OTHER_ORCHESTRATOR, TICKETS_SERVER};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::Refused;
use crate::support::pki::{DOMAIN, domain, soon};

/// The shipped policies with a tool that nobody owns, and with a permit whose evaluation fails for one tool.
fn with_gaps(path: &str, text: String) -> String {
    match path {
        "catalogue.toml" => format!(
            "{text}\n[tools.\"tickets.orphan\"]\ndescription = \"\"\neffect = \"read\"\nprivilege = 1\n\
             audience = \"https://tickets.dev.carnet.test\"\n"
        ),
        "10-permits.cedar" => format!(
            "{text}\n@id(\"overflows\") @controls(\"NHI5\")\npermit (principal, action == Carnet::Action::\"read\", \
             resource == Carnet::Tool::\"tickets.search\")\n\
             when {{ context.task.age_s * 9223372036854775807 > 0 }};\n"
        ),
        _ => text,
    }
}

fn refused<T>(name: &str, answer: Result<T, Refused>) -> (Code, String) {
    match answer {
        Ok(_) => panic!("{name}: it was answered"),
        Err(refused) => (refused.code, refused.reason),
    }
}

#[tokio::test]
async fn invariant_8_what_cannot_be_decided_is_refused() {
    let broker = TestBroker::with(Setup { policy: policy_with(with_gaps), ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let grant = agent.granted(task.sending()).await;
    agent.granted(task.reading()).await;
    broker.advance(Duration::from_secs(10));

    // Policy denies where it cannot say yes.
    for (name, tool, reason) in [
        ("an unknown tool", "tickets.nothing", "TOOL_UNKNOWN"),
        ("a tool without an owner", "tickets.orphan", "TOOL_UNOWNED"),
        ("an evaluation that fails", "tickets.search", "POLICY_ERROR"),
    ] {
        let (outcome, reasons) = agent.withheld(task.step(tool, &json!({ "query": "T-1000" }))).await;
        assert_eq!(outcome, Outcome::Denied, "{name}: {reasons:?}");
        assert!(reasons.iter().any(|told| told == reason), "{name}: {reasons:?}");
    }

    // What is not the caller's, and what nobody may call, is refused before policy is asked.
    let unlisted = call(&agent, "/carnet.v1.CredentialService/MintAnything", Bytes::new()).await;
    let (other, tickets) = (broker.caller(OTHER_ORCHESTRATOR).await, broker.caller(TICKETS_SERVER).await);
    let mails = ["https://mail.dev.carnet.test"];
    for (name, answer, expected) in [
        ("an unlisted RPC", refused("unlisted", unlisted), (Code::PermissionDenied, "METHOD_NOT_ALLOWED")),
        ("another's task", refused("task", other.cancel_task(task.cancel()).await), (Code::NotFound, "NOT_FOUND")),
        ("another's grant", refused("grant", tickets.grant(grant.id(), "").await), (Code::NotFound, "NOT_FOUND")),
        ("another's audience", refused("audience", tickets.watch(0, &mails).await), (Code::NotFound, "NOT_FOUND")),
    ] {
        assert_eq!((answer.0, answer.1.as_str()), expected, "{name}");
    }

    // Without a journal there is no evidence, and so no answer.
    let agent = agent.unchecked();
    agent.granted(task.reading()).await;
    broker.running().broker().close().await;
    let answer = refused("a closed journal", agent.request_credential(task.reading()).await);
    assert_eq!(answer, (Code::Unavailable, "UNAVAILABLE".to_owned()), "a closed journal");
}

#[tokio::test]
async fn invariant_8_without_a_trust_bundle_nobody_is_believed() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.reading()).await;
    let mut offer = broker.pki.offer("/carnet", &[]);
    // What is no authority is none: nothing usable is left.
    let leaf = offer.svids[0].chain[0].to_vec();
    offer.bundles.insert(domain(DOMAIN), vec![leaf]);
    broker.offer_itself(offer);
    let agent = agent.unchecked();
    let answer = soon(async {
        loop {
            match agent.request_credential(task.reading()).await {
                Err(refused) => break (refused.code, refused.reason),
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await;
    assert_eq!(answer, (Code::Unavailable, "UNAVAILABLE".to_owned()));
}
