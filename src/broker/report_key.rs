//! The key under which values of reported calls are digested, where content must not leave a site. It is derived from the key of
//! the task family, so that erasing the task ends it. It stands in memory, in snapshots sealed under the key of the family, and
//! nowhere else. Only those are given it whose reports are believed, and who was stands in the record.

use crate::broker::ask::{GetReportKey, ReportToolCall};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::grants::covered;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::report::Named;
use crate::broker::{Broker, ordinary};
use crate::model::access::Access;
use crate::model::digested::{DigestKey, DigestedCall, DigestedField};
use crate::model::id::TaskId;
use crate::model::sink::{SinkKind, SinkSpec};
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::seal::error::SealError;
use crate::seal::sealer::Sealer;

const RPC: &str = "GetReportKey";
/// Most reporters of a family of whom it is kept that they were given its key: more than serve one task. Of others it is recorded
/// each time.
pub(in crate::broker) const KEYED_MAX: usize = 64;
/// What the key is derived for: nothing else is digested under this name.
const REPORTED: &str = "carnet/reported-values/v1";

impl Broker {
    /// The key for the values of such calls. The first time that somebody is given it is recorded before it is.
    ///
    /// # Errors
    /// `NotFound` when the task is not the caller's, was erased, or a report of the caller about such a call would be no ground;
    /// `Invalid` when the grant does not cover the tool; `Unavailable` and `StorageFull` when it can't be recorded.
    pub async fn report_key(&self, caller: &Caller, ask: &GetReportKey) -> Result<DigestKey, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let reporter = caller.workload()?;
        let (root, role, known) = {
            let state = self.0.known.look();
            let named = Named { rpc: RPC, task: ask.task, handle: None, grant: ask.grant, tool: &ask.tool };
            let role = self.reporter_role(&state, caller, reporter, &named)?;
            let task = state.tasks.get(&ask.task).filter(|_| matches!(role, "audience" | "gateway"));
            let sought = Sought { rpc: RPC, what: "task" };
            let root = task.ok_or_else(|| self.not_yours(caller, ask.task, sought))?.root;
            let who = reporter.peer.spiffe_id().as_str();
            (root, role, state.families.get(&root).is_some_and(|family| family.keyed.contains(who)))
        };
        let key = self.key_for(root)?;
        if !known {
            let given = pb::ReportKeyGiven {
                task_id: ask.task.to_string(),
                grant_id: ask.grant.map(|grant| grant.to_string()).unwrap_or_default(),
                tool: ask.tool.to_string(),
                reporter: role.to_owned(),
            };
            let event = event(family_stream(root), caller.actor(), &no_context(), Payload::ReportKeyGiven(given));
            // Asked for twice at the same time, it is recorded twice.
            self.append(ordinary(event, Vec::new())).await?;
        }
        Ok(key)
    }

    /// True when a call under a grant is told with a sink whose digest is none of what the grant was given for. Whoever looks at
    /// sinks would not have let it through, so who reports it does not, and nobody judged what was sent there.
    pub(in crate::broker) async fn sinks_differ(
        &self,
        root: TaskId,
        ask: &ReportToolCall,
        key: DigestKey,
    ) -> Result<bool, BrokerError> {
        let (position, sinks) = {
            let state = self.0.known.look();
            let Some(grant) = ask.grant.and_then(|id| state.grants.get(&id)) else { return Ok(false) };
            let bundle = state.policy.as_ref().and_then(|policy| policy.bundle.as_ref());
            let tool = bundle.and_then(|bundle| bundle.catalogue().tool(&ask.tool));
            (grant.position, tool.map(|tool| tool.sinks.clone()).unwrap_or_default())
        };
        let of_sinks =
            |field: &DigestedField| Some((sinks.iter().find(|s| s.name == field.path)?.clone(), field.clone()));
        let told: Vec<_> = ask.digested.arguments.iter().filter_map(of_sinks).collect();
        if told.is_empty() {
            return Ok(false);
        }
        let tool = ask.tool.clone();
        let compare = move |this: &Self| {
            let access = covered(&this.recorded_decision(position, root)?.words);
            let access: Vec<Access> = access.into_iter().filter(|access| access.tool == tool).collect();
            Ok(told.iter().any(|(sink, field)| !access.iter().any(|access| is_of(access, sink, field, &key))))
        };
        self.reading(compare).await
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

/// True for a digest of what the access has for that sink, in its canonical form or as it stands there.
fn is_of(access: &Access, sink: &SinkSpec, field: &DigestedField, key: &DigestKey) -> bool {
    let as_it_stands = SinkSpec { name: sink.name.clone(), kind: SinkKind::Other };
    let values = |sink: &SinkSpec| sink.values(&access.arguments).unwrap_or_default();
    let mut values = values(sink).into_iter().chain(values(&as_it_stands));
    values.any(|value| key.digest(field.kind, &value) == Some(field.hmac))
}

/// The key of a task family.
///
/// # Errors
/// When the family has no key (any more).
pub(in crate::broker) fn digest_key(sealer: &Sealer, root: TaskId) -> Result<DigestKey, SealError> {
    Ok(DigestKey::new(sealer.digest(root, REPORTED, &[])?))
}
