//! Nothing widens unseen.

use proptest::prelude::*;

use super::*;
use crate::intent::ceiling::fit;
use crate::intent::usage::Usage;
use crate::model::access::Access;
use crate::model::ceiling::CeilingFit;
use crate::model::id::DataClass;
use crate::model::json::Json;
use crate::model::pattern::ResourcePattern;
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

#[test]
fn the_tools_of_which_more_is_asked_are_told() {
    let bound = ceiling(BOUND);
    let of = |text: &str, before: Option<&Ceiling>| {
        gaining(&ceiling(text), before, before).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    for (name, text, expected) in [
        ("the same", BOUND.to_owned(), &none[..]),
        ("less", BOUND.replace(r#","sinks":["#, r#","resources":["r"],"sinks":["#), &none),
        ("more of one", BOUND.replace(r#""calls_max":3"#, r#""calls_max":4"#), &["pay"]),
        ("another tool", BOUND.replace(r#"{"tool":"read"}"#, r#"{"tool":"rm"}"#), &["rm"]),
        (
            "a value that would be ground",
            BOUND.replace(r#"{"tool":"read"}"#, r#"{"tool":"read","sinks":[{"sink":"id","values":["7"]}]}"#),
            &["read"],
        ),
        ("tokens that live longer", BOUND.replace("120", "121"), &["pay", "read"]),
    ] {
        assert_eq!(of(&text, Some(&bound)), expected, "{name}");
    }
    assert_eq!(of(BOUND, None), ["pay", "read"], "without a ceiling before, all of it is new ground");
    // What bounds already and is no ground is gained by naming it again.
    let ground = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"amount","per_call_max":"50"}]}]}"#);
    let gained: Vec<_> = gaining(&bound, Some(&bound), Some(&ground)).iter().map(ToString::to_string).collect();
    assert_eq!(gained, ["pay"]);
}

/// Values and patterns of which some hold others.
const NAMES: [&str; 6] = ["x@a.test", "x@A.test", "x@b.a.test", "x@c.b.a.test", "x@evil-a.test", "a"];
const SETS: [&str; 5] = [
    r#"{"domain":"*.a.test"}"#,
    r#"{"domain":"a.test"}"#,
    r#"{"domain":"*.b.a.test"}"#,
    r#"{"path_prefix":"a"}"#,
    r#"{"account_set":"s"}"#,
];
const PLACES: [&str; 5] = ["p/a", "p/b", "p/a/b", "p/a/../b", "p-evil/a"];
const REACHES: [&str; 5] = ["p/a", "p/*", "p/**", "p/a/*", "p/a/**"];

fn some_of<T: Clone + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(prop::sample::select(all), 0..3)
}

fn any_tool() -> impl Strategy<Value = ToolCeiling> {
    let texts = |all: &[&str]| some_of(all.iter().map(|text| (*text).to_owned()).collect());
    let cap = || prop::option::of(1_u32..4);
    let patterns =
        || some_of(SETS.iter().map(|text| serde_json::from_str(text).unwrap()).collect::<Vec<SinkPattern>>());
    let sink = (texts(&NAMES), patterns(), cap(), cap()).prop_map(|(values, patterns, one, all)| SinkCeiling {
        sink: "s".to_owned(),
        values,
        patterns,
        per_call_max: one.map(|n| n.to_string().parse().unwrap()),
        total_max: all.map(|n| n.to_string().parse().unwrap()),
    });
    let name = prop::sample::select(vec!["t", "u"]);
    let places =
        (texts(&PLACES), some_of(REACHES.iter().map(|text| text.parse::<ResourcePattern>().unwrap()).collect()));
    (name, texts(&["a", "b", "c"]), places, prop::option::of(sink), cap()).prop_map(
        |(tool, actions, (resources, resource_patterns), sink, calls_max)| ToolCeiling {
            actions,
            resources,
            resource_patterns,
            sinks: sink.into_iter().collect(),
            calls_max,
            ..ToolCeiling::of(tool.parse().unwrap())
        },
    )
}

fn any_ceiling() -> impl Strategy<Value = Ceiling> {
    let life = prop::option::of(60_u64..63).prop_map(|secs| secs.map(|secs| Ttl::from_secs(secs).unwrap()));
    let classes = some_of(["pii", "internal"].iter().map(|class| class.parse::<DataClass>().unwrap()).collect());
    (prop::collection::vec(any_tool(), 0..3), life, classes).prop_map(|(mut tools, ttl_max, data_classes)| {
        tools.sort_by(|a, b| a.tool.cmp(&b.tool));
        tools.dedup_by(|a, b| a.tool == b.tool);
        Ceiling { tools, ttl_max, data_classes }
    })
}

/// True when every value and every amount that `ground` grounds `of` does as well.
fn grounds_no_more(ground: &Ceiling, of: &Ceiling) -> bool {
    let sinks = ground.tools.iter().flat_map(|tool| tool.sinks.iter().map(move |sink| (&tool.tool, sink)));
    sinks.filter(|(_, sink)| sink.limits_values() || sink.per_call_max.is_some()).all(|(tool, sink)| {
        let Some(of) = of.tool(tool).and_then(|limits| limits.sink(&sink.sink)) else { return false };
        let all = Allowed::values(Some(of));
        let all = all.looked_up();
        sink.values.iter().all(|value| all.lets(value))
            && sink.patterns.iter().all(|pattern| all.has(pattern))
            && sink.per_call_max.is_none_or(|most| of.per_call_max.is_some_and(|of| most <= of))
    })
}

/// A catalogue in which `s` of both tools is an address.
fn catalogue() -> Catalogue {
    let tool = |name: &str| {
        format!(
            "[tools.{name}]\ndescription = \"d\"\neffect = \"send\"\nprivilege = 1\nactions = [\"a\", \"b\", \"c\"]\n\
             sinks = {{ s = \"address\" }}\n"
        )
    };
    Catalogue::parse(&format!("[account_sets]\ns = [\"x@a.test\"]\n{}{}", tool("t"), tool("u"))).unwrap()
}

/// Whether a ceiling lets in that access.
fn lets_in(ceiling: &Ceiling, access: &Access) -> bool {
    let catalogue = catalogue();
    let within = fit(access, catalogue.tool(&access.tool), (&[ceiling], &catalogue), true, &Usage::default(), 2);
    within.unwrap() == CeilingFit::Within
}

fn any_access() -> impl Strategy<Value = Access> {
    let texts = |all: &'static [&'static str]| prop::sample::select(all.to_vec());
    let resources = prop::option::of(texts(&PLACES));
    let class = prop::option::of(texts(&["pii", "internal", "other"]));
    (texts(&["t", "u"]), texts(&["a", "b"]), resources, texts(&NAMES), class).prop_map(
        |(tool, action, resource, value, class)| Access {
            tool: tool.parse().unwrap(),
            actions: vec![action.to_owned()],
            resources: resource.into_iter().map(str::to_owned).collect(),
            arguments: Json::parse(&format!(r#"{{"s":"{value}"}}"#), 1000).unwrap(),
            data_classes: class.into_iter().map(|class| class.parse().unwrap()).collect(),
        },
    )
}

/// Without caps of amounts, which would make values numbers.
fn uncapped(mut ceiling: Ceiling) -> Ceiling {
    for sink in ceiling.tools.iter_mut().flat_map(|tool| &mut tool.sinks) {
        (sink.per_call_max, sink.total_max) = (None, None);
    }
    ceiling
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
    fn what_the_smaller_lets_in_the_larger_lets_in(a in any_ceiling(), b in any_ceiling(), access in any_access()) {
        let (a, b) = (uncapped(a), uncapped(b));
        let left = taken_back(&a, &b);
        prop_assert!(!lets_in(&left, &access) || lets_in(&a, &access) && lets_in(&b, &access), "taken back: {left:?}");
        for (small, large) in [(&a, &b), (&left, &b)] {
            if beyond_by_keys(Some(small), Some(large), &catalogue()).is_empty() {
                prop_assert!(!lets_in(small, &access) || lets_in(large, &access), "{small:?} {large:?}");
            }
        }
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
        let by_key = |ceiling: &Ceiling| keyed(ceiling, &catalogue());
        let (key_asked, key_own) = (by_key(&asked), own.as_ref().map(by_key));
        let known = added(Added { asked: &key_asked, own: key_own.as_ref(), ground: declared });
        let mut told = beyond_by_keys(Some(&asked), own.as_ref(), &catalogue());
        told.extend(declared.map(|declared| grounds(&asked, declared)).into_iter().flatten());
        let declares = declared == Some(None) && !asked.tools.is_empty();
        prop_assert_eq!(known.is_empty(), told.is_empty() && !declares);
    }
}

#[test]
fn patterns_are_held_against_patterns() {
    let of = |to: &str| ceiling(&format!(r#"{{"tools":[{{"tool":"mail","sinks":[{{"sink":"to",{to}}}]}}]}}"#));
    let rows = [
        (r#""patterns":[{"domain":"*.eu.acme.test"}]"#, r#""patterns":[{"domain":"*.acme.test"}]"#, ""),
        (r#""values":["b@eu.acme.test"]"#, r#""patterns":[{"domain":"*.acme.test"}]"#, ""),
        (
            r#""patterns":[{"domain":"*.acme.test"}]"#,
            r#""patterns":[{"domain":"*.eu.acme.test"}]"#,
            "allows `to` of `mail` the domain `*.acme.test`",
        ),
        (
            r#""patterns":[{"domain":"acme.test"}]"#,
            r#""values":["b@acme.test"]"#,
            "allows `to` of `mail` the domain `acme.test`",
        ),
        (
            r#""values":["b@evil-acme.test"]"#,
            r#""patterns":[{"domain":"*.acme.test"}]"#,
            "allows `to` of `mail` the value `b@evil-acme.test`",
        ),
        (
            r#""values":["b@acme.test"]"#,
            r#""patterns":[{"account_set":"team"}]"#,
            "allows `to` of `mail` the value `b@acme.test`",
        ),
        (
            r#""per_call_max":"1""#,
            r#""patterns":[{"domain":"acme.test"}]"#,
            "allows `to` of `mail` the value of any kind",
        ),
    ];
    for (asked, bound, expected) in rows {
        let ways = beyond(Some(&of(asked)), Some(&of(bound)));
        assert_eq!(ways.join("; "), expected, "{asked} {bound}");
    }
    let of = |rest: &str| ceiling(&format!(r#"{{"data_classes":["a","b"],"tools":[{{"tool":"read",{rest}}}]}}"#));
    let bound = of(r#""resources":["q"],"resource_patterns":["p/**"]"#);
    assert_eq!(
        beyond(Some(&of(r#""resources":["p/1","q"],"resource_patterns":["p/a/*","q"]"#)), Some(&bound)),
        [""; 0]
    );
    let more = of(r#""resources":["p-evil/1"],"resource_patterns":["x/**"]"#);
    let told = ["allows `read` the resource `p-evil/1`", "allows `read` the resources `x/**`"];
    assert_eq!(beyond(Some(&more), Some(&bound)), told);
    let classes = |list: &str| Ceiling { data_classes: serde_json::from_str(list).unwrap(), ..bound.clone() };
    assert_eq!(beyond(Some(&classes(r#"["a","c"]"#)), Some(&bound)), ["touches data of class `c`"]);
    assert_eq!(beyond(Some(&classes("[]")), Some(&bound)), ["touches data of any class"]);
    let left = taken_back(&classes(r#"["c"]"#), &bound);
    assert!(left.tools.is_empty(), "nothing is both");
}

#[test]
fn values_that_are_the_same_to_a_sink_are_no_more() {
    let of = |to: &str| ceiling(&format!(r#"{{"tools":[{{"tool":"t","sinks":[{{"sink":"s","values":[{to}]}}]}}]}}"#));
    let (two, one) = (of(r#""bob@ACME.test","al@acme.test""#), of(r#"" bob@acme.test""#));
    assert_eq!(beyond_by_keys(Some(&one), Some(&two), &catalogue()), [""; 0]);
    assert_eq!(beyond_by_keys(Some(&two), Some(&one), &catalogue()), ["allows `s` of `t` the value `al@acme.test`"]);
    let (ports, host) = (
        r#"{"tools":[{"tool":"u","sinks":[{"sink":"url","values":["https://h.test:443:443/x"]}]}]}"#,
        r#"{"tools":[{"tool":"u","sinks":[{"sink":"url","patterns":[{"host":"h.test"}]}]}]}"#,
    );
    let urls = "[tools.u]\ndescription = \"d\"\neffect = \"send\"\nprivilege = 1\nsinks = { url = \"url\" }\n";
    let urls = Catalogue::parse(urls).unwrap();
    assert_eq!(
        beyond_by_keys(Some(&ceiling(ports)), Some(&ceiling(host)), &urls).len(),
        1,
        "what the host does not hold"
    );
    let other = of(r#""BOB@acme.test""#);
    assert_eq!(beyond_by_keys(Some(&other), Some(&two), &catalogue()).len(), 1, "local parts may differ by case");
}

#[test]
fn what_a_ceiling_grounds_is_values_and_amounts_of_one_call() {
    let declared = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"memo","values":["m"]}]}]}"#);
    for (sink, expected) in [
        (r#"{"sink":"amount","total_max":"100"}"#, false),
        (r#"{"sink":"amount","per_call_max":"50","total_max":"100"}"#, true),
        (r#"{"sink":"to","values":["x"]}"#, true),
        (r#"{"sink":"to","patterns":[{"domain":"x.test"}]}"#, true),
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
    let kinds = Catalogue::parse(
        "[tools.pay]\ndescription = \"d\"\neffect = \"spend\"\nprivilege = 1\nsinks = { to = \"address\", amount = \"amount\" }\n\
         [tools.mail]\ndescription = \"d\"\neffect = \"send\"\nprivilege = 1\nsinks = { to = \"address\" }\n",
    )
    .unwrap();
    let known = |text: &str, own: Option<&Ceiling>| {
        let (asked, own) = (keyed(&ceiling(text), &kinds), own.map(|own| keyed(own, &kinds)));
        let things = added(Added { asked: &asked, own: own.as_ref(), ground: Some(own.as_ref()) });
        things.into_keys().collect::<BTreeSet<_>>()
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
    let of = |pattern: &str| {
        let patterns = r#"{"tools":[{"tool":"mail","sinks":[{"sink":"to","patterns":[{"domain":"P"}]}]}]}"#;
        known(&patterns.replace('P', pattern), None)
    };
    assert_eq!(of("*.EVIL.test"), of("*.evil.test"));
    assert!(of("evil.test").is_disjoint(&of("*.evil.test")) && of("evil.test").is_disjoint(&eve));
}
