//! What a grant takes from its family, and leaves in it: the amounts that count against totals, and what its calls send
//! without ground. Recorded sealed with the grant, so that a fold needs nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::state::{Family, NamedClasses};
use crate::catalogue::tool::Catalogue;
use crate::intent::echo::Sent;
use crate::intent::usage::{Amounts, amounts};
use crate::model::access::Access;
use crate::model::id::{DataClass, ToolName};

/// What the entries of a grant draw, in their order, and what they send.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::broker) struct Draws {
    pub(in crate::broker) amounts: Vec<Amounts>,
    pub(in crate::broker) sent: Sent,
    /// The classes of data that the agent named, of each entry.
    #[serde(default)]
    pub(in crate::broker) named: Vec<Vec<DataClass>>,
}

impl Draws {
    /// What granting these draws, as the family is seen now.
    ///
    /// # Errors
    /// When the arguments of an entry cannot be read as its tool's sinks, or all of them say more than is kept of a grant.
    pub(in crate::broker) fn of(view: &View, granted: &[Access]) -> Result<Self, BrokerError> {
        let (mut out, declared) = (Self::default(), view.declared());
        for one in granted {
            let tool = view.bundle.catalogue().tool(&one.tool);
            out.amounts.push(tool.map_or(Ok(Vec::new()), |t| amounts(one, t)).map_err(BrokerError::internal)?);
            out.named.push(one.data_classes.clone());
            let sent = view.session.sent(&one.tool, tool, &one.arguments, view.intent(), &declared);
            // What is not kept would be taken for the tool's own when it comes back.
            if !out.sent.merge(&sent) {
                return Err(BrokerError::above_limit("access", "says more than is kept of one grant"));
            }
        }
        Ok(out)
    }

    /// True when there is nothing to record.
    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.amounts.iter().all(Vec::is_empty) && self.sent.is_empty() && self.named.iter().all(Vec::is_empty)
    }

    /// The classes that the agent named for each of these tools, which it was granted.
    pub(in crate::broker) fn named_by_tool(&self, tools: &[ToolName]) -> NamedClasses {
        let mut by_tool = NamedClasses::new();
        for (tool, named) in tools.iter().zip(&self.named).filter(|(_, named)| !named.is_empty()) {
            by_tool.entry(tool.clone()).or_default().extend(named.iter().cloned());
        }
        by_tool
    }

    /// Takes a recorded grant of these tools into what its family was granted and has seen.
    pub(in crate::broker) fn take_in(
        &self,
        family: &mut Family,
        tools: &[ToolName],
        catalogue: Option<&Catalogue>,
        position: u64,
    ) {
        let usage = Arc::make_mut(&mut family.usage);
        for (i, tool) in tools.iter().enumerate() {
            usage.reserve(tool, self.amounts.get(i).map(Vec::as_slice).unwrap_or_default(), position);
        }
        for (i, tool) in tools.iter().enumerate() {
            let named = self.named.get(i).map(Vec::as_slice).unwrap_or_default();
            let_in(family, (tool, named), catalogue, &self.sent, position);
        }
    }
}

/// Takes in what a grant of a tool lets a family read, with the classes that the agent named, and what it sends.
pub(in crate::broker) fn let_in(
    family: &mut Family,
    (tool, named): (&ToolName, &[DataClass]),
    catalogue: Option<&Catalogue>,
    sent: &Sent,
    position: u64,
) {
    let spec = catalogue.and_then(|c| c.tool(tool));
    let named: Vec<DataClass> = catalogue.into_iter().flat_map(|c| c.carries_named(spec, named)).collect();
    // Most grants teach nothing new, and a session is large.
    if !family.session.knows_grant(spec, &named, sent) {
        Arc::make_mut(&mut family.session).grant(spec, &named, sent, position);
    }
}
