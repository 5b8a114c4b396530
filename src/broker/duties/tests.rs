//! What is known of past uses: as much as there are users and tools, for as long as any window is, and never less than needed.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const START: Timestamp = Timestamp::from_secs(1_790_000_000);

fn catalogue() -> Catalogue {
    let tool = |name: &str, more: &str| {
        format!("[tools.{name}]\ndescription = \"it\"\neffect = \"spend\"\nprivilege = 10\n{more}\n")
    };
    let apart = "conflicts = [{ with = \"add_payee\", within = \"agent\", window_s = 3600 }]";
    let text = tool("pay", apart) + &tool("add_payee", "") + &tool("read", "");
    Catalogue::parse(&text).unwrap()
}

fn who() -> (SpiffeId, InitiatorName) {
    ("spiffe://td.test/agent".parse().unwrap(), "user:ann@example.org".parse().unwrap())
}

fn access(tool: &str) -> Access {
    let (tool, arguments) = (tool.parse().unwrap(), crate::model::json::Json::parse("{}", 16).unwrap());
    Access { tool, actions: Vec::new(), resources: Vec::new(), arguments, data_classes: Vec::new() }
}

#[test]
fn however_often_a_tool_is_used_one_use_is_known() {
    let (catalogue, (agent, initiator)) = (catalogue(), who());
    let mut duties = Duties::default();
    for n in 0..10_000 {
        let at = START.after(Duration::from_secs(n));
        for tool in ["pay", "add_payee", "read"] {
            duties.record(Some(&catalogue), (&agent, &initiator), &tool.parse().unwrap(), (at, n));
        }
    }
    assert_eq!((duties.uses.len(), duties.order.len()), (2, 2), "what conflicts with nothing is not kept");
    assert!(duties.uses.values().all(|(_, position)| *position == 9_999), "the latest");
    duties.forget(START.after(Duration::from_secs(9_998)).after(DUTY_RETENTION));
    assert_eq!(duties.uses.len(), 2);
    duties.forget(START.after(Duration::from_secs(9_999)).after(DUTY_RETENTION));
    assert_eq!(duties, Duties::default());
}

#[test]
fn what_was_used_under_a_bundle_that_no_longer_loads_is_known_under_the_next() {
    let (catalogue, (agent, initiator)) = (catalogue(), who());
    let mut duties = Duties::default();
    duties.record(None, (&agent, &initiator), &"add_payee".parse().unwrap(), (START, 7));
    let past = duties.of(&catalogue, (&agent, &initiator), &[access("pay")]);
    assert_eq!(past.iter().map(|past| past.position).collect::<Vec<_>>(), [7]);
}
