//! Giving a grant back early.

use crate::broker::answer::GrantView;
use crate::broker::ask::ShownHandle;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::hidden::Sought;
use crate::broker::record::{event, family_stream};
use crate::broker::{Broker, ending};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::id::{GrantId, TaskId};
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;

const RPC: &str = "ReleaseCredential";

impl Broker {
    /// Gives a grant back; its token is dead when this returns. Giving back what has ended changes nothing.
    ///
    /// # Errors
    /// `NotFound` when it is not the agent's own, with the task's handle.
    pub async fn release_credential(
        &self,
        caller: &Caller,
        task: TaskId,
        handle: ShownHandle,
        grant: GrantId,
    ) -> Result<GrantView, BrokerError> {
        let _place = self.enter_to_end(caller)?;
        self.own_task(caller, task, &handle, RPC)?;
        for _ in 0..super::TRIES_MAX {
            let open = {
                let state = self.0.known.look();
                let known = self.grant_of(&state, caller, (grant, task), Sought { rpc: RPC, what: "grant" })?;
                known.is_open(self.now(&state)).then(|| {
                    let root = state.tasks.get(&task).map_or(task, |t| t.root);
                    let key = GuardKey::grant(&grant);
                    (root, known.jti, vec![Expect { key, at: state.marks.at(&key) }])
                })
            };
            let Some((root, jti, expects)) = open else {
                return self.reading(move |this| this.grant_view(grant)).await;
            };
            let payload =
                pb::GrantReleased { task_id: task.to_string(), grant_id: grant.to_string(), jti: jti.to_string() };
            let event = event(family_stream(root), caller.actor(), &no_context(), Payload::GrantReleased(payload));
            if self.append(ending(event, expects)).await?.is_some() {
                return self.reading(move |this| this.grant_view(grant)).await;
            }
        }
        Err(BrokerError::Conflict)
    }
}
