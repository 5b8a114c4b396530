//! Renewing: the grant is decided again as if it were asked for now. The old token dies, the grant keeps its id and gains no
//! uses.

use crate::broker::Broker;
use crate::broker::answer::Answered;
use crate::broker::ask::RenewCredential;
use crate::broker::asking::carried;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::grants::covered;
use crate::broker::hidden::Sought;
use crate::broker::record::asked_digest;
use crate::broker::request::{Asking, Attempt};
use crate::broker::retain::carried_scores;
use crate::broker::scorers::Scoring;
use crate::model::grant::GrantStanding;
use crate::model::reason::ReasonCode;
use crate::model::time::Ttl;

const RPC: &str = "RenewCredential";

impl Broker {
    /// Asks for a new token under a grant. What the grant covers stays as it was; a grant that drifted is live again when the
    /// answer is good.
    ///
    /// # Errors
    /// `NotFound` when the grant is not the agent's, `Precondition` when it has ended.
    pub async fn renew_credential(&self, caller: &Caller, ask: RenewCredential) -> Result<Answered, BrokerError> {
        let mut scoring = Scoring::new(self.enter(caller)?);
        let workload = self.own_task(caller, ask.task, &ask.handle, RPC)?;
        let ttl = ask.ttl.map(Ttl::as_secs).unwrap_or_default();
        let asked = asked_digest(&[
            b"renew",
            ask.grant.to_string().as_bytes(),
            &ttl.to_be_bytes(),
            &serde_json::to_vec(&ask.profile).unwrap_or_default(),
        ]);
        for _ in 0..super::TRIES_MAX {
            let (grant, root, answered, now) = {
                let state = self.0.known.look();
                let sought = Sought { rpc: RPC, what: "grant" };
                let grant = self.grant_of(&state, caller, (ask.grant, ask.task), sought)?.clone();
                let task = state.tasks.get(&ask.task).ok_or(BrokerError::NotFound { what: "task" })?;
                (grant, task.root, task.answers.contains_key(ask.request_id.as_str()), self.now(&state))
            };
            if !answered {
                let ended = match grant.standing {
                    GrantStanding::Revoked => Some(ReasonCode::GrantRevoked),
                    GrantStanding::Released => Some(ReasonCode::GrantExpired),
                    GrantStanding::Open(_) => (grant.expires <= now).then_some(ReasonCode::GrantExpired),
                };
                if let Some(code) = ended {
                    return Err(BrokerError::Precondition { code, decision: Some(grant.decision) });
                }
            }
            let recorded = self.reading(move |this| this.recorded_decision(grant.position, root)).await?;
            let access = covered(&recorded.words);
            let mut approval = carried(&recorded.words);
            if recorded.words.profile != ask.profile
                && let Some(approval) = approval.as_mut()
            {
                // Who approved another make-up of the agent was not shown this one.
                approval.cures.retain(|cure| cure.code != ReasonCode::ProfileChanged);
            }
            let scores = carried_scores(&recorded.words);
            let asking = Asking {
                workload,
                request_id: &ask.request_id,
                task: ask.task,
                audience: &grant.audience,
                access: &access,
                ttl: ask.ttl,
                purpose: &recorded.words.purpose,
                profile: &ask.profile,
                context: &ask.context,
                asked,
                renews: Some((ask.grant, grant.jti)),
                approval: approval.as_ref(),
                approved: approval.is_some().then_some(&recorded.words.profile),
                glass: recorded.words.decision.glass,
                behaviour: recorded.words.facts.behaviour.as_ref(),
                scores: &scores,
            };
            if let Attempt::Done(answered) = self.attempt(&asking, &mut scoring).await? {
                return Ok(*answered);
            }
        }
        Err(BrokerError::Conflict)
    }
}
