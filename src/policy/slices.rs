//! The policies of a bundle, cut up when it is loaded, so that a decision evaluates only those whose scope can match:
//! by action, by the class of the principal or the entity that it is or belongs to, and by tool. Where a slice holds less
//! than a scope says, Cedar checks the scope, too.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityUid, Policy, PrincipalConstraint, Request, ResourceConstraint, Schema,
};
use cedar_policy_core::ast::{Expr, Literal, SlotEnv, ValueKind};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use super::names::{Action, Kind, Types};
use super::rules::Rule;
use crate::catalogue::tool::Catalogue;
use crate::model::id::ToolName;
use crate::model::identity::IdentityClass;

/// Every policy where it may match.
#[derive(Debug, Default)]
pub(in crate::policy) struct Slices {
    by_class: HashMap<(IdentityClass, Action), Branch>,
    by_entity: HashMap<EntityUid, HashMap<Action, Branch>>,
    /// True when a policy names a group of principals, so that principals must be in the entity store.
    pub(in crate::policy) principal_groups: bool,
}

/// The policies of one action and principal.
#[derive(Debug, Default)]
struct Branch {
    any: Cell,
    by_tool: HashMap<ToolName, Cell>,
}

/// The policies of one branch that match one tool, or any.
#[derive(Debug, Default)]
struct Cell {
    permits: Vec<Condition>,
    forbids: Vec<Condition>,
}

/// What is left to be evaluated of a policy in its cell.
#[derive(Debug, Clone)]
struct Condition {
    id: String,
    /// Its conditions, with its scope before them where that can fail in the cell; `None` when it applies there in any case.
    holds: Option<Arc<Expr>>,
}

/// What is asked of the slices.
pub(in crate::policy) struct Query<'a> {
    pub(in crate::policy) action: Action,
    pub(in crate::policy) class: IdentityClass,
    /// The principal and the groups that it belongs to.
    pub(in crate::policy) principals: &'a [EntityUid],
    pub(in crate::policy) tool: Option<&'a ToolName>,
    pub(in crate::policy) request: &'a Request,
    pub(in crate::policy) entities: &'a Entities,
}

/// The ids of the policies that apply, and of those whose evaluation failed.
#[derive(Debug, Default)]
pub(in crate::policy) struct Answer {
    pub(in crate::policy) permits: Vec<String>,
    pub(in crate::policy) forbids: Vec<String>,
    pub(in crate::policy) failed: Vec<String>,
    /// True when no policy was asked, because who asks may be no principal of the action.
    pub(in crate::policy) no_principal: bool,
}

/// Where a policy's scope on tools can match.
enum Reach {
    Any,
    Tools(Vec<ToolName>),
    Nothing,
}

impl Slices {
    /// Cuts up the policies. `schema` says which actions belong to which group.
    pub(in crate::policy) fn new(rules: &[Rule], schema: &Schema, catalogue: &Catalogue, types: &Types) -> Self {
        let mut slices = Self::default();
        let world = World::new(schema, catalogue, types);
        let groups = [Kind::Owner, Kind::TrustDomain].map(Kind::as_str);
        for rule in rules {
            let actions = world.actions(&rule.cedar);
            let named = rule.cedar.entity_literals();
            slices.principal_groups |= named.iter().any(|uid| groups.contains(&uid.type_name().to_string().as_str()));
            for action in actions {
                let reach = world.reach(&rule.cedar, action);
                let condition = Condition::of(&rule.cedar, World::decides_scope(&rule.cedar, action));
                for branch in slices.branches(&rule.cedar, action) {
                    branch.add(rule.cedar.effect(), &condition, &reach);
                }
            }
        }
        slices
    }

    /// The branches that the policy's scope on principals can match.
    fn branches(&mut self, policy: &Policy, action: Action) -> Vec<&mut Branch> {
        let classes = action.classes();
        match policy.principal_constraint() {
            PrincipalConstraint::Any => self.of_classes(action, classes),
            PrincipalConstraint::Is(name) => {
                let name = name.to_string();
                let of_type = |c: &&IdentityClass| Kind::of_class(**c).is_some_and(|k| k.as_str() == name);
                let one: Vec<_> = classes.iter().filter(of_type).copied().collect();
                self.of_classes(action, &one)
            }
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
                vec![self.by_entity.entry(uid).or_default().entry(action).or_default()]
            }
        }
    }

    fn of_classes(&mut self, action: Action, classes: &[IdentityClass]) -> Vec<&mut Branch> {
        for class in classes {
            self.by_class.entry((*class, action)).or_default();
        }
        self.by_class
            .iter_mut()
            .filter(|((class, a), _)| *a == action && classes.contains(class))
            .map(|(_, branch)| branch)
            .collect()
    }

    /// The cells whose policies can match.
    fn cells<'a>(
        &'a self,
        class: IdentityClass,
        action: Action,
        principals: &'a [EntityUid],
        tool: Option<&'a ToolName>,
    ) -> impl Iterator<Item = &'a Cell> {
        let by_class = self.by_class.get(&(class, action));
        let by_entity = principals.iter().filter_map(move |uid| self.by_entity.get(uid)?.get(&action));
        by_class.into_iter().chain(by_entity).flat_map(move |branch| {
            let of_tool = tool.and_then(|name| branch.by_tool.get(name));
            [Some(&branch.any), of_tool].into_iter().flatten()
        })
    }

    /// Evaluates every policy that can match, one by one, with Cedar's evaluator. Its authorizer would give the same answer (a
    /// test holds one against the other), but puts scope and conditions of each policy together again for every request, which
    /// costs more than evaluating them, and hides the permits when a forbid applies.
    pub(in crate::policy) fn evaluate(&self, query: &Query<'_>) -> Answer {
        let request = AsRef::<cedar_policy_core::ast::Request>::as_ref(query.request).clone();
        let evaluator = Evaluator::new(request, query.entities.as_ref(), Extensions::all_available());
        let mut answer = Answer::default();
        for cell in self.cells(query.class, query.action, query.principals, query.tool) {
            for (policies, applying) in [(&cell.permits, &mut answer.permits), (&cell.forbids, &mut answer.forbids)] {
                for policy in policies {
                    match policy.holds(&evaluator) {
                        Some(true) => applying.push(policy.id.clone()),
                        Some(false) => {}
                        None => answer.failed.push(policy.id.clone()),
                    }
                }
            }
        }
        // A policy may stand in several cells, and their order is that of the slices; an answer depends on the facts alone.
        for ids in [&mut answer.permits, &mut answer.forbids, &mut answer.failed] {
            ids.sort();
            ids.dedup();
        }
        answer
    }
}

impl Condition {
    fn of(policy: &Policy, scope_holds: bool) -> Self {
        let parsed: &cedar_policy_core::ast::Policy = policy.as_ref();
        let holds = match scope_holds {
            true => parsed.non_scope_constraints_arc().cloned(),
            false => Some(Arc::new(parsed.condition())),
        };
        Self { id: policy.id().to_string(), holds }
    }

    /// Whether the policy applies; `None` when its evaluation failed.
    fn holds(&self, evaluator: &Evaluator<'_>) -> Option<bool> {
        let Some(holds) = &self.holds else { return Some(true) };
        // The loader takes no templates, so there are no slots to fill.
        match evaluator.interpret(holds, &SlotEnv::new()).ok()?.value {
            ValueKind::Lit(Literal::Bool(holds)) => Some(holds),
            _ => None,
        }
    }
}

impl Branch {
    fn add(&mut self, effect: Effect, condition: &Condition, reach: &Reach) {
        match reach {
            Reach::Any => self.any.add(effect, condition),
            Reach::Tools(tools) => {
                for tool in tools {
                    self.by_tool.entry(tool.clone()).or_default().add(effect, condition);
                }
            }
            Reach::Nothing => {}
        }
    }
}

impl Cell {
    fn add(&mut self, effect: Effect, condition: &Condition) {
        let policies = match effect {
            Effect::Permit => &mut self.permits,
            Effect::Forbid => &mut self.forbids,
        };
        policies.push(condition.clone());
    }
}

/// What scopes can name, looked up once for all policies.
struct World {
    /// Each action with the entities that it is or belongs to.
    actions: Vec<(Action, Vec<EntityUid>)>,
    /// Each tool with its action and the entities that it is or belongs to.
    tools: Vec<(ToolName, Action, Vec<EntityUid>)>,
}

impl World {
    fn new(schema: &Schema, catalogue: &Catalogue, types: &Types) -> Self {
        let groups = schema.action_entities().unwrap_or_else(|_| Entities::empty());
        let actions = Action::all().map(|action| {
            let own = types.action(action);
            let above: Vec<EntityUid> = groups.ancestors(&own).into_iter().flatten().cloned().collect();
            (action, above.into_iter().chain([own]).collect())
        });
        let tools = catalogue.tools().map(|tool| {
            let mut uids = types.tool_groups(tool);
            uids.push(types.uid(Kind::Tool, tool.name.as_str()));
            (tool.name.clone(), Action::Use(tool.effect), uids)
        });
        Self { actions: actions.collect(), tools: tools.collect() }
    }

    /// The actions that the policy's scope can match.
    fn actions(&self, policy: &Policy) -> Vec<Action> {
        let named = match policy.action_constraint() {
            ActionConstraint::Any => return Action::all().collect(),
            ActionConstraint::Eq(uid) => vec![uid],
            ActionConstraint::In(uids) => uids,
        };
        let matching = self.actions.iter().filter(|(_, uids)| uids.iter().any(|uid| named.contains(uid)));
        matching.map(|(action, _)| *action).collect()
    }

    /// The tools that the policy's scope can match.
    fn reach(&self, policy: &Policy, action: Action) -> Reach {
        let of_use = matches!(action, Action::Use(_));
        match policy.resource_constraint() {
            ResourceConstraint::Any => Reach::Any,
            ResourceConstraint::Is(name) => {
                let wanted = if of_use { Kind::Tool } else { Kind::Task };
                if name.to_string() == wanted.as_str() { Reach::Any } else { Reach::Nothing }
            }
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) if of_use => {
                let matching = self.tools.iter().filter(|(_, of, uids)| *of == action && uids.contains(&uid));
                Reach::Tools(matching.map(|(name, ..)| name.clone()).collect())
            }
            // A single task is named by an id that nobody knows beforehand: Cedar compares it.
            _ => Reach::Any,
        }
    }

    /// True when the policy's scope holds wherever a slice finds it. A slice holds a policy for whom it names and for whoever
    /// belongs to that, which is more than `==` says of a group, or `is … in` of another type.
    fn decides_scope(policy: &Policy, action: Action) -> bool {
        let of = |uid: &EntityUid, kinds: &[Kind]| kinds.iter().any(|k| k.as_str() == uid.type_name().to_string());
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) | PrincipalConstraint::In(_) => true,
            PrincipalConstraint::Eq(uid) => {
                of(&uid, &[Kind::Agent, Kind::ServiceAccount, Kind::Orchestrator, Kind::Person])
            }
            PrincipalConstraint::IsIn(..) => false,
        };
        let of_use = matches!(action, Action::Use(_));
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            ResourceConstraint::In(_) => of_use,
            ResourceConstraint::Eq(uid) => of_use && of(&uid, &[Kind::Tool]),
            ResourceConstraint::IsIn(..) => false,
        };
        principal && resource
    }
}

#[cfg(test)]
mod tests;
