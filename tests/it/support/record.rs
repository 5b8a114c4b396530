//! The record as a reviewer has it: exported over the operator's socket, stored bytes and all.

use carnet::audit::export::ExportWriter;
use carnet::audit::tree::{Frontier, TreeHash};
use carnet::pb::journal as pb;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::pb::v1::audit_service_client::AuditServiceClient;
use carnet::pb::v1::export_events_response::Part;
use prost::Message as _;
use tokio::sync::RwLock;
use tonic::transport::Channel;

/// The record of a running broker.
pub struct Record {
    operator: RwLock<Channel>,
}

/// An event as it stands in the record.
#[derive(Debug, Clone)]
pub struct Entry {
    pub position: u64,
    pub time_ms: u64,
    /// The leaf of the tree.
    pub stored: bytes::Bytes,
    pub actor: pb::Actor,
    pub payload: Payload,
}

impl Entry {
    /// True when nobody asked for it.
    pub fn by_the_broker(&self) -> bool {
        self.actor.kind() == pb::actor::Kind::Broker
    }
}

/// A whole export.
#[derive(Debug, Clone)]
pub struct Export {
    pub events: Vec<Entry>,
    pub checkpoint: String,
}

impl Record {
    pub fn new(operator: Channel) -> Self {
        Self { operator: RwLock::new(operator) }
    }

    /// After a restart there is another socket.
    pub async fn follow(&self, operator: Channel) {
        *self.operator.write().await = operator;
    }

    /// How many events there are.
    pub async fn size(&self) -> u64 {
        let mut audit = AuditServiceClient::new(self.operator.read().await.clone());
        let answer = audit.get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap().into_inner();
        answer.size
    }

    /// The events from a position on.
    pub async fn since(&self, from: u64) -> Vec<Entry> {
        self.export(from).await.events
    }

    /// Everything.
    pub async fn all(&self) -> Vec<Entry> {
        self.since(0).await
    }

    pub async fn export(&self, from: u64) -> Export {
        let channel = self.operator.read().await.clone();
        let mut audit = AuditServiceClient::new(channel).max_decoding_message_size(64 << 20);
        let request = v1::ExportEventsRequest { from, size: 0 };
        let mut parts = match audit.export_events(request).await {
            Ok(answer) => answer.into_inner(),
            // There is nothing after the end.
            Err(status) if status.code() == tonic::Code::InvalidArgument => {
                return Export { events: Vec::new(), checkpoint: String::new() };
            }
            Err(status) => panic!("the record cannot be exported: {status}"),
        };
        let (mut events, mut checkpoint) = (Vec::new(), String::new());
        while let Some(message) = parts.message().await.unwrap() {
            match message.part.unwrap() {
                Part::Event(event) => events.push(entry(event)),
                Part::Checkpoint(note) => checkpoint = note,
                Part::Beginning(beginning) => assert_eq!(beginning.size, from),
            }
        }
        Export { events, checkpoint }
    }

    /// A part of the record, as the file that it is taken away in.
    pub async fn part(&self, from: u64, size: u64) -> Vec<u8> {
        let mut audit = AuditServiceClient::new(self.operator.read().await.clone());
        let request = v1::ExportEventsRequest { from, size };
        let mut parts = audit.export_events(request).await.unwrap().into_inner();
        let first = parts.message().await.unwrap().unwrap().part.unwrap();
        let Part::Beginning(beginning) = first else { panic!("it begins with {first:?}") };
        let root = |bytes: &bytes::Bytes| TreeHash::from_bytes(bytes.as_ref().try_into().unwrap());
        let before = Frontier::from_peaks(beginning.size, beginning.subtrees.iter().map(root).collect()).unwrap();
        let mut writer = ExportWriter::new(Vec::new(), &before).unwrap();
        loop {
            match parts.message().await.unwrap().unwrap().part.unwrap() {
                Part::Event(event) => writer.event(&event.stored).unwrap(),
                Part::Checkpoint(note) => return writer.finish(&note).unwrap(),
                Part::Beginning(again) => panic!("it begins again: {again:?}"),
            }
        }
    }

    /// The events of a kind.
    pub async fn of_kind(&self, wanted: &str) -> Vec<Entry> {
        self.all().await.into_iter().filter(|event| kind(&event.payload) == wanted).collect()
    }

    /// What was refused, with its reason code.
    pub async fn refusals(&self) -> Vec<pb::Refused> {
        let refused = |event: Entry| match event.payload {
            Payload::Refused(refused) => Some(refused),
            _ => None,
        };
        self.all().await.into_iter().filter_map(refused).collect()
    }
}

fn entry(event: v1::ExportedEvent) -> Entry {
    let stored = pb::StoredEvent::decode(event.stored.clone()).unwrap();
    assert_eq!(stored.position, event.position);
    let body = pb::Event::decode(stored.body).unwrap();
    Entry {
        position: event.position,
        time_ms: stored.time_ms,
        stored: event.stored,
        actor: body.actor.unwrap_or_default(),
        payload: body.payload.unwrap(),
    }
}

/// The name of an event's kind.
pub fn kind(payload: &Payload) -> &'static str {
    match payload {
        Payload::BrokerStarted(_) => "broker_started",
        Payload::TaskDecided(_) => "task_decided",
        Payload::TaskAmended(_) => "task_amended",
        Payload::TaskPaused(_) => "task_paused",
        Payload::TaskResumed(_) => "task_resumed",
        Payload::TaskEnded(_) => "task_ended",
        Payload::CredentialDecided(_) => "credential_decided",
        Payload::GrantReconsidered(_) => "grant_reconsidered",
        Payload::GrantReleased(_) => "grant_released",
        Payload::Revoked(_) => "revoked",
        Payload::BlockLifted(_) => "block_lifted",
        Payload::SignalReported(_) => "signal_reported",
        Payload::ToolCallReported(_) => "tool_call_reported",
        Payload::ReportKeyGiven(_) => "report_key_given",
        Payload::PolicyActivated(_) => "policy_activated",
        Payload::KeyRotated(_) => "key_rotated",
        Payload::Refused(_) => "refused",
        Payload::FamilyReconsidered(_) => "family_reconsidered",
        Payload::TrustWithdrawn(_) => "trust_withdrawn",
        Payload::TrustRestored(_) => "trust_restored",
        Payload::ApprovalAnswered(_) => "approval_answered",
        Payload::ApprovalWithdrawn(_) => "approval_withdrawn",
        Payload::BreakGlassReviewOverdue(_) => "break_glass_review_overdue",
        Payload::ApprovalEscalated(_) => "approval_escalated",
        Payload::ExtensionTakenBack(_) => "extension_taken_back",
        Payload::BreakGlassOpened(_) => "break_glass_opened",
        Payload::BreakGlassUsed(_) => "break_glass_used",
        Payload::BreakGlassClosed(_) => "break_glass_closed",
        Payload::BreakGlassReviewed(_) => "break_glass_reviewed",
        Payload::DecisionLabelled(_) => "decision_labelled",
        Payload::DriftReferenceSet(_) => "drift_reference_set",
        Payload::DriftDetected(_) => "drift_detected",
        Payload::DriftEnded(_) => "drift_ended",
        Payload::ObservingEnded(_) => "observing_ended",
        Payload::PolicyProposed(_) => "policy_proposed",
        Payload::PolicyProposalWithdrawn(_) => "policy_proposal_withdrawn",
    }
}
