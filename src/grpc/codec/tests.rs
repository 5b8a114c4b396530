//! What is malformed or too large is refused with its field's name; what is well-formed comes through whole.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::{access, answer, ask, field};
use crate::broker::error::BrokerError;
use crate::model::limits::{
    ACCESS_ENTRIES_MAX, ARGUMENTS_BYTES_MAX, CEILING_PATTERNS_MAX, CEILING_TOOLS_MAX, CEILING_VALUES_MAX,
    INTENT_BYTES_MAX, REQUEST_ID_BYTES_MAX, TASK_SECONDS_MAX,
};
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
use crate::pb::v1;

const TASK: &str = "task_0190a3c47fd07aa0b1c2d3e4f5061728";

fn request() -> v1::RequestCredentialRequest {
    v1::RequestCredentialRequest {
        request_id: "r-1".into(),
        task_id: TASK.into(),
        task_handle: "handle".into(),
        audience: "https://mcp.example.org".into(),
        access: vec![v1::Access { tool: "search".into(), ..v1::Access::default() }],
        ttl: Some(seconds(60)),
        purpose: "look\nfor it".into(),
        agent_profile: None,
        context: None,
    }
}

fn registration() -> v1::RegisterTaskRequest {
    v1::RegisterTaskRequest {
        request_id: "r-1".into(),
        intent: "Find the open tickets.".into(),
        initiator: "alice".into(),
        agent: "spiffe://example.org/agent".into(),
        deadline: Some(prost_types::Timestamp { seconds: 2_000_000_000, nanos: 0 }),
        ..v1::RegisterTaskRequest::default()
    }
}

const fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn refused<T: std::fmt::Debug>(result: Result<T, BrokerError>) -> (ReasonCode, &'static str) {
    match result.unwrap_err() {
        BrokerError::Invalid { code, field, problem } => {
            assert!(!problem.is_empty());
            (code, field)
        }
        other => panic!("another error: {other:?}"),
    }
}

#[test]
fn a_request_comes_through_whole() {
    let ask = ask::request(request()).unwrap();
    assert_eq!(ask.task.to_string(), TASK);
    assert_eq!(ask.ttl.unwrap().as_secs(), 60);
    assert_eq!(ask.purpose, "look\nfor it");
    assert!(!format!("{ask:?}").contains("handle\""), "a handle is not for eyes");
}

#[test]
fn bad_requests_are_refused_by_field() {
    use ReasonCode::{InvalidArgument, LimitExceeded};
    type Change = fn(&mut v1::RequestCredentialRequest);
    let cases: &[(ReasonCode, &str, Change)] = &[
        (InvalidArgument, "request_id", |r| r.request_id.clear()),
        (InvalidArgument, "request_id", |r| r.request_id = "a\u{0}b".into()),
        (LimitExceeded, "request_id", |r| r.request_id = "x".repeat(REQUEST_ID_BYTES_MAX + 1)),
        (InvalidArgument, "task_id", |r| r.task_id = "grant_0190a3c47fd07aa0b1c2d3e4f5061728".into()),
        (InvalidArgument, "task_id", |r| r.task_id = TASK.to_uppercase()),
        (InvalidArgument, "task_handle", |r| r.task_handle.clear()),
        (LimitExceeded, "task_handle", |r| r.task_handle = "x".repeat(10_000)),
        (InvalidArgument, "audience", |r| r.audience.clear()),
        (InvalidArgument, "access", |r| r.access.clear()),
        (LimitExceeded, "access", |r| r.access = vec![r.access[0].clone(); ACCESS_ENTRIES_MAX + 1]),
        (InvalidArgument, "access.tool", |r| r.access[0].tool = "a\u{7}".into()),
        (InvalidArgument, "access.actions", |r| r.access[0].actions = vec![String::new()]),
        (LimitExceeded, "access.resources", |r| r.access[0].resources = vec!["x".into(); 65]),
        (InvalidArgument, "access.arguments_json", |r| r.access[0].arguments_json = "[1]".into()),
        (InvalidArgument, "access.arguments_json", |r| r.access[0].arguments_json = r#"{"a":1,"a":2}"#.into()),
        (LimitExceeded, "access.arguments_json", |r| {
            r.access[0].arguments_json = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        }),
        (LimitExceeded, "access.arguments_json", |r| {
            r.access[0].arguments_json = format!("{{\"a\":\"{}\"}}", "x".repeat(ARGUMENTS_BYTES_MAX));
        }),
        (InvalidArgument, "ttl", |r| r.ttl = Some(seconds(0))),
        (InvalidArgument, "ttl", |r| r.ttl = Some(seconds(-1))),
        (InvalidArgument, "ttl", |r| r.ttl = Some(prost_types::Duration { seconds: 1, nanos: 1 })),
        (LimitExceeded, "ttl", |r| r.ttl = Some(seconds(TASK_SECONDS_MAX.cast_signed() + 1))),
        (LimitExceeded, "ttl", |r| r.ttl = Some(seconds(i64::MAX))),
        (InvalidArgument, "purpose", |r| r.purpose = "bell\u{7}".into()),
        (InvalidArgument, "context.traceparent", |r| {
            r.context = Some(v1::RequestContext { traceparent: "00-x".into(), ..v1::RequestContext::default() });
        }),
    ];
    for (code, field, change) in cases {
        let mut request = request();
        change(&mut request);
        assert_eq!(refused(ask::request(request)), (*code, *field));
    }
}

#[test]
fn bad_registrations_are_refused_by_field() {
    use ReasonCode::{InvalidArgument, LimitExceeded};
    type Change = fn(&mut v1::RegisterTaskRequest);
    let tool = || v1::ToolCeiling { tool: "search".into(), ..v1::ToolCeiling::default() };
    let cases: Vec<(ReasonCode, &str, Change)> = vec![
        (InvalidArgument, "intent", |r| r.intent = " \n".into()),
        (LimitExceeded, "intent", |r| r.intent = "x".repeat(INTENT_BYTES_MAX + 1)),
        (InvalidArgument, "agent", |r| r.agent = "https://example.org/agent".into()),
        (LimitExceeded, "agent", |r| r.agent = format!("spiffe://example.org/{}", "a".repeat(2048))),
        (InvalidArgument, "deadline", |r| r.deadline = None),
        (InvalidArgument, "deadline", |r| r.deadline = Some(prost_types::Timestamp { seconds: -1, nanos: 0 })),
        (InvalidArgument, "deadline", |r| r.deadline = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })),
        (InvalidArgument, "deadline", |r| r.deadline = Some(prost_types::Timestamp { seconds: 9, nanos: -1 })),
        (InvalidArgument, "parent_task_id", |r| r.parent_task_id = "x".into()),
        (InvalidArgument, "audiences", |r| r.audiences = vec![String::new()]),
        (LimitExceeded, "audiences", |r| r.audiences = vec!["x".into(); 1000]),
    ];
    for (code, field, change) in cases {
        let mut request = registration();
        change(&mut request);
        assert_eq!(refused(ask::register(request)), (code, field));
    }
    let twice = v1::Ceiling { tools: vec![tool(), tool()], ..v1::Ceiling::default() };
    assert_eq!(refused(access::ceiling(twice)), (InvalidArgument, "ceiling.tools"));
    let many = v1::Ceiling { tools: vec![tool(); CEILING_TOOLS_MAX + 1], ..v1::Ceiling::default() };
    assert_eq!(refused(access::ceiling(many)), (LimitExceeded, "ceiling.tools"));
    for amount in ["-1", "NaN", "1e999999999", "0x1", &"9".repeat(200)] {
        let sink = v1::SinkCeiling { sink: "amount".into(), total_max: amount.into(), ..v1::SinkCeiling::default() };
        let tool = v1::ToolCeiling { sinks: vec![sink], ..tool() };
        let ceiling = v1::Ceiling { tools: vec![tool], ..v1::Ceiling::default() };
        assert_eq!(refused(access::ceiling(ceiling)).1, "ceiling.tools.sinks.total_max", "{amount}");
    }
}

fn patterns() -> Vec<v1::SinkPattern> {
    use v1::sink_pattern::Pattern;
    let all = [
        Pattern::Domain("*.acme.test".into()),
        Pattern::Host("api.acme.test:8443".into()),
        Pattern::PathPrefix("/home/ann".into()),
        Pattern::AccountSet("payroll".into()),
    ];
    all.into_iter().map(|pattern| v1::SinkPattern { pattern: Some(pattern) }).collect()
}

#[test]
fn what_is_no_pattern_or_is_one_in_the_wrong_place_is_refused_by_field() {
    use v1::sink_pattern::Pattern;
    let of_tool = |tool: v1::ToolCeiling| {
        access::ceiling(v1::Ceiling {
            tools: vec![v1::ToolCeiling { tool: "send".into(), ..tool }],
            ..v1::Ceiling::default()
        })
    };
    let of_sink = |sink: v1::SinkCeiling| {
        of_tool(v1::ToolCeiling {
            sinks: vec![v1::SinkCeiling { sink: "to".into(), ..sink }],
            ..v1::ToolCeiling::default()
        })
    };
    for value in ["*@acme.test", "*.acme.test", "*", "docs/**"] {
        let sink = v1::SinkCeiling { values: vec![value.into()], ..v1::SinkCeiling::default() };
        let BrokerError::Invalid { field, problem, .. } = of_sink(sink).unwrap_err() else { panic!("{value}") };
        assert_eq!(field, "ceiling.tools.sinks.values", "{value}");
        assert!(problem.contains("`patterns`"), "{problem}");
    }
    let listed = v1::SinkCeiling { values: vec!["SELECT * FROM t".into()], ..v1::SinkCeiling::default() };
    assert!(of_sink(listed).is_ok(), "what a call may carry may be listed");
    let tool = v1::ToolCeiling { resources: vec!["projects/alpha/*".into()], ..v1::ToolCeiling::default() };
    let BrokerError::Invalid { field, problem, .. } = of_tool(tool).unwrap_err() else { panic!("a resource") };
    assert_eq!(field, "ceiling.tools.resources");
    assert!(problem.contains("`resource_patterns`"), "{problem}");
    for bad in ["*", "a/*/b", "a/../**"] {
        let tool = v1::ToolCeiling { resource_patterns: vec![bad.into()], ..v1::ToolCeiling::default() };
        assert_eq!(refused(of_tool(tool)).1, "ceiling.tools.resource_patterns", "{bad}");
    }
    for bad in [
        None,
        Some(Pattern::Domain("*acme.test".into())),
        Some(Pattern::Host("https://acme.test".into())),
        Some(Pattern::PathPrefix("/a/../b".into())),
        Some(Pattern::AccountSet(String::new())),
    ] {
        let patterns = vec![v1::SinkPattern { pattern: bad.clone() }];
        let sink = v1::SinkCeiling { patterns, ..v1::SinkCeiling::default() };
        assert_eq!(refused(of_sink(sink)).1, "ceiling.tools.sinks.patterns", "{bad:?}");
    }
    let classes = v1::Ceiling { data_classes: vec![String::new()], ..v1::Ceiling::default() };
    assert_eq!(refused(access::ceiling(classes)).1, "ceiling.data_classes");
    let unseen = || vec!["projects/\u{202e}alpha".to_owned()];
    let tool = v1::ToolCeiling { resources: unseen(), ..v1::ToolCeiling::default() };
    assert_eq!(refused(of_tool(tool)).1, "ceiling.tools.resources");
    let tool = v1::ToolCeiling { resource_patterns: unseen(), ..v1::ToolCeiling::default() };
    assert_eq!(refused(of_tool(tool)).1, "ceiling.tools.resource_patterns");
}

#[test]
fn what_a_ceiling_lists_twice_or_beyond_number_is_refused() {
    use ReasonCode::{InvalidArgument, LimitExceeded};
    use v1::sink_pattern::Pattern;
    let of = |tools: Vec<v1::ToolCeiling>| access::ceiling(v1::Ceiling { tools, ..v1::Ceiling::default() });
    let tool = |name: &str| v1::ToolCeiling { tool: name.into(), ..v1::ToolCeiling::default() };
    let twice = |text: &str| vec![text.to_owned(); 2];
    let sink = |values: Vec<String>, patterns: Vec<v1::SinkPattern>| {
        let sink = v1::SinkCeiling { sink: "to".into(), values, patterns, ..v1::SinkCeiling::default() };
        of(vec![v1::ToolCeiling { sinks: vec![sink], ..tool("send") }])
    };
    let sets = |names: &[&str]| -> Vec<v1::SinkPattern> {
        let set = |name: &&str| v1::SinkPattern { pattern: Some(Pattern::AccountSet((*name).into())) };
        names.iter().map(set).collect()
    };
    let lists = [
        ("ceiling.tools.sinks.values", sink(twice("a@b.test"), Vec::new())),
        ("ceiling.tools.sinks.patterns", sink(Vec::new(), sets(&["s", "s"]))),
        ("ceiling.tools.actions", of(vec![v1::ToolCeiling { actions: twice("a"), ..tool("t") }])),
        ("ceiling.tools.resources", of(vec![v1::ToolCeiling { resources: twice("r"), ..tool("t") }])),
        ("ceiling.tools.resource_patterns", of(vec![v1::ToolCeiling { resource_patterns: twice("r/*"), ..tool("t") }])),
        (
            "ceiling.data_classes",
            access::ceiling(v1::Ceiling { data_classes: twice("internal"), ..v1::Ceiling::default() }),
        ),
    ];
    for (field, given) in lists {
        assert_eq!(refused(given), (InvalidArgument, field));
    }
    assert!(sink(Vec::new(), sets(&["s", "t"])).is_ok());
    let many = |tools: usize| {
        let patterns = |t: usize| (0..CEILING_VALUES_MAX).map(|n| format!("r{t}/{n}/*")).collect();
        of((0..tools).map(|t| v1::ToolCeiling { resource_patterns: patterns(t), ..tool(&format!("t{t}")) }).collect())
    };
    assert!(many(CEILING_PATTERNS_MAX / CEILING_VALUES_MAX).is_ok());
    let more = many(CEILING_PATTERNS_MAX / CEILING_VALUES_MAX + 1);
    assert_eq!(refused(more), (LimitExceeded, "ceiling.patterns"));
}

#[test]
fn a_ceiling_is_shown_as_it_was_given() {
    let given = v1::Ceiling {
        tools: vec![v1::ToolCeiling {
            tool: "pay".into(),
            actions: vec!["tools/call".into()],
            resources: vec!["acct".into()],
            sinks: vec![v1::SinkCeiling {
                sink: "amount".into(),
                values: vec!["10".into()],
                per_call_max: "100".into(),
                total_max: "250.5".into(),
                patterns: patterns(),
            }],
            calls_max: Some(3),
            resource_patterns: vec!["a/*".into(), "a/b/**".into()],
        }],
        ttl_max: Some(seconds(120)),
        data_classes: vec!["internal".into()],
    };
    assert_eq!(crate::broker::amend_asking::wire_ceiling(&access::ceiling(given.clone()).unwrap()), given);
}

#[test]
fn a_traceparent_is_checked_for_its_form() {
    let parse = |text: &str| {
        let context = v1::RequestContext { traceparent: text.into(), ..v1::RequestContext::default() };
        field::context(Some(context)).is_ok()
    };
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    assert!(parse(""));
    assert!(parse(&format!("00-{trace}-{parent}-01")));
    for text in [
        format!("ff-{trace}-{parent}-01"),
        format!("00-{trace}-{parent}"),
        format!("00-{}-{parent}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{}-{parent}-01", trace.to_uppercase()),
        format!("00-{trace}-{parent}-01-"),
    ] {
        assert!(!parse(&text), "{text}");
    }
}

#[test]
fn times_are_told_to_the_millisecond() {
    let told = answer::time(Timestamp::from_millis(1_234_567));
    assert_eq!((told.seconds, told.nanos), (1234, 567_000_000));
    assert_eq!(field::time("t", Some(told)).unwrap(), Timestamp::from_millis(1_234_567));
}

proptest! {
    #[test]
    fn decoding_never_panics(
        texts in proptest::collection::vec(".{0,40}", 8),
        seconds in any::<i64>(),
        nanos in any::<i32>(),
        number in any::<i32>(),
    ) {
        let [a, b, c, d, e, f, g, h] = <[String; 8]>::try_from(texts).unwrap();
        let request = v1::RegisterTaskRequest {
            request_id: a.clone(), intent: b.clone(), initiator: c.clone(), agent: d.clone(),
            deadline: Some(prost_types::Timestamp { seconds, nanos }),
            parent_task_id: e.clone(), parent_task_handle: f.clone(), audiences: vec![g.clone()],
            ..v1::RegisterTaskRequest::default()
        };
        drop(ask::register(request));
        let ttl = Some(prost_types::Duration { seconds, nanos });
        let access = vec![v1::Access { tool: a, arguments_json: b, ..v1::Access::default() }];
        drop(ask::request(v1::RequestCredentialRequest {
            request_id: c, task_id: d, task_handle: e, audience: f, access, ttl, purpose: g, ..v1::RequestCredentialRequest::default()
        }));
        drop(ask::list(&v1::ListTasksRequest { state: number, page_token: h, ..v1::ListTasksRequest::default() }));
    }
}
