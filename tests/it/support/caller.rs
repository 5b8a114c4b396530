//! Callers: clients of the broker under one identity. Every call that changes something is held against the record: it leaves
//! its event, and a refused one leaves nothing but the note that it was refused.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carnet::pb::v1;
use carnet::pb::v1::approval_service_client::ApprovalServiceClient;
use carnet::pb::v1::audit_service_client::AuditServiceClient;
use carnet::pb::v1::break_glass_service_client::BreakGlassServiceClient;
use carnet::pb::v1::credential_service_client::CredentialServiceClient;
use carnet::pb::v1::notification_service_client::NotificationServiceClient;
use carnet::pb::v1::policy_service_client::PolicyServiceClient;
use carnet::pb::v1::revocation_service_client::RevocationServiceClient;
use carnet::pb::v1::risk_service_client::RiskServiceClient;
use carnet::pb::v1::signal_service_client::SignalServiceClient;
use carnet::pb::v1::task_service_client::TaskServiceClient;
use tokio::net::TcpStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::pki::{client_config, soon};
use super::record::{Record, kind};

/// A refusal, as a caller sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    /// The reason code of `google.rpc.ErrorInfo`; empty when there is none.
    pub reason: String,
    pub message: String,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({})", self.code, self.reason, self.message)
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        Self { code: status.code(), reason, message: status.message().to_owned() }
    }
}

/// What the record must show of a call that succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Its event.
    Event,
    /// Nothing: it repeats what was done before.
    Nothing,
    /// Whatever: others call at the same time.
    Anything,
}

/// A token that is shown with every request; none over mutual TLS.
#[derive(Clone, Default)]
pub struct Shown(Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// One identity's clients.
#[derive(Clone)]
pub struct Caller {
    channel: Channel,
    shown: Shown,
    record: Arc<Record>,
    leaves: Leaves,
}

macro_rules! clients {
    ($($name:ident: $client:ident,)*) => {
        $(pub fn $name(&self) -> $client<InterceptedService<Channel, Shown>> {
            let channel = InterceptedService::new(self.channel.clone(), self.shown.clone());
            $client::new(channel).max_encoding_message_size(64 << 20).max_decoding_message_size(64 << 20)
        })*
    };
}

macro_rules! calls {
    ($($name:ident($client:ident, $request:ident, $kind:literal) -> $response:ident;)*) => {
        $(pub async fn $name(&self, request: v1::$request) -> Result<v1::$response, Refused> {
            let before = self.before().await;
            let answer = self.$client().$name(request).await;
            let answer = answer.map(tonic::Response::into_inner).map_err(Refused::from);
            self.held_against_the_record($kind, before, &answer).await;
            answer
        })*
    };
}

impl Caller {
    pub fn new(channel: Channel, record: Arc<Record>) -> Self {
        Self { channel, shown: Shown::default(), record, leaves: Leaves::Event }
    }

    /// A client over server TLS, which shows nothing by itself.
    pub async fn over_server_tls(address: Option<SocketAddr>, record: Arc<Record>) -> Self {
        let address = address.expect("the door is open");
        let tls = tokio_rustls::TlsConnector::from(Arc::new(client_config(None)));
        let connect = tower::service_fn(move |_: Uri| {
            let tls = tls.clone();
            async move {
                let tcp = TcpStream::connect(address).await?;
                let name = rustls_pki_types::ServerName::try_from("carnet.test").unwrap();
                tls.connect(name, tcp).await.map(hyper_util::rt::TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_static("http://carnet.test");
        Self::new(soon(endpoint.connect_with_connector(connect)).await.unwrap(), record)
    }

    /// The same channel, with this value of `authorization`.
    pub fn showing(&self, authorization: &str) -> Self {
        Self { shown: Shown(Some(authorization.parse().unwrap())), ..self.clone() }
    }

    /// The same caller, repeating something: the record must not grow.
    pub fn again(&self) -> Self {
        Self { leaves: Leaves::Nothing, ..self.clone() }
    }

    /// The same caller among others that call at the same time.
    pub fn unchecked(&self) -> Self {
        Self { leaves: Leaves::Anything, ..self.clone() }
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The same with what is shown, for calls of any kind.
    pub fn service(&self) -> InterceptedService<Channel, Shown> {
        InterceptedService::new(self.channel.clone(), self.shown.clone())
    }

    clients! {
        tasks: TaskServiceClient,
        credentials: CredentialServiceClient,
        revocations: RevocationServiceClient,
        signals: SignalServiceClient,
        audit: AuditServiceClient,
        policy: PolicyServiceClient,
        approvals: ApprovalServiceClient,
        break_glass: BreakGlassServiceClient,
        notifications: NotificationServiceClient,
        risk: RiskServiceClient,
    }

    calls! {
        register_task(tasks, RegisterTaskRequest, "task_decided") -> RegisterTaskResponse;
        amend_task(tasks, AmendTaskRequest, "task_amended") -> AmendTaskResponse;
        pause_task(tasks, PauseTaskRequest, "task_paused") -> PauseTaskResponse;
        resume_task(tasks, ResumeTaskRequest, "task_resumed") -> ResumeTaskResponse;
        complete_task(tasks, CompleteTaskRequest, "task_ended") -> CompleteTaskResponse;
        cancel_task(tasks, CancelTaskRequest, "task_ended") -> CancelTaskResponse;
        request_credential(credentials, RequestCredentialRequest, "credential_decided") -> RequestCredentialResponse;
        renew_credential(credentials, RenewCredentialRequest, "credential_decided") -> RenewCredentialResponse;
        release_credential(credentials, ReleaseCredentialRequest, "grant_released") -> ReleaseCredentialResponse;
        revoke(revocations, RevokeRequest, "revoked") -> RevokeResponse;
        lift_block(revocations, LiftBlockRequest, "block_lifted") -> LiftBlockResponse;
        report_signal(signals, ReportSignalRequest, "signal_reported") -> ReportSignalResponse;
        report_tool_call(signals, ReportToolCallRequest, "tool_call_reported") -> ReportToolCallResponse;
        answer_approval(approvals, AnswerApprovalRequest, "approval_answered") -> AnswerApprovalResponse;
        withdraw_approval(approvals, WithdrawApprovalRequest, "approval_withdrawn") -> WithdrawApprovalResponse;
        open_break_glass(break_glass, OpenBreakGlassRequest, "break_glass_opened") -> OpenBreakGlassResponse;
        close_break_glass(break_glass, CloseBreakGlassRequest, "break_glass_closed") -> CloseBreakGlassResponse;
        review_break_glass(break_glass, ReviewBreakGlassRequest, "break_glass_reviewed") -> ReviewBreakGlassResponse;
        activate_policy(policy, ActivatePolicyRequest, "policy_activated") -> ActivatePolicyResponse;
        withdraw_policy_proposal(policy, WithdrawPolicyProposalRequest, "policy_proposal_withdrawn") -> WithdrawPolicyProposalResponse;
        label_decision(risk, LabelDecisionRequest, "decision_labelled") -> LabelDecisionResponse;
        set_drift_reference(risk, SetDriftReferenceRequest, "drift_reference_set") -> SetDriftReferenceResponse;
    }

    pub async fn task(&self, task_id: &str, task_handle: &str) -> Result<v1::Task, Refused> {
        let request = v1::GetTaskRequest { task_id: task_id.to_owned(), task_handle: task_handle.to_owned() };
        Ok(self.tasks().get_task(request).await?.into_inner().task.unwrap())
    }

    pub async fn grant(&self, grant_id: &str, task_handle: &str) -> Result<v1::Grant, Refused> {
        let request = v1::GetGrantRequest { grant_id: grant_id.to_owned(), task_handle: task_handle.to_owned() };
        Ok(self.credentials().get_grant(request).await?.into_inner().grant.unwrap())
    }

    pub async fn decision(&self, decision_id: &str) -> Result<v1::DecisionRecord, Refused> {
        let request = v1::GetDecisionRequest { decision_id: decision_id.to_owned() };
        Ok(self.audit().get_decision(request).await?.into_inner().record.unwrap())
    }

    pub async fn watch(&self, after: u64, audiences: &[&str]) -> Result<Streaming<v1::WatchResponse>, Refused> {
        let audiences = audiences.iter().map(|&audience| audience.to_owned()).collect();
        Ok(self.revocations().watch(v1::WatchRequest { after, audiences }).await?.into_inner())
    }

    async fn before(&self) -> u64 {
        if self.leaves == Leaves::Anything { 0 } else { self.record.size().await }
    }

    /// Each call that decides or changes something leaves an event; one that is refused changes nothing.
    async fn held_against_the_record<T>(&self, wanted: &str, before: u64, answer: &Result<T, Refused>) {
        if self.leaves == Leaves::Anything {
            return;
        }
        let left = self.record.since(before).await;
        // What the broker does by itself, deadlines for example, may fall between.
        let left = left.iter().filter(|event| !event.by_the_broker());
        let kinds: Vec<&str> = left.map(|event| kind(&event.payload)).collect();
        match (self.leaves, answer) {
            (Leaves::Event, Ok(_)) => assert!(kinds.contains(&wanted), "no `{wanted}` was left, but {kinds:?}"),
            (_, Ok(_)) => assert!(kinds.is_empty(), "a repeated call left {kinds:?}"),
            (_, Err(refused)) => assert!(kinds.is_empty(), "{refused:?}, and yet it left {kinds:?}"),
        }
    }
}

/// A number that no other test uses, for ids that callers choose.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}
