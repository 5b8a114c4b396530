//! Nothing widens unseen.

use proptest::prelude::*;

use super::*;
use crate::model::id::ToolName;
use crate::model::sink::SinkKind;
use crate::model::time::Ttl;

fn ceiling(json: &str) -> Ceiling {
    serde_json::from_str(json).unwrap()
}

const BOUND: &str = r#"{"ttl_max":120,"tools":[{"tool":"pay","actions":["a","b"],"calls_max":3,"sinks":[
    {"sink":"to","values":["x","y"]},{"sink":"amount","per_call_max":"50","total_max":"100"}]},{"tool":"read"}]}"#;

#[test]
fn the_same_or_less_is_not_beyond() {
    let bound = ceiling(BOUND);
    assert_eq!(beyond(Some(&bound), Some(&bound)), Vec::<String>::new());
    let less = ceiling(
        r#"{"ttl_max":60,"tools":[{"tool":"pay","actions":["a"],"calls_max":1,"sinks":[
        {"sink":"to","values":["x"]},{"sink":"amount","per_call_max":"50.0","total_max":"99"},{"sink":"memo","values":["m"]}]}]}"#,
    );
    assert_eq!(beyond(Some(&less), Some(&bound)), Vec::<String>::new());
    assert_eq!(beyond(Some(&bound), None), Vec::<String>::new());
    assert_eq!(beyond(None, None), Vec::<String>::new());
}

#[test]
fn every_way_of_being_more_is_told() {
    let bound = ceiling(BOUND);
    assert_eq!(beyond(None, Some(&bound)), ["declares no ceiling"]);
    let rows = [
        ("a longer life", BOUND.replace("120", "121"), "tokens may live 121s"),
        ("no limit of life", BOUND.replace(r#""ttl_max":120,"#, ""), "any number"),
        ("another tool", BOUND.replace(r#"{"tool":"read"}"#, r#"{"tool":"rm"}"#), "reaches `rm`"),
        ("another action", BOUND.replace(r#""b""#, r#""c""#), "the action `c`"),
        ("all actions", BOUND.replace(r#""actions":["a","b"],"#, ""), "the action of any kind"),
        ("more calls", BOUND.replace(r#""calls_max":3"#, r#""calls_max":4"#), "4 calls"),
        ("any number of calls", BOUND.replace(r#""calls_max":3,"#, ""), "any number calls"),
        ("another value", BOUND.replace(r#""y""#, r#""z""#), "the value `z`"),
        ("any value", BOUND.replace(r#","values":["x","y"]"#, ""), "the value of any kind"),
        ("a sink left out", BOUND.replace(r#"{"sink":"to","values":["x","y"]},"#, ""), "the value of any kind"),
        ("more in one call", BOUND.replace(r#""per_call_max":"50""#, r#""per_call_max":"50.01""#), "50.01 in one call"),
        ("more in total", BOUND.replace(r#","total_max":"100""#, ""), "in total"),
    ];
    for (name, text, expected) in rows {
        let ways = beyond(Some(&ceiling(&text)), Some(&bound));
        assert!(ways.len() == 1 && ways.iter().all(|w| w.contains(expected)), "{name}: {ways:?}");
    }
}

fn any_tool() -> impl Strategy<Value = ToolCeiling> {
    let list =
        || prop::collection::vec(prop::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]), 0..3);
    let cap = || prop::option::of(1_u32..4);
    let sink = (list(), cap(), cap()).prop_map(|(values, one, all)| SinkCeiling {
        sink: "s".to_owned(),
        values,
        per_call_max: one.map(|n| n.to_string().parse().unwrap()),
        total_max: all.map(|n| n.to_string().parse().unwrap()),
    });
    let name = prop::sample::select(vec!["t", "u"]);
    (name, list(), list(), prop::option::of(sink), cap()).prop_map(|(tool, actions, resources, sink, calls_max)| {
        ToolCeiling { tool: tool.parse().unwrap(), actions, resources, sinks: sink.into_iter().collect(), calls_max }
    })
}

fn any_ceiling() -> impl Strategy<Value = Ceiling> {
    let life = prop::option::of(60_u64..63).prop_map(|secs| secs.map(|secs| Ttl::from_secs(secs).unwrap()));
    (prop::collection::vec(any_tool(), 0..3), life).prop_map(|(mut tools, ttl_max)| {
        tools.sort_by(|a, b| a.tool.cmp(&b.tool));
        tools.dedup_by(|a, b| a.tool == b.tool);
        Ceiling { tools, ttl_max }
    })
}

/// True when every value and every amount that `ground` grounds `of` does as well.
fn grounds_no_more(ground: &Ceiling, of: &Ceiling) -> bool {
    let sinks = ground.tools.iter().flat_map(|tool| tool.sinks.iter().map(move |sink| (&tool.tool, sink)));
    sinks.filter(|(_, sink)| !sink.values.is_empty() || sink.per_call_max.is_some()).all(|(tool, sink)| {
        let Some(of) = of.tool(tool).and_then(|limits| limits.sink(&sink.sink)) else { return false };
        sink.values.iter().all(|value| of.values.contains(value))
            && sink.per_call_max.is_none_or(|most| of.per_call_max.is_some_and(|of| most <= of))
    })
}

proptest! {
    #[test]
    fn what_is_within_what_is_within_is_within(a in any_ceiling(), b in any_ceiling(), c in any_ceiling()) {
        if beyond(Some(&a), Some(&b)).is_empty() && beyond(Some(&b), Some(&c)).is_empty() {
            prop_assert_eq!(beyond(Some(&a), Some(&c)), Vec::<String>::new());
        }
        prop_assert!(beyond(Some(&a), Some(&a)).is_empty());
    }

    #[test]
    fn what_is_left_of_what_is_taken_back_is_no_more_than_there_was(now in any_ceiling(), before in any_ceiling()) {
        let left = taken_back(&now, &before);
        prop_assert_eq!(beyond(Some(&left), Some(&before)), Vec::<String>::new());
        prop_assert_eq!(beyond(Some(&left), Some(&now)), Vec::<String>::new(), "nothing that was limited since");
        // What was within it stays as it was.
        if beyond(Some(&now), Some(&before)).is_empty() {
            prop_assert_eq!(beyond(Some(&now), Some(&left)), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_taken_back_grounds_only_what_was_ground_before_and_is_so_now(
        now in any_ceiling(), before in any_ceiling(), earlier in any_ceiling()
    ) {
        let left = taken_back(&now, &before);
        let ground = still_ground(&left, &now, &before);
        for of in [&left, &now, &before] {
            prop_assert!(grounds_no_more(&ground, of), "{:?}", ground);
        }
        // Once more, of what is less than the ceiling already.
        let less = taken_back(&left, &earlier);
        let ground_less = still_ground(&less, &ground, &earlier);
        for of in [&less, &ground, &earlier] {
            prop_assert!(grounds_no_more(&ground_less, of), "{:?}", ground_less);
        }
        // What nothing was taken from grounds what it did.
        prop_assert!(grounds_no_more(&now, &still_ground(&now, &now, &now)));
    }

    #[test]
    fn what_adds_nothing_in_words_adds_nothing_that_is_known_again(
        asked in any_ceiling(), own in prop::option::of(any_ceiling()), of_root in any::<bool>()
    ) {
        let declared = of_root.then_some(own.as_ref());
        let known = added(Added { asked: &asked, own: own.as_ref(), ground: declared }, |_, _| SinkKind::Other);
        let mut told = beyond(Some(&asked), own.as_ref());
        told.extend(declared.map(|declared| grounds(&asked, declared)).into_iter().flatten());
        let declares = declared == Some(None) && !asked.tools.is_empty();
        prop_assert_eq!(known.is_empty(), told.is_empty() && !declares);
    }
}

#[test]
fn what_a_ceiling_grounds_is_values_and_amounts_of_one_call() {
    let declared = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"memo","values":["m"]}]}]}"#);
    for (sink, expected) in [
        (r#"{"sink":"amount","total_max":"100"}"#, false),
        (r#"{"sink":"amount","per_call_max":"50","total_max":"100"}"#, true),
        (r#"{"sink":"to","values":["x"]}"#, true),
        (r#"{"sink":"memo","values":["m"],"total_max":"1"}"#, false),
        (r#"{"sink":"memo","values":["m"],"per_call_max":"1"}"#, true),
    ] {
        let asked = ceiling(&format!(r#"{{"tools":[{{"tool":"pay","sinks":[{sink}]}}]}}"#));
        assert_eq!(!grounds(&asked, Some(&declared)).is_empty(), expected, "{sink}");
    }
}

#[test]
fn what_is_taken_back_leaves_what_both_allow() {
    let before = ceiling(BOUND);
    let now = ceiling(
        r#"{"ttl_max":300,"tools":[{"tool":"pay","actions":["b","c"],"calls_max":9,"sinks":[
        {"sink":"to","values":["y","z"]},{"sink":"amount","per_call_max":"80"},{"sink":"memo","values":["m"]}]},
        {"tool":"read","resources":["r"]},{"tool":"rm"}]}"#,
    );
    let left = ceiling(
        r#"{"ttl_max":120,"tools":[{"tool":"pay","actions":["b"],"calls_max":3,"sinks":[
        {"sink":"to","values":["y"]},{"sink":"amount","per_call_max":"50","total_max":"100"},
        {"sink":"memo","values":["m"]}]},{"tool":"read","resources":["r"]}]}"#,
    );
    assert_eq!(taken_back(&now, &before), left, "whoever limited the memo");
    let ground = ceiling(
        r#"{"tools":[{"tool":"pay","sinks":[{"sink":"to","values":["y"]},{"sink":"amount","per_call_max":"50"}]}]}"#,
    );
    assert_eq!(still_ground(&left, &now, &before), ground, "the memo was no ground before");
    let (z, none): (_, [String; 0]) = (named_no_more([&now], Some(&ground)), []);
    assert_eq!((z, named_no_more([&left], None).len()), (vec!["m".to_owned(), "z".to_owned()], 2));
    assert_eq!(named_no_more([&ground], Some(&ground)), none);
    // An empty list would allow everything.
    let elsewhere = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"to","values":["z"]}]},{"tool":"read"}]}"#);
    let tools: Vec<_> = taken_back(&elsewhere, &before).tools.into_iter().map(|tool| tool.tool.to_string()).collect();
    assert_eq!(tools, ["read"]);
}

#[test]
fn what_is_added_is_known_again_however_it_is_spelled() {
    let own = ceiling(
        r#"{"tools":[{"tool":"pay","calls_max":1,"sinks":[{"sink":"to","values":["ann@corp.test"]},
        {"sink":"amount","per_call_max":"50"}]}]}"#,
    );
    let known = |text: &str, own: Option<&Ceiling>| {
        let kind = |_: &ToolName, sink: &str| if sink == "to" { SinkKind::Address } else { SinkKind::Amount };
        added(Added { asked: &ceiling(text), own, ground: Some(own) }, kind)
    };
    let asks = |to: &str, most: u32, calls: u32| {
        format!(
            r#"{{"tools":[{{"tool":"pay","calls_max":{calls},"sinks":[{{"sink":"to","values":["ann@corp.test","{to}"]}},
            {{"sink":"amount","per_call_max":"{most}"}}]}}]}}"#
        )
    };
    let known_of = |text: String| known(&text, Some(&own));
    let first = known_of(asks("eve@evil.test", 60, 2));
    assert_eq!(first.len(), 3, "{first:?}");
    assert_eq!(known_of(asks(" eve@EVIL.test", 61, 3)), first, "the same with other letters and other numbers");
    assert!(known_of(asks("Eve@evil.test", 50, 1)).is_disjoint(&first), "local parts are told apart");
    // A first ceiling is what it names.
    let names = |to: &str| {
        let text =
            format!(r#"{{"tools":[{{"tool":"mail","sinks":[{{"sink":"to","values":["{to}"]}}]}},{{"tool":"read"}}]}}"#);
        known(&text, None)
    };
    let (eve, bob) = (names("eve@evil.test"), names("bob@corp.test"));
    let both: Vec<_> = eve.intersection(&bob).collect();
    assert_eq!(both, [&["declares".to_owned(), "read".to_owned()]]);
    assert_eq!((eve.len(), bob.len()), (2, 2));
    assert!(known(r#"{"tools":[{"tool":"mail"}]}"#, None).is_disjoint(&eve), "naming nobody is something else");
}
