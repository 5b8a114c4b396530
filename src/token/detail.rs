//! One entry of `authorization_details` (RFC 9396): a tool, what may be done with it, and what the call must equal. It is
//! the authority; `scope` is derived from it for those who know nothing else.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use aws_lc_rs::digest;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::model::access::Access;
use crate::model::decision::EntryDecision;
use crate::model::id::{Audience, ToolName};
use crate::model::sink::carried::{SinkValue, carried};
use crate::model::sink::{SinkError, SinkKind, SinkSpec};

/// `type` of our entries. Whoever does not know it must refuse (RFC 9396 §5).
pub const DETAIL_TYPE: &str = "https://carnet.dev/ad/tool/v1";

/// One entry. Fields that we don't know are refused: they may be limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    #[serde(rename = "type")]
    kind: DetailType,
    /// Where the tool is: the audience of the token, and nothing else.
    pub locations: Vec<Audience>,
    /// The tool, as the catalogue names it.
    pub identifier: ToolName,
    /// What may be done with it.
    pub actions: Vec<String>,
    /// What the call must keep to.
    pub constraints: Constraints,
}

/// What a call must keep to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// The only resources that it may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// How many calls there may be, all tokens of the grant together; absent sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u32>,
    /// Every sink of the tool, with what the call must carry in it.
    #[serde(deserialize_with = "distinct")]
    pub sinks: BTreeMap<String, SinkConstraint>,
}

/// What a call must carry in one sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConstraint {
    /// What its values are, which decides their canonical form.
    pub kind: SinkKind,
    /// Exactly this, in this order; empty when it must carry nothing.
    pub eq: Vec<SinkValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DetailType {
    #[serde(rename = "https://carnet.dev/ad/tool/v1")]
    ToolV1,
}

/// Why no entry can be made of an access.
#[derive(Debug, thiserror::Error)]
pub enum DetailError {
    /// A sink can't be read.
    #[error("the sinks of `{tool}` can't be bound")]
    Sink {
        /// The tool.
        tool: ToolName,
        /// What is wrong.
        #[source]
        cause: SinkError,
    },
    /// The catalogue names one sink twice.
    #[error("`{tool}` has the sink `{sink}` twice")]
    SameSink {
        /// The tool.
        tool: ToolName,
        /// The sink.
        sink: String,
    },
}

impl Detail {
    /// The entry for an access as it was decided: every sink of the tool is bound to what the arguments carry.
    ///
    /// # Errors
    /// When a sink can't be read.
    pub fn grant(
        audience: &Audience,
        access: &Access,
        decided: &EntryDecision,
        specs: &[SinkSpec],
    ) -> Result<Self, DetailError> {
        let tool = || access.tool.clone();
        let mut bound = BTreeMap::new();
        for spec in specs {
            let eq = carried(spec, &access.arguments);
            let eq = eq.map_err(|cause| DetailError::Sink { tool: tool(), cause })?;
            match bound.entry(spec.name.clone()) {
                Entry::Vacant(place) => place.insert(SinkConstraint { kind: spec.kind, eq }),
                Entry::Occupied(place) => {
                    return Err(DetailError::SameSink { tool: tool(), sink: place.key().clone() });
                }
            };
        }
        Ok(Self {
            kind: DetailType::ToolV1,
            locations: vec![audience.clone()],
            identifier: tool(),
            actions: decided.actions.clone(),
            constraints: Constraints {
                resources: decided.resources.clone(),
                max_calls: decided.calls_max,
                sinks: bound,
            },
        })
    }

    /// What uses are counted under, beside the grant: the tool and what is bound. It stays the same when a renewal shortens
    /// actions, resources or the number of calls, or leaves out another entry.
    #[must_use]
    pub fn use_key(&self) -> [u8; 32] {
        let bound = serde_json::to_vec(&(&self.identifier, &self.constraints.sinks)).unwrap_or_default();
        digest::digest(&digest::SHA256, &bound).as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The `scope` of a token: `tool:action` for each entry, every byte outside `A-Z a-z 0-9 . _ - ~ /` percent-encoded. It
/// says less than the entries, and never more tools or actions.
#[must_use]
pub fn scope(details: &[Detail]) -> String {
    let mut scopes = Vec::new();
    for detail in details {
        for action in &detail.actions {
            let mut scope = String::new();
            encode(detail.identifier.as_str(), &mut scope);
            scope.push(':');
            encode(action, &mut scope);
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
    }
    scopes.join(" ")
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'~' | b'/' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

/// A map in which no member stands twice: the last one would win here, and the first one elsewhere.
fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, SinkConstraint>, D::Error> {
    struct Distinct;
    impl<'de> Visitor<'de> for Distinct {
        type Value = BTreeMap<String, SinkConstraint>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with distinct member names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut sinks = BTreeMap::new();
            while let Some((name, sink)) = map.next_entry()? {
                if sinks.insert(name, sink).is_some() {
                    return Err(de::Error::custom("a sink stands twice"));
                }
            }
            Ok(sinks)
        }
    }
    deserializer.deserialize_map(Distinct)
}
