//! The key under which values of reported calls are digested, where content must not leave a site. It is derived from the key of
//! the task family, so that erasing the task ends it; it stands nowhere, and only those are given it whose reports are believed.

use crate::broker::Broker;
use crate::broker::ask::GetReportKey;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::hidden::Sought;
use crate::broker::report::Named;
use crate::model::digested::{DigestKey, DigestedCall};
use crate::model::id::TaskId;
use crate::seal::error::SealError;
use crate::seal::sealer::Sealer;

const RPC: &str = "GetReportKey";
/// What the key is derived for: nothing else is digested under this name.
const REPORTED: &str = "carnet/reported-values/v1";

impl Broker {
    /// The key for the values of such calls.
    ///
    /// # Errors
    /// `NotFound` when the task is not the caller's, was erased, or a report of the caller about such a call would be no ground;
    /// `Invalid` when the grant does not cover the tool.
    pub fn report_key(&self, caller: &Caller, ask: &GetReportKey) -> Result<DigestKey, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let reporter = caller.workload()?;
        let root = {
            let state = self.0.known.look();
            let named = Named { rpc: RPC, task: ask.task, handle: None, grant: ask.grant, tool: &ask.tool };
            let role = self.reporter_role(&state, caller, reporter, &named)?;
            let task = state.tasks.get(&ask.task).filter(|_| matches!(role, "audience" | "gateway"));
            let sought = Sought { rpc: RPC, what: "task" };
            task.ok_or_else(|| self.not_yours(caller, ask.task, sought))?.root
        };
        self.key_for(root)
    }

    /// The key under which a report says that it digested; `None` when it told values alone.
    ///
    /// # Errors
    /// `Invalid` when it is another one than the family's.
    pub(in crate::broker) fn key_of(
        &self,
        root: TaskId,
        digested: &DigestedCall,
    ) -> Result<Option<DigestKey>, BrokerError> {
        if digested.is_empty() {
            return Ok(None);
        }
        let key = self.key_for(root)?;
        if key.id() != digested.key_id {
            return Err(BrokerError::invalid("digest_key_id", "is not of the key of this task"));
        }
        Ok(Some(key))
    }

    fn key_for(&self, root: TaskId) -> Result<DigestKey, BrokerError> {
        digest_key(&self.0.sealer, root).map_err(|error| match error {
            SealError::Erased(_) => BrokerError::NotFound { what: "task" },
            other => BrokerError::unavailable(other),
        })
    }
}

/// The key of a task family.
///
/// # Errors
/// When the family has no key (any more).
pub(in crate::broker) fn digest_key(sealer: &Sealer, root: TaskId) -> Result<DigestKey, SealError> {
    Ok(DigestKey::new(sealer.digest(root, REPORTED, &[])?))
}
