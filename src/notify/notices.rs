//! What is told of an event: its type, ids, times and reason codes. Thin, because it goes to systems of others: whoever wants to know
//! more asks the broker, and is asked who he is. Nothing that people or agents wrote is in it, and no value, handle or token.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::journal::projection::Recorded;
use crate::model::notice::{NoticeType, WebhookName};
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::approval_answered::Verdict;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::pb::{names, v1};

/// Bytes of the digest that an id is made of.
const ID_BYTES: usize = 16;
/// What the target of a revocation is called when it is one grant: people do not wait for that.
const GRANT: &str = "grant";

/// What is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Notice {
    /// The `webhook-id`.
    pub(in crate::notify) id: String,
    pub(in crate::notify) kind: NoticeType,
    /// JSON.
    pub(in crate::notify) body: String,
}

/// The type of the notice that an event is told by, if it is.
pub(in crate::notify) fn kind_of(event: &pb::Event) -> Option<NoticeType> {
    match event.payload.as_ref()? {
        Payload::CredentialDecided(e) => e.asked_people.is_some().then_some(NoticeType::ApprovalPending),
        Payload::TaskAmended(e) => e.asked_people.is_some().then_some(NoticeType::ApprovalPending),
        Payload::ApprovalAnswered(e) => match e.verdict() {
            Verdict::Approved | Verdict::Denied => e.settles.then_some(NoticeType::ApprovalDecided),
            Verdict::Unanswered => Some(NoticeType::ApprovalExpired),
            Verdict::Unspecified => None,
        },
        Payload::ApprovalWithdrawn(_) => Some(NoticeType::ApprovalWithdrawn),
        Payload::ApprovalEscalated(_) => Some(NoticeType::ApprovalEscalated),
        Payload::GrantReconsidered(e) => match e.effect() {
            Effect::Suspended => Some(NoticeType::GrantSuspended),
            Effect::Restored => Some(NoticeType::GrantRestored),
            Effect::Revoked => Some(NoticeType::GrantRevoked),
            Effect::Kept | Effect::Unspecified => None,
        },
        Payload::TaskEnded(_) => Some(NoticeType::TaskEnded),
        Payload::Revoked(e) => (e.target_kind != GRANT).then_some(NoticeType::AccessRevoked),
        Payload::TrustWithdrawn(_) => Some(NoticeType::TrustWithdrawn),
        Payload::TrustRestored(_) => Some(NoticeType::TrustRestored),
        Payload::PolicyActivated(_) => Some(NoticeType::PolicyActivated),
        Payload::PolicyProposed(_) => Some(NoticeType::PolicyProposed),
        Payload::DriftDetected(_) => Some(NoticeType::DriftDetected),
        Payload::DriftEnded(_) => Some(NoticeType::DriftEnded),
        // What policy did not let anybody open stands in the record alone.
        Payload::BreakGlassOpened(e) => (!e.glass_id.is_empty()).then_some(NoticeType::BreakGlassOpened),
        Payload::BreakGlassUsed(_) => Some(NoticeType::BreakGlassUsed),
        Payload::BreakGlassReviewOverdue(_) => Some(NoticeType::BreakGlassReviewOverdue),
        _ => None,
    }
}

/// The `webhook-id` of that event for that receiver. It is the same whenever it is made, and that of no other event.
pub(in crate::notify) fn id_of(name: &WebhookName, recorded: &Recorded) -> String {
    let parts: [&[u8]; 4] = [name.as_str().as_bytes(), &[0], &recorded.position.to_be_bytes(), &recorded.stored];
    written_id(digest(&SHA256, &parts.concat()).as_ref())
}

/// An id of these bytes, of which the first count.
pub(in crate::notify) fn written_id(bytes: &[u8]) -> String {
    bytes.iter().take(ID_BYTES).fold("msg_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

/// What is told of an event; `None` of one that is not told.
pub(in crate::notify) fn notice(name: &WebhookName, recorded: &Recorded, link_base: Option<&str>) -> Option<Notice> {
    let kind = kind_of(&recorded.event)?;
    let mut data = data(recorded.event.payload.as_ref()?, link_base)?;
    data.insert("position".to_owned(), recorded.position.into());
    Some(Notice { id: id_of(name, recorded), kind, body: body(kind, recorded.time, data) })
}

/// A notice by which somebody tries whether it arrives.
pub(in crate::notify) fn test(id: String, name: &WebhookName, now: Timestamp) -> Notice {
    let data = Map::from_iter([("webhook".to_owned(), name.as_str().into())]);
    Notice { id, kind: NoticeType::Test, body: body(NoticeType::Test, now, data) }
}

fn body(kind: NoticeType, time: Timestamp, data: Map<String, Value>) -> String {
    json!({ "type": kind.as_str(), "timestamp": rfc3339(time), "data": data }).to_string()
}

fn data(payload: &Payload, link_base: Option<&str>) -> Option<Map<String, Value>> {
    let mut told = Told { data: Map::new(), link_base };
    match payload {
        Payload::CredentialDecided(e) => {
            told.approval(&e.approval_id, &e.task_id);
            told.pending(&e.agent, e.asked_people.as_ref()?, e.decision.as_ref()?);
        }
        Payload::TaskAmended(e) => {
            told.approval(&e.approval_id, &e.task_id);
            told.text("about", "amendment");
            told.pending(&e.agent, e.asked_people.as_ref()?, e.decision.as_ref()?);
        }
        Payload::ApprovalEscalated(e) => {
            told.approval(&e.approval_id, &e.task_id);
            told.text("decision_id", &e.decision_id);
            told.value("answer_by", rfc3339(Timestamp::from_millis(e.answer_by_ms)).into());
            told.value("widened", e.widened.into());
            told.value("as_review", e.as_review.into());
            told.list("tell", &e.tell);
        }
        Payload::ApprovalAnswered(e) => {
            told.approval(&e.approval_id, &e.task_id);
            told.text("decision_id", &e.decision_id);
            let verdict = match e.verdict() {
                Verdict::Approved => "approved",
                Verdict::Denied => "denied",
                Verdict::Unanswered => "unanswered",
                Verdict::Unspecified => return None,
            };
            told.text("verdict", verdict);
        }
        Payload::ApprovalWithdrawn(e) => {
            told.approval(&e.approval_id, &e.task_id);
            told.text("grant_id", &e.grant_id);
            if e.extended_at > 0 {
                told.value("extension", true.into());
                told.value("grants_revoked", e.grants_revoked.into());
            }
        }
        Payload::GrantReconsidered(e) => {
            told.text("task_id", &e.task_id);
            told.text("grant_id", &e.grant_id);
            told.text("trigger", &e.trigger);
            if let Some(decision) = &e.decision {
                told.decision(decision);
            }
        }
        Payload::TaskEnded(e) => {
            told.text("task_id", &e.task_id);
            told.text("state", names::task_state(e.state));
        }
        Payload::Revoked(e) => {
            told.text("target", &e.target_kind);
            // Persons and audiences are named by people.
            match e.target_kind.as_str() {
                "task" => told.text("task_id", &e.target),
                "agent" => told.text("agent", &e.target),
                _ => {}
            }
            told.list("approvals_unsaid", &e.unsaid);
            if e.unsaid_count > 0 {
                told.value("approvals_unsaid_count", e.unsaid_count.into());
            }
        }
        Payload::TrustWithdrawn(e) => {
            told.text("trust_domain", &e.trust_domain);
            told.text("reason", e.code.parse::<ReasonCode>().map(ReasonCode::as_str).unwrap_or_default());
        }
        Payload::TrustRestored(e) => {
            told.text("trust_domain", &e.trust_domain);
            told.value("lifts", e.lifts.into());
        }
        Payload::PolicyActivated(e) => {
            told.text("policy_digest", &e.digest);
            told.value("policy_revision", e.revision.into());
            told.policy(&e.owner, e.returns_to.as_ref());
        }
        Payload::PolicyProposed(e) => {
            told.text("proposal_id", &e.proposal_id);
            told.text("policy_digest", &e.digest);
            told.value("policy_revision", e.revision.into());
            told.policy(&e.owner, e.returns_to.as_ref());
            told.value("until", rfc3339(Timestamp::from_millis(e.until_ms)).into());
        }
        Payload::DriftDetected(e) => told.drift(&e.class, &e.what, (e.psi_milli, e.threshold_milli)),
        Payload::DriftEnded(e) => told.drift(&e.class, &e.what, (e.psi_milli, e.threshold_milli)),
        Payload::BreakGlassOpened(e) => {
            told.glass(&e.glass_id, &e.task_id);
            told.text("agent", &e.agent);
            told.value("until", rfc3339(Timestamp::from_millis(e.until_ms)).into());
            told.value("uses_max", e.uses_max.into());
            told.value("review_by", rfc3339(Timestamp::from_millis(e.review_by_ms)).into());
            told.value("denied_before", e.denied_before.into());
            told.decision(e.decision.as_ref()?);
        }
        Payload::BreakGlassUsed(e) => {
            told.glass(&e.glass_id, &e.task_id);
            told.text("grant_id", &e.grant_id);
            told.text("decision_id", &e.decision_id);
        }
        Payload::BreakGlassReviewOverdue(e) => {
            told.glass(&e.glass_id, &e.task_id);
            told.value("review_by", rfc3339(Timestamp::from_millis(e.review_by_ms)).into());
        }
        _ => return None,
    }
    Some(told.data)
}

/// What is told, as it is put together: member by member, so that nothing is in it that was not meant.
struct Told<'a> {
    data: Map<String, Value>,
    link_base: Option<&'a str>,
}

impl Told<'_> {
    fn value(&mut self, name: &str, value: Value) {
        self.data.insert(name.to_owned(), value);
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.value(name, text.into());
        }
    }

    fn list(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.value(name, texts.into());
        }
    }

    /// Whom it is for. Owners are named as the catalogue names them.
    fn route(&mut self, decision: &pb::Decision, asked: &pb::AskedPeople) {
        let absent = |owner: &String| asked.owners_absent.contains(owner);
        let route = match v1::Outcome::try_from(decision.outcome) {
            Ok(v1::Outcome::StepUp) => "initiator",
            _ if asked.owners.iter().all(absent) => "reviewers",
            _ => "owner",
        };
        self.text("route", route);
        self.list("owners", &asked.owners);
        self.list("owners_absent", &asked.owners_absent);
    }

    fn approval(&mut self, id: &str, task: &str) {
        self.text("approval_id", id);
        self.text("task_id", task);
        if let Some(base) = self.link_base {
            self.value("link", format!("{base}{id}").into());
        }
    }

    fn glass(&mut self, id: &str, task: &str) {
        self.text("break_glass_id", id);
        self.text("task_id", task);
    }

    fn policy(&mut self, owner: &str, returns_to: Option<&pb::PolicyReturn>) {
        self.text("owner", owner);
        if let Some(before) = returns_to {
            self.value("returns_to", before.revision.into());
        }
    }

    fn pending(&mut self, agent: &str, asked: &pb::AskedPeople, decision: &pb::Decision) {
        self.text("agent", agent);
        self.text("replaces", &asked.replaces);
        self.value("answer_by", rfc3339(Timestamp::from_millis(asked.answer_by_ms)).into());
        self.decision(decision);
        self.value("approvals_needed", decision.approvals_needed.into());
        self.route(decision, asked);
    }

    fn drift(&mut self, class: &str, what: &str, (psi_milli, threshold_milli): (u32, u32)) {
        self.text("class", class);
        self.text("what", what);
        self.value("psi_milli", psi_milli.into());
        self.value("threshold_milli", threshold_milli.into());
    }

    fn decision(&mut self, decision: &pb::Decision) {
        self.text("decision_id", &decision.decision_id);
        self.text("outcome", names::outcome(decision.outcome));
        self.text("band", names::band(decision.band));
        // Codes are a closed list: what is not on it is no code.
        let mut codes: Vec<&str> = Vec::new();
        for code in decision.reasons.iter().filter_map(|reason| reason.code.parse::<ReasonCode>().ok()) {
            if !codes.contains(&code.as_str()) {
                codes.push(code.as_str());
            }
        }
        self.value("reasons", codes.into());
    }
}

fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.as_millis()) * 1_000_000;
    let written = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|at| at.format(&Rfc3339).ok());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests;
