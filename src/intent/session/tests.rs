//! What a session keeps, what it takes for ground, and what it says when it is full.

use super::*;
use crate::catalogue::tool::OutsiderFields;
use crate::model::access::Effect;

fn tool(name: &str, outsider_fields: OutsiderFields, sensitive: &[&str]) -> Tool {
    let classes: Vec<DataClass> = sensitive.iter().map(|c| c.parse().unwrap()).collect();
    Tool {
        name: name.parse().unwrap(),
        description: String::new(),
        effect: Effect::Read,
        privilege: 0,
        data_classes: classes.clone(),
        sensitive: classes,
        owner: None,
        audience: None,
        actions: vec!["tools/call".to_owned()],
        sinks: Vec::new(),
        outsider_fields,
        conflicts: Vec::new(),
        calls_max: None,
        definition_digest: None,
    }
}

fn json(text: &str) -> Json {
    Json::parse(text, 1 << 20).unwrap()
}

fn report(session: &mut Session, spec: &Tool, arguments: &str, result: &str) {
    let (arguments, result) = (json(arguments), json(result));
    let call = ReportedCall {
        tool: &spec.name,
        spec: Some(spec),
        arguments: &arguments,
        result: &result,
        reporter: Reporter::Audience,
        position: 5,
        failed: false,
    };
    session.report(&call, &"".into(), &[]);
}

#[test]
fn taint_is_remembered() {
    let mut s = Session::new();
    report(&mut s, &tool("weather", OutsiderFields::None, &[]), "{}", "\"warm\"");
    assert_eq!(s.facts(), SessionFacts { calls: 1, ..SessionFacts::default() });
    report(&mut s, &tool("inbox", OutsiderFields::All, &["pii"]), "{}", "\"hello\"");
    let facts = s.facts();
    assert!(facts.untrusted_input && !facts.overflowed);
    assert_eq!(facts.carries, ["pii".parse().unwrap()]);
    assert_eq!(s.calls_of(&"inbox".parse().unwrap(), None), 1);
    assert_eq!(s.first_call_of(&"inbox".parse().unwrap(), None), 5);
}

#[test]
fn what_changes_or_sends_something_reads_nothing_by_that() {
    let mut s = Session::new();
    let send = Tool { effect: Effect::Send, ..tool("send", OutsiderFields::None, &["pii"]) };
    report(&mut s, &send, "{}", "\"sent\"");
    s.grant(Some(&send), &[], &Sent::default(), 3);
    assert!(s.facts().carries.is_empty() && s.knows_grant(Some(&send), &[], &Sent::default()));
    let run = Tool { effect: Effect::Execute, ..tool("run", OutsiderFields::None, &["pii"]) };
    report(&mut s, &run, "{}", "\"done\"");
    assert_eq!(s.facts().carries, ["pii".parse().unwrap()], "what runs code may answer with anything");
}

#[test]
fn it_is_known_what_let_each_in_first() {
    let (mut s, none) = (Session::new(), Sent::default());
    let (inbox, other) = (tool("inbox", OutsiderFields::All, &["pii"]), tool("other", OutsiderFields::All, &["pii"]));
    let named: DataClass = "health".parse().unwrap();
    assert!(!s.knows_grant(Some(&inbox), std::slice::from_ref(&named), &none));
    s.grant(Some(&inbox), std::slice::from_ref(&named), &none, 7);
    let by = |call| LetInBy { tool: Some("inbox".parse().unwrap()), call, position: 7 };
    assert_eq!((s.facts().untrusted_by, s.facts().carries_by.len()), (Some(by(None)), 2));
    report(&mut s, &other, "{}", "\"x\"");
    assert_eq!(s.facts().untrusted_by, Some(by(None)), "the first is told");
    report(&mut s, &inbox, "{}", "\"x\"");
    assert_eq!(s.facts().untrusted_by, Some(by(Some(1))), "with its call, once that was reported");
    assert_eq!(s.facts().carries_by[&"pii".parse().unwrap()], by(Some(1)));
}

#[test]
fn what_an_agent_reports_itself_counts_against_it_alone() {
    let (mut s, ping) = (Session::new(), tool("ping", OutsiderFields::None, &[]));
    let (arguments, result) = (json("{}"), json("1"));
    let (own, other): (SpiffeId, SpiffeId) = ("spiffe://td/a".parse().unwrap(), "spiffe://td/b".parse().unwrap());
    let call = |reporter, position| ReportedCall {
        tool: &ping.name,
        spec: Some(&ping),
        arguments: &arguments,
        result: &result,
        reporter,
        position,
        failed: false,
    };
    s.report_by(&call(Reporter::Agent, 4), Some(&own), &"".into(), &[]);
    s.report_by(&call(Reporter::Agent, 5), Some(&own), &"".into(), &[]);
    let counted =
        |s: &Session, by: &SpiffeId| (s.calls_of(&ping.name, Some(by)), s.first_call_of(&ping.name, Some(by)));
    assert_eq!((counted(&s, &own), counted(&s, &other)), ((2, 4), (0, 0)));
    s.report_by(&call(Reporter::Gateway, 9), Some(&own), &"".into(), &[]);
    assert_eq!((counted(&s, &own), counted(&s, &other)), ((3, 4), (1, 9)), "what another says counts against all");
}

#[test]
fn names_that_nobody_knows_do_not_fill_a_session() {
    let (mut s, known) = (Session::new(), tool("weather", OutsiderFields::None, &[]));
    let (arguments, result) = (json("{}"), json("\"x\""));
    for n in 0..10_000 {
        let name = format!("{}-{n}", "made-up".repeat(10)).parse().unwrap();
        let call = ReportedCall {
            tool: &name,
            spec: None,
            arguments: &arguments,
            result: &result,
            reporter: Reporter::Agent,
            position: 1,
            failed: false,
        };
        s.report(&call, &"".into(), &[]);
    }
    assert!(s.memory_bytes() < 64 << 10, "{} bytes", s.memory_bytes());
    assert!(s.facts().overflowed);
    report(&mut s, &known, "{}", "\"warm\"");
    assert_eq!(s.calls_of(&known.name, None), 1, "what the catalogue knows is counted all the same");
}

#[test]
fn an_unknown_tool_taints_and_a_failed_read_carries_nothing() {
    let (mut s, name) = (Session::new(), "odd".parse().unwrap());
    let (arguments, result) = (json("{}"), json("\"x\""));
    let call = ReportedCall {
        tool: &name,
        spec: None,
        arguments: &arguments,
        result: &result,
        reporter: Reporter::Gateway,
        position: 1,
        failed: false,
    };
    s.report(&call, &"".into(), &[]);
    assert!(s.facts().untrusted_input);
    let ehr = tool("records", OutsiderFields::None, &["health"]);
    s.report(&ReportedCall { tool: &ehr.name, spec: Some(&ehr), failed: true, ..call }, &"".into(), &[]);
    assert!(s.facts().carries.is_empty());
}

#[test]
fn what_is_granted_counts_as_read_and_as_sent() {
    let (inbox, draft) = (tool("inbox", OutsiderFields::All, &["pii"]), tool("save_draft", OutsiderFields::None, &[]));
    let mut s = Session::new();
    let none = Sent::default();
    assert!(!s.knows_grant(Some(&inbox), &[], &none) && s.knows_grant(Some(&draft), &[], &none));
    s.grant(Some(&inbox), &[], &none, 7);
    assert!(s.facts().untrusted_input && s.knows_grant(Some(&inbox), &[], &none));
    assert_eq!((s.facts().calls, s.facts().carries), (0, vec!["pii".parse().unwrap()]));

    let arguments = json(r#"{"to":"eve@evil.test","text":"bob@acme.test"}"#);
    let sent = s.sent(&draft.name, Some(&draft), &arguments, &"Write to bob@acme.test".into(), &[]);
    assert!(!sent.is_empty() && !s.knows_grant(Some(&draft), &[], &sent));
    s.grant(Some(&draft), &[], &sent, 8);
    assert!(
        s.sent(&draft.name, Some(&draft), &arguments, &"Write to bob@acme.test".into(), &[]).is_empty(),
        "it is known now"
    );
    report(
        &mut s,
        &tool("get_draft", OutsiderFields::None, &[]),
        "{}",
        r#"{"to":"eve@evil.test","by":"ann@acme.test"}"#,
    );
    let ground = |s: &Session, value: &str| {
        s.leaves().whole(SinkKind::Address, value).any(|l| l.standing.grounds(SinkKind::Address))
    };
    assert!(!ground(&s, "eve@evil.test") && ground(&s, "ann@acme.test"));
    let again =
        s.sent(&draft.name, Some(&draft), &json(r#"{"text":"bob@acme.test"}"#), &"Write to bob@acme.test".into(), &[]);
    assert!(again.is_empty(), "what the intent holds is no echo of the agent");
    let mut s = Session::new();
    assert!(!s.knows_grant(None, &[], &none), "nobody answers for what an unknown tool returns");
    s.grant(None, &[], &none, 9);
    assert!(s.facts().untrusted_input && s.knows_grant(None, &[], &none));
}

#[test]
fn a_full_session_says_so_and_keeps_what_it_has() {
    let listing = tool("list", OutsiderFields::None, &[]);
    let mut s = Session::new();
    report(&mut s, &listing, "{}", r#"{"account":"first-000001"}"#);
    let mut n = 0;
    while !s.facts().overflowed {
        let values: Vec<String> = (0..1000).map(|i| format!("\"value-{n}-{i}-{}\"", "x".repeat(200))).collect();
        report(&mut s, &listing, "{}", &format!("[{}]", values.join(",")));
        n += 1;
        assert!(n < 100, "it overflows");
    }
    assert!(s.leaves().text_bytes() <= SESSION_BYTES_MAX + 2);
    assert_eq!(s.leaves().whole(SinkKind::Other, "first-000001").count(), 1);
    assert_eq!(s.facts().calls, u32::try_from(n).unwrap() + 1, "calls are counted all the same");
}

#[test]
fn the_names_of_fields_take_their_room() {
    let listing = tool("list", OutsiderFields::None, &[]);
    let above = format!("{{\"{}\":", "d".repeat(40));
    let members: Vec<String> = (0..5000).map(|n| format!("\"{}\":1", words(n))).collect();
    let mut s = Session::new();
    let deep = 12;
    let result = format!("{}{{{}}}{}", above.repeat(deep), members.join(","), "}".repeat(deep));
    report(&mut s, &listing, "{}", &result);
    assert!(s.facts().overflowed);
    assert!(s.memory_bytes() < 2 * SESSION_BYTES_MAX, "{} bytes", s.memory_bytes());
}

#[test]
fn more_names_of_fields_than_can_be_numbered_overflow() {
    let listing = tool("list", OutsiderFields::None, &[]);
    let mut s = Session::new();
    let rows: Vec<String> = (0..70_000).map(|n| format!("{{\"{}\":1}}", words(n))).collect();
    for part in rows.chunks(5_000) {
        report_all(&mut s, &listing, part);
    }
    assert!(s.facts().overflowed);
    report(&mut s, &listing, "{}", "{\"a\":2}");
}

/// A short name without digits, another one for each number.
fn words(mut n: usize) -> String {
    let mut out = String::new();
    loop {
        out.push(char::from(b'a' + u8::try_from(n % 26).unwrap()));
        n /= 26;
        if n == 0 {
            return out;
        }
    }
}

fn report_all(s: &mut Session, tool: &Tool, rows: &[String]) {
    report(s, tool, "{}", &format!("[{}]", rows.join(",")));
}

#[test]
fn more_calls_than_are_kept_overflow() {
    let ping = tool("ping", OutsiderFields::None, &[]);
    let mut s = Session::new();
    for _ in 0..SESSION_CALLS_MAX {
        report(&mut s, &ping, "{}", "1");
    }
    assert!(!s.facts().overflowed);
    report(&mut s, &ping, "{}", "1");
    assert!(s.facts().overflowed);
}

#[test]
fn the_same_listing_read_twice_is_kept_once() {
    let listing = tool("list", OutsiderFields::None, &[]);
    let (mut s, result) = (Session::new(), r#"[{"id":"a1","title":"one"},{"id":"b2","title":"two"}]"#);
    report(&mut s, &listing, "{}", result);
    let once = s.leaves().text_bytes();
    report(&mut s, &listing, "{}", result);
    assert_eq!(s.leaves().text_bytes(), once);
}

/// A result of about 1 KiB as tools answer: records with ids, dates, addresses and some prose.
fn result_of_one_kib(n: usize) -> String {
    let record = |i: usize| {
        format!(
            r#"{{"id":"{n}{i}","title":"Entry number {i} of listing {n}","created":"2031-05-{:02}","by":"person{i}.{n}@acme.test","note":"A sentence of prose about entry {i} that somebody wrote on page {n}."}}"#,
            i + 1
        )
    };
    let text = format!("[{}]", (0..6).map(record).collect::<Vec<_>>().join(","));
    assert!((1000..1200).contains(&text.len()), "{}", text.len());
    text
}

#[test]
fn fifty_calls_with_results_of_one_kib_fit_into_64_kib() {
    let listing = tool("list_entries", OutsiderFields::None, &[]);
    let mut s = Session::new();
    for n in 0..50 {
        let arguments = format!(r#"{{"page":{n},"query":"entries about topic {n}"}}"#);
        report(&mut s, &listing, &arguments, &result_of_one_kib(n));
    }
    assert!(!s.facts().overflowed);
    let bytes = s.memory_bytes();
    assert!(bytes <= 64 << 10, "{bytes} bytes");
}

#[test]
fn a_session_survives_a_snapshot() {
    let mut s = Session::new();
    report(
        &mut s,
        &tool("inbox", OutsiderFields::Paths(vec!["body".to_owned()]), &["pii"]),
        r#"{"q":"x"}"#,
        r#"{"body":"hi","id":7}"#,
    );
    let bytes = postcard::to_stdvec(&s).unwrap();
    assert_eq!(postcard::from_bytes::<Session>(&bytes).unwrap(), s);
}

#[test]
fn what_was_reported_since_is_no_ground_when_it_is_taken_back_and_is_judged_anew_when_it_is_reported_again() {
    let sink = |name: &str, kind| SinkSpec { name: name.to_owned(), kind };
    let mail = Tool {
        effect: Effect::Send,
        sinks: vec![sink("to", SinkKind::Address), sink("amount", SinkKind::Amount)],
        ..tool("mail", OutsiderFields::None, &[])
    };
    let book = tool("book", OutsiderFields::None, &[]);
    let names_eve: Ceiling = serde_json::from_str(
        r#"{"tools":[{"tool":"mail","sinks":[{"sink":"to","values":["eve@evil.test"]},{"sink":"amount","per_call_max":"900"}]}]}"#,
    )
    .unwrap();
    let reported =
        |s: &mut Session, spec: &Tool, position: u64, arguments: &str, result: &str, declared: &[&Ceiling]| {
            let (arguments, result) = (json(arguments), json(result));
            let (reporter, failed) = (Reporter::Audience, false);
            let (tool, spec) = (&spec.name, Some(spec));
            let call = ReportedCall { tool, spec, arguments: &arguments, result: &result, reporter, position, failed };
            s.report(&call, &"".into(), declared);
        };
    let grounded = |s: &Session, kind: SinkKind, value: &str| {
        let name = if kind == SinkKind::Amount { "amount" } else { "to" };
        let ground = Ground { intent: &"".into(), declared: &[], session: s, catalogue: None };
        trace::ground(&sink(name, kind), value, By::new(&mail.name, Some(&mail)), &ground)
            .map(|(provenance, _)| provenance)
    };
    let address = |s: &Session, value: &str| grounded(s, SinkKind::Address, value);
    let mut s = Session::new();
    reported(&mut s, &book, 3, "{}", r#"{"contact":"ann@corp.test"}"#, &[]);
    let sent = r#"{"to":"eve@evil.test","amount":777}"#;
    reported(&mut s, &mail, 6, sent, r#"{"done_for":"T-77"}"#, &[&names_eve]);
    reported(&mut s, &book, 7, "{}", r#"{"contact":"bob@corp.test"}"#, &[]);
    assert_eq!(address(&s, "eve@evil.test"), Some(Provenance::Argument));
    assert_eq!(grounded(&s, SinkKind::Amount, "777"), Some(Provenance::Argument));
    let mut undone = s.clone();
    undone.take_back(5, &["eve@evil.test".to_owned()], &"".into());
    for (value, left) in [("ann@corp.test", Some(Provenance::Field)), ("bob@corp.test", None), ("eve@evil.test", None)]
    {
        assert_eq!(address(&undone, value), left, "{value}");
    }
    assert_eq!(grounded(&undone, SinkKind::Amount, "777"), None);
    assert_eq!((undone.facts().calls, undone.facts().overflowed), (3, false));
    let seen = |s: &Session, value: &str| {
        let ground = Ground { intent: &"".into(), declared: &[], session: s, catalogue: None };
        trace::sink(&mail.sinks[0], value.to_owned(), By::new(&mail.name, Some(&mail)), &ground).provenance
    };
    assert_eq!(seen(&undone, "eve@evil.test"), Provenance::None, "as if nobody had said it");
    assert_eq!(seen(&undone, "bob@corp.test"), Provenance::Text, "what came back was seen");

    // Read again, a field is ground again, and what the agent was allowed to say is its own word.
    reported(&mut undone, &book, 9, "{}", r#"{"contact":"bob@corp.test","last":"eve@evil.test","amount":"777"}"#, &[]);
    assert_eq!(address(&undone, "bob@corp.test"), Some(Provenance::Field));
    assert_eq!(address(&undone, "eve@evil.test"), None);
    assert_eq!(grounded(&undone, SinkKind::Amount, "777"), None);
    s.take_back(7, &[], &"".into());
    assert_eq!(address(&s, "bob@corp.test"), Some(Provenance::Field), "nothing was reported since");
}

#[test]
fn what_merely_a_pattern_lets_in_is_ground_for_nothing_else() {
    let sink = |name: &str| SinkSpec { name: name.to_owned(), kind: SinkKind::Address };
    let find = Tool { sinks: vec![sink("email")], ..tool("find", OutsiderFields::None, &[]) };
    let mail = Tool { effect: Effect::Send, sinks: vec![sink("to")], ..tool("mail", OutsiderFields::None, &[]) };
    let lets = |rest: &str| {
        let text = format!(r#"{{"tools":[{{"tool":"find","sinks":[{{"sink":"email",{rest}}}]}},{{"tool":"mail"}}]}}"#);
        serde_json::from_str::<Ceiling>(&text).unwrap()
    };
    let provenance = |ceiling: &Ceiling| {
        let mut s = Session::new();
        let (arguments, result) = (json(r#"{"email":"eve@mail.test"}"#), json(r#"{"found":"eve@mail.test"}"#));
        let call = ReportedCall {
            tool: &find.name,
            spec: Some(&find),
            arguments: &arguments,
            result: &result,
            reporter: Reporter::Gateway,
            position: 3,
            failed: false,
        };
        s.report(&call, &"".into(), &[ceiling]);
        let ground = Ground { intent: &"".into(), declared: &[ceiling], session: &s, catalogue: None };
        let of = |spec: &Tool| {
            trace::sink(&spec.sinks[0], "eve@mail.test".to_owned(), By::new(&spec.name, Some(spec)), &ground).provenance
        };
        (of(&find), of(&mail))
    };
    let listed = lets(r#""values":["eve@mail.test"]"#);
    assert_eq!(provenance(&listed), (Provenance::Ceiling, Provenance::Field), "the control");
    let pattern = lets(r#""patterns":[{"domain":"mail.test"}]"#);
    assert_eq!(provenance(&pattern), (Provenance::Ceiling, Provenance::Text));
}
