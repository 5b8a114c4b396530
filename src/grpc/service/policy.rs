//! `PolicyService`.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::broker::activate::ActivatePolicy;
use crate::broker::error::BrokerError;
use crate::broker::whatif::{Candidate, Listener, Span};
use crate::grpc::codec::field::{id, line, time_if_given};
use crate::grpc::codec::policy;
use crate::grpc::service::Edge;
use crate::model::limits::{BUNDLE_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, WHATIFS_MAX};
use crate::pb::v1::policy_service_server::{PolicyService, PolicyServiceServer};
use crate::pb::v1::what_if_response::Part;
use crate::pb::v1::{
    ActivatePolicyRequest, ActivatePolicyResponse, CheckPolicyRequest, CheckPolicyResponse, GetActivePolicyRequest,
    GetActivePolicyResponse, ListPolicyProposalsRequest, ListPolicyProposalsResponse, WhatIfRequest, WhatIfResponse,
    WithdrawPolicyProposalRequest, WithdrawPolicyProposalResponse,
};

/// Flips that wait for a slow receiver.
const FLIPS_QUEUE: usize = 64;

/// The service, to be put behind a door. A bundle is larger than any other message.
pub(in crate::grpc) fn server(edge: &Edge) -> PolicyServiceServer<Policies> {
    let policies = Policies { edge: edge.clone(), whatifs: Arc::new(Semaphore::new(WHATIFS_MAX)) };
    PolicyServiceServer::new(policies).max_decoding_message_size(BUNDLE_BYTES_MAX + MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Policies {
    edge: Edge,
    /// Places for what-ifs that run.
    whatifs: Arc<Semaphore>,
}

#[async_trait]
impl PolicyService for Policies {
    async fn get_active_policy(
        &self,
        request: Request<GetActivePolicyRequest>,
    ) -> Result<Response<GetActivePolicyResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let view = edge.broker.active_policy(&caller).map_err(|e| edge.refuse(e))?;
        Ok(Response::new(policy::active(&view, request.get_ref().include_files)))
    }

    async fn check_policy(
        &self,
        request: Request<CheckPolicyRequest>,
    ) -> Result<Response<CheckPolicyResponse>, Status> {
        let edge = &self.edge;
        let _caller = edge.caller(&request)?;
        let files = policy::files(request.into_inner().bundle).map_err(|e| edge.refuse(e))?;
        let broker = edge.broker.clone();
        // Loading and testing a bundle takes a while, and other requests share this thread.
        let checked = spawn_blocking(move || broker.check_policy(files)).await;
        let checked = checked.map_err(|e| edge.refuse(BrokerError::internal(e)))?;
        Ok(Response::new(policy::checked(checked)))
    }

    async fn activate_policy(
        &self,
        request: Request<ActivatePolicyRequest>,
    ) -> Result<Response<ActivatePolicyResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let files = policy::files(request.bundle).map_err(|e| edge.refuse(e))?;
        let digest = line("digest", request.digest, NAME_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let (revision, going_back) = (request.revision, request.going_back);
        let ask = ActivatePolicy { files, revision, digest, going_back };
        let done = edge.broker.activate_policy(&caller, ask).await;
        Ok(Response::new(policy::activated(done.map_err(|e| edge.refuse(e))?)))
    }

    async fn list_policy_proposals(
        &self,
        request: Request<ListPolicyProposalsRequest>,
    ) -> Result<Response<ListPolicyProposalsResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let proposals = edge.broker.policy_proposals(&caller).map_err(|e| edge.refuse(e))?;
        let proposals = proposals.iter().map(|(id, proposal)| policy::proposal((*id, proposal))).collect();
        Ok(Response::new(ListPolicyProposalsResponse { proposals }))
    }

    async fn withdraw_policy_proposal(
        &self,
        request: Request<WithdrawPolicyProposalRequest>,
    ) -> Result<Response<WithdrawPolicyProposalResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let proposal = id("proposal_id", &request.get_ref().proposal_id).map_err(|e| edge.refuse(e))?;
        let position = edge.broker.withdraw_policy_proposal(&caller, proposal).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(WithdrawPolicyProposalResponse { position }))
    }

    type WhatIfStream = ReceiverStream<Result<WhatIfResponse, Status>>;

    async fn what_if(&self, request: Request<WhatIfRequest>) -> Result<Response<Self::WhatIfStream>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        edge.broker.may_ask_what_if(&caller).map_err(|e| edge.refuse(e))?;
        let WhatIfRequest { bundle, from, until } = request.into_inner();
        let files = policy::files(bundle).map_err(|e| edge.refuse(e))?;
        let time = |field, at| time_if_given(field, at).map_err(|e| edge.refuse(e));
        let span = Span { from: time("from", from)?, until: time("until", until)? };
        let place = Arc::clone(&self.whatifs).try_acquire_owned();
        let place = place.map_err(|_| edge.refuse(BrokerError::RateLimited))?;
        // The place is kept while it loads, though the caller may be gone.
        let loaded = spawn_blocking(move || (Candidate::load(files), place)).await;
        let (candidate, place) = loaded.map_err(|e| edge.refuse(BrokerError::internal(e)))?;
        let candidate = candidate.map_err(|e| edge.refuse(e))?;
        let (send, receive) = mpsc::channel(FLIPS_QUEUE);
        let (broker, edge, runtime) = (edge.broker.clone(), edge.clone(), Handle::current());
        spawn_blocking(move || {
            let _place = place;
            let mut receiver = Receiver { send, runtime };
            if let Err(error) = broker.what_if(&caller, &candidate, span, &mut receiver) {
                // A receiver that is gone needs no answer.
                receiver.send(Err(edge.refuse(error)));
            }
        });
        Ok(Response::new(ReceiverStream::new(receive)))
    }
}

/// Whoever waits for the answer of a what-if.
struct Receiver {
    send: mpsc::Sender<Result<WhatIfResponse, Status>>,
    runtime: Handle,
}

impl Receiver {
    /// False when nobody takes it: who does not read holds the only place, and is not waited for.
    fn send(&self, message: Result<WhatIfResponse, Status>) -> bool {
        self.runtime.block_on(self.send.send_timeout(message, UNREAD_WITHIN)).is_ok()
    }
}

impl Listener for Receiver {
    fn tell(&mut self, part: Part) -> bool {
        self.send(Ok(WhatIfResponse { part: Some(part) }))
    }

    fn is_gone(&self) -> bool {
        self.send.is_closed()
    }
}

/// How long an answer may stay unread until the run is ended.
const UNREAD_WITHIN: Duration = Duration::from_secs(30);
