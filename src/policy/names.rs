//! The names of the Cedar model: entity types, actions, and how identities, tools and tasks become entities.

use std::collections::HashSet;
use std::str::FromStr as _;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::catalogue::tool::Tool;
use crate::model::access::Effect;
use crate::model::facts::PrincipalFacts;
use crate::model::identity::IdentityClass;

/// An action that policies decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Action {
    /// The use of a tool of that effect.
    Use(Effect),
    /// `register_task`
    Register,
    /// `amend_task`
    Amend,
    /// `open_break_glass`
    BreakGlass,
    /// `approve`
    Approve,
}

impl Action {
    /// Every action.
    pub(in crate::policy) fn all() -> impl Iterator<Item = Self> {
        Effect::ALL.into_iter().map(Self::Use).chain([Self::Register, Self::Amend, Self::BreakGlass, Self::Approve])
    }

    pub(in crate::policy) const fn as_str(self) -> &'static str {
        match self {
            Self::Use(effect) => effect.as_str(),
            Self::Register => "register_task",
            Self::Amend => "amend_task",
            Self::BreakGlass => "open_break_glass",
            Self::Approve => "approve",
        }
    }

    /// The classes that may be principals of it.
    pub(in crate::policy) const fn classes(self) -> &'static [IdentityClass] {
        match self {
            Self::Use(_) => &[IdentityClass::AiAgent, IdentityClass::ServiceAccount],
            Self::Register | Self::Amend => {
                &[IdentityClass::Orchestrator, IdentityClass::AiAgent, IdentityClass::ServiceAccount]
            }
            Self::BreakGlass | Self::Approve => &[IdentityClass::Human],
        }
    }
}

/// A type of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Kind {
    Owner,
    TrustDomain,
    Audience,
    Agent,
    ServiceAccount,
    Orchestrator,
    Person,
    Tool,
    Task,
    Action,
}

impl Kind {
    pub(in crate::policy) const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "Carnet::Owner",
            Self::TrustDomain => "Carnet::TrustDomain",
            Self::Audience => "Carnet::Audience",
            Self::Agent => "Carnet::Agent",
            Self::ServiceAccount => "Carnet::ServiceAccount",
            Self::Orchestrator => "Carnet::Orchestrator",
            Self::Person => "Carnet::Person",
            Self::Tool => "Carnet::Tool",
            Self::Task => "Carnet::Task",
            Self::Action => "Carnet::Action",
        }
    }

    /// The principal type of a class; `None` for classes that ask for nothing.
    pub(in crate::policy) const fn of_class(class: IdentityClass) -> Option<Self> {
        match class {
            IdentityClass::AiAgent => Some(Self::Agent),
            IdentityClass::ServiceAccount => Some(Self::ServiceAccount),
            IdentityClass::Orchestrator => Some(Self::Orchestrator),
            IdentityClass::Human => Some(Self::Person),
            IdentityClass::Scorer | IdentityClass::ResourceServer => None,
        }
    }
}

/// Entity type names, parsed once.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Types {
    names: Vec<(Kind, EntityTypeName)>,
}

impl Types {
    pub(in crate::policy) fn new() -> Self {
        let names = KINDS.iter().filter_map(|k| Some((*k, EntityTypeName::from_str(k.as_str()).ok()?)));
        Self { names: names.collect() }
    }

    /// The entity of that type and id.
    #[expect(clippy::expect_used, reason = "every kind is a well-formed name; a unit test makes one of each")]
    pub(in crate::policy) fn uid(&self, kind: Kind, id: &str) -> EntityUid {
        let name =
            self.names.iter().find(|(k, _)| *k == kind).map(|(_, n)| n.clone()).expect("a well-formed type name");
        EntityUid::from_type_name_and_id(name, EntityId::new(id))
    }

    pub(in crate::policy) fn action(&self, action: Action) -> EntityUid {
        self.uid(Kind::Action, action.as_str())
    }

    /// The groups that a tool belongs to.
    pub(in crate::policy) fn tool_groups(&self, tool: &Tool) -> Vec<EntityUid> {
        let owner = tool.owner.iter().map(|o| self.uid(Kind::Owner, o.as_str()));
        let audience = tool.audience.iter().map(|a| self.uid(Kind::Audience, a.as_str()));
        owner.chain(audience).collect()
    }

    /// The groups that a principal belongs to.
    pub(in crate::policy) fn principal_groups(&self, principal: &PrincipalFacts) -> Vec<EntityUid> {
        let owner = principal.owner.iter().map(|o| self.uid(Kind::Owner, o.as_str()));
        let domain = self.uid(Kind::TrustDomain, principal.id.trust_domain_name());
        owner.chain([domain]).collect()
    }

    /// The entity of a tool, with the attributes of the schema.
    ///
    /// # Errors
    /// Never for attributes as they are made here.
    pub(in crate::policy) fn tool_entity(
        &self,
        tool: &Tool,
    ) -> Result<Entity, Box<cedar_policy::EntityAttrEvaluationError>> {
        let kinds: std::collections::BTreeSet<_> = tool.sinks.iter().map(|s| s.kind.as_str()).collect();
        let attributes = [
            ("effect", text(tool.effect.as_str())),
            ("privilege", RestrictedExpression::new_long(i64::from(tool.privilege))),
            ("data_classes", texts(tool.data_classes.iter().map(|c| c.as_str()))),
            ("sensitive", texts(tool.sensitive.iter().map(|c| c.as_str()))),
            ("way_out", RestrictedExpression::new_bool(tool.is_way_out())),
            ("reads_outsiders", RestrictedExpression::new_bool(tool.reads_outsiders())),
            ("sink_kinds", texts(kinds)),
        ];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let parents: HashSet<_> = self.tool_groups(tool).into_iter().collect();
        Entity::new(self.uid(Kind::Tool, tool.name.as_str()), attributes, parents).map_err(Box::new)
    }
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(text))
}

pub(in crate::policy) const KINDS: [Kind; 10] = [
    Kind::Owner,
    Kind::TrustDomain,
    Kind::Audience,
    Kind::Agent,
    Kind::ServiceAccount,
    Kind::Orchestrator,
    Kind::Person,
    Kind::Tool,
    Kind::Task,
    Kind::Action,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_names_an_entity() {
        let types = Types::new();
        for kind in KINDS {
            assert_eq!(types.uid(kind, "x").to_string(), format!("{}::\"x\"", kind.as_str()));
        }
    }
}
