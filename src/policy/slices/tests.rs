//! Slices leave out nothing that could match: a sliced bundle answers as Cedar does over all policies at once.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Authorizer, Context, Effect as CedarEffect, Entity, PolicySet};
use proptest::prelude::*;

use super::*;
use crate::model::access::Effect;
use crate::policy::rules::{self, Rule};
use crate::policy::schema;

const CATALOGUE: &str = r#"
[tools.a]
description = "reads"
effect = "read"
privilege = 1
owner = "o1"
audience = "aud1"
[tools.b]
description = "reads too"
effect = "read"
privilege = 1
owner = "o2"
audience = "aud1"
[tools.c]
description = "sends"
effect = "send"
privilege = 1
owner = "o1"
"#;

fn scopes() -> (Vec<&'static str>, Vec<&'static str>, Vec<&'static str>) {
    let principals = vec![
        "principal",
        "principal is Carnet::Agent",
        "principal is Carnet::ServiceAccount",
        "principal == Carnet::Agent::\"spiffe://td/x\"",
        "principal in Carnet::Owner::\"team\"",
        "principal is Carnet::Agent in Carnet::TrustDomain::\"td\"",
        "principal in Carnet::TrustDomain::\"elsewhere\"",
        "principal == Carnet::Owner::\"team\"",
        "principal is Carnet::ServiceAccount in Carnet::Owner::\"team\"",
    ];
    let actions = vec![
        "action",
        "action == Carnet::Action::\"read\"",
        "action in Carnet::Action::\"use\"",
        "action in Carnet::Action::\"effectful\"",
        "action in [Carnet::Action::\"read\", Carnet::Action::\"send\"]",
        "action == Carnet::Action::\"register_task\"",
    ];
    let resources = vec![
        "resource",
        "resource is Carnet::Tool",
        "resource is Carnet::Task",
        "resource == Carnet::Tool::\"a\"",
        "resource in Carnet::Owner::\"o1\"",
        "resource is Carnet::Tool in Carnet::Audience::\"aud1\"",
        "resource == Carnet::Owner::\"o1\"",
        "resource is Carnet::Task in Carnet::Owner::\"o1\"",
        "resource in Carnet::Task::\"task_1\"",
        "resource == Carnet::Task::\"task_2\"",
    ];
    (principals, actions, resources)
}

fn rules_of(picks: &[(usize, usize, usize, bool)]) -> Vec<Rule> {
    let (principals, actions, resources) = scopes();
    let mut problems = Vec::new();
    let text: String = picks
        .iter()
        .enumerate()
        .map(|(n, (p, a, r, permit))| {
            let head = if *permit { "permit" } else { "@reason(\"FORBIDDEN\") forbid" };
            format!("@id(\"p{n}\") {head} ({}, {}, {});\n", principals[*p], actions[*a], resources[*r])
        })
        .collect();
    let rules = rules::read("x.cedar", &text, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    rules
}

fn ids(set: &PolicySet, request: &Request, entities: &Entities) -> Vec<String> {
    let response = Authorizer::new().is_authorized(request, set, entities);
    let sorted: BTreeSet<_> = response.diagnostics().reason().map(ToString::to_string).collect();
    sorted.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_sliced_bundle_answers_as_the_whole_would(
        picks in prop::collection::vec((0_usize..9, 0_usize..6, 0_usize..10, any::<bool>()), 1..20),
        class in prop::sample::select(vec![IdentityClass::AiAgent, IdentityClass::ServiceAccount]),
        who in prop::sample::select(vec!["spiffe://td/x", "spiffe://td/y", "spiffe://elsewhere/x"]),
        owned in any::<bool>(),
        what in prop::sample::select(vec![Some("a"), Some("b"), Some("c"), None]),
    ) {
        let types = Types::new();
        let schema = schema::read(schema::SHIPPED).unwrap();
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let rules = rules_of(&picks);
        let slices = Slices::new(&rules, &schema, &catalogue, &types);

        let tool = what.map(|name| catalogue.tool(&name.parse().unwrap()).unwrap());
        let action = tool.map_or(Action::Register, |t| Action::Use(t.effect));
        let kind = Kind::of_class(class).unwrap();
        let domain = if who.contains("elsewhere") { "elsewhere" } else { "td" };
        let mut principals = vec![types.uid(kind, who), types.uid(Kind::TrustDomain, domain)];
        if owned {
            principals.push(types.uid(Kind::Owner, "team"));
        }
        let own = Entity::new_no_attrs(principals[0].clone(), principals[1..].iter().cloned().collect());
        let store = schema.action_entities().unwrap();
        let store = store.add_entities([own].into_iter().chain(tool.map(|t| types.tool_entity(t).unwrap())), None).unwrap();
        let resource = tool.map_or(types.uid(Kind::Task, "task_1"), |t| types.uid(Kind::Tool, t.name.as_str()));
        let request = Request::new(principals[0].clone(), types.action(action), resource, Context::empty(), None).unwrap();
        let name = tool.map(|t| t.name.clone());
        // Groups are handed in, and stand in the store, only where the slices say that a policy names one.
        let plain = schema.action_entities().unwrap();
        let plain = plain.add_entities(tool.map(|t| types.tool_entity(t).unwrap()), None).unwrap();
        let (asked, entities) = if slices.principal_groups { (&principals[..], &store) } else { (&principals[..1], &plain) };
        let query = Query { action, class, principals: asked, tool: name.as_ref(), request: &request, entities };
        let answer = slices.evaluate(&query);

        let of = |effect| {
            let matching = rules.iter().filter(|r| r.cedar.effect() == effect).map(|r| r.cedar.clone());
            PolicySet::from_policies(matching).unwrap()
        };
        prop_assert_eq!(answer.permits, ids(&of(CedarEffect::Permit), &request, &store));
        prop_assert_eq!(answer.forbids, ids(&of(CedarEffect::Forbid), &request, &store));
        prop_assert!(answer.failed.is_empty());
    }
}

/// Conditions that hold, that do not, and that fail: on a missing member, on a number that grows too large, on a wrong type.
const CONDITIONS: [&str; 10] = [
    "when { context.n > 2 }",
    "unless { context.words.containsAny([\"a\", \"b\"]) }",
    "when { context.record.flag && context.n == 3 }",
    "when { context.missing == 1 }",
    "when { context.record has other && context.record.other }",
    "when { context.amount.lessThan(decimal(\"2.5\")) }",
    "when { context.tools.contains(Carnet::Tool::\"a\") }",
    "when { context.n + 9223372036854775807 > 0 }",
    "when { resource.privilege == 1 } unless { context.record.flag }",
    "when { context.words }",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn conditions_are_answered_as_cedar_s_authorizer_answers_them(
        picks in prop::collection::vec((0..CONDITIONS.len(), any::<bool>()), 1..12),
        n in 0_i64..4,
        words in prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c"]), 0..3),
        flag in any::<bool>(),
        units in 0_i64..50_000,
        tools in prop::collection::btree_set(prop::sample::select(vec!["a", "b"]), 0..3),
    ) {
        use crate::policy::context;
        let types = Types::new();
        let (schema, catalogue) = (schema::read(schema::SHIPPED).unwrap(), Catalogue::parse(CATALOGUE).unwrap());
        let text: String = picks.iter().enumerate().map(|(i, (condition, permit))| {
            let head = if *permit { "permit" } else { "@reason(\"FORBIDDEN\") forbid" };
            format!("@id(\"p{i}\") {head} (principal, action, resource) {};\n", CONDITIONS[*condition])
        }).collect();
        let mut problems = Vec::new();
        let rules = rules::read("x.cedar", &text, &mut problems);
        prop_assert!(problems.is_empty(), "{:?}", problems);

        let uids = tools.iter().map(|t| types.uid(Kind::Tool, t));
        let ours = context::context([
            ("n", context::long(n.unsigned_abs())),
            ("words", context::texts(words.iter().copied())),
            ("record", cedar_policy_core::ast::Value::record([("flag", context::flag(flag))], None)),
            ("amount", context::decimal(units).unwrap()),
            ("tools", cedar_policy_core::ast::Value::set(uids.map(|u| cedar_policy_core::ast::EntityUID::from(u).into()), None)),
        ]);
        let entity = |t: &&str| serde_json::json!({ "__entity": { "type": "Carnet::Tool", "id": t } });
        let theirs = serde_json::json!({
            "n": n,
            "words": words,
            "record": { "flag": flag },
            "amount": { "__extn": { "fn": "decimal", "arg": context::written(units) } },
            "tools": tools.iter().map(entity).collect::<Vec<_>>(),
        });
        let (principal, action) = (types.uid(Kind::Agent, "spiffe://td/x"), Action::Use(Effect::Read));
        let request = |context| {
            let resource = types.uid(Kind::Tool, "a");
            Request::new(principal.clone(), types.action(action), resource, context, None).unwrap()
        };
        let tool: ToolName = "a".parse().unwrap();
        let store = schema.action_entities().unwrap();
        let store = store.add_entities([types.tool_entity(catalogue.tool(&tool).unwrap()).unwrap()], None).unwrap();
        let slices = Slices::new(&rules, &schema, &catalogue, &types);
        let principals = [principal.clone()];
        let ours = request(ours.into());
        let class = IdentityClass::AiAgent;
        let query = Query { action, class, principals: &principals, tool: Some(&tool), request: &ours, entities: &store };
        let answer = slices.evaluate(&query);

        let theirs = request(Context::from_json_value(theirs, None).unwrap());
        let mut failed = BTreeSet::new();
        for (effect, applying) in [(CedarEffect::Permit, &answer.permits), (CedarEffect::Forbid, &answer.forbids)] {
            let matching = rules.iter().filter(|r| r.cedar.effect() == effect).map(|r| r.cedar.clone());
            let response = Authorizer::new().is_authorized(&theirs, &PolicySet::from_policies(matching).unwrap(), &store);
            let applied: BTreeSet<_> = response.diagnostics().reason().map(ToString::to_string).collect();
            prop_assert_eq!(applying, &applied.into_iter().collect::<Vec<_>>());
            failed.extend(response.diagnostics().errors().map(|error| match error {
                AuthorizationError::PolicyEvaluationError(e) => e.policy_id().to_string(),
            }));
        }
        prop_assert_eq!(answer.failed, failed.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_scope_about_one_tool_is_not_evaluated_for_another() {
    let rules = rules_of(&[(0, 0, 3, false), (0, 1, 0, true), (3, 0, 0, false)]);
    let schema = schema::read(schema::SHIPPED).unwrap();
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    let slices = Slices::new(&rules, &schema, &catalogue, &Types::new());
    let branch = &slices.by_class[&(IdentityClass::AiAgent, Action::Use(Effect::Read))];
    assert_eq!(branch.any.permits.len(), 1);
    assert_eq!(branch.any.forbids.len(), 0, "the one about a principal stands apart");
    assert_eq!(branch.by_tool.len(), 1);
    let send = slices.by_class.get(&(IdentityClass::AiAgent, Action::Use(Effect::Send)));
    assert!(send.is_none_or(|b| b.any.permits.is_empty() && b.by_tool.is_empty()));
    assert!(!slices.principal_groups);
}

#[test]
fn what_one_decision_evaluates_does_not_grow_with_the_bundle() {
    let schema = schema::read(schema::SHIPPED).unwrap();
    let types = Types::new();
    let mut catalogue = String::new();
    for n in 0..100 {
        catalogue += &format!("[tools.t{n}]\ndescription = \"\"\neffect = \"send\"\nprivilege = 1\nowner = \"o\"\n");
    }
    let catalogue = Catalogue::parse(&catalogue).unwrap();
    for policies in [20, 200, 2000] {
        let mut text = "@id(\"p0\") permit (principal, action in Carnet::Action::\"use\", resource);\n".to_owned();
        for n in 1..policies {
            let scope = match n {
                n if n < 16 => "principal, action, resource".to_owned(),
                n if n % 4 == 0 => format!("principal == Carnet::Agent::\"spiffe://td/a{n}\", action, resource"),
                n => format!("principal, action, resource == Carnet::Tool::\"t{}\"", n % 100),
            };
            text += &format!("@id(\"p{n}\") @reason(\"FORBIDDEN\") forbid ({scope});\n");
        }
        let mut problems = Vec::new();
        let rules = rules::read("x.cedar", &text, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let slices = Slices::new(&rules, &schema, &catalogue, &types);

        let principals = [types.uid(Kind::Agent, "spiffe://td/a16")];
        let tool: ToolName = "t17".parse().unwrap();
        let action = Action::Use(Effect::Send);
        let cells = slices.cells(IdentityClass::AiAgent, action, &principals, Some(&tool));
        let evaluated: usize = cells.map(|c| c.permits.len() + c.forbids.len()).sum();
        assert!((16..=40).contains(&evaluated), "{policies} policies: {evaluated} are evaluated");
    }
}
