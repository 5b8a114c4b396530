//! Who asks, and which objects are theirs.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::error::BrokerError;
use crate::broker::state::{Grant, Task};
use crate::identity::peer::VerifiedPeer;
use crate::identity::people::VerifiedPerson;
use crate::model::id::{Audience, Owner, TaskId};
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::policy::bundle::PolicyBundle;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A workload that proved its SPIFFE ID.
    Workload(WorkloadCaller),
    /// A person who showed a token at the people's door.
    Person(Arc<VerifiedPerson>),
    /// The peer of the operator's socket.
    Operator {
        /// Its uid, as the kernel says.
        uid: u32,
    },
}

/// A workload with what the policy bundle knows of it.
#[derive(Debug, Clone)]
pub struct WorkloadCaller {
    /// Whom its connection or its token proved it to be.
    pub peer: Arc<VerifiedPeer>,
    /// Its class.
    pub class: IdentityClass,
    /// Who answers for it.
    pub owner: Option<Owner>,
    /// A resource server's own audiences.
    pub audiences: Vec<Audience>,
    /// True when it reports for other tools than its own.
    pub gateway: bool,
    /// False when networks are declared for it and the peer is in none, or nobody knows where it is.
    pub network_declared: bool,
}

/// Something that was refused and says something about an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The SPIFFE ID or the person that was proven.
    pub subject: String,
    /// The method.
    pub rpc: &'static str,
    /// Why.
    pub code: ReasonCode,
    /// The peer's address.
    pub peer_address: Option<SocketAddr>,
    /// The task that was named.
    pub task: Option<TaskId>,
}

impl WorkloadCaller {
    /// Who the peer is to this bundle. Whatever decides asks the bundle that it decides under, because who opened a connection
    /// may have become somebody else meanwhile, or nobody.
    pub(in crate::broker) fn under(bundle: &PolicyBundle, peer: &Arc<VerifiedPeer>) -> Result<Self, BrokerError> {
        let identity = bundle.identities().identify(peer.spiffe_id());
        let identity = identity.ok_or(BrokerError::NotPermitted { code: ReasonCode::IdentityUnknown })?;
        Ok(Self {
            peer: peer.clone(),
            class: identity.class,
            owner: identity.owner.clone(),
            audiences: identity.audiences.clone(),
            gateway: identity.gateway,
            network_declared: match peer.authentication() {
                // Whoever shows a token may be anywhere: the address is that of a proxy.
                Authentication::JwtSvid => identity.calls_from_anywhere(),
                _ => peer.address().is_none_or(|a| identity.calls_from(a.ip())),
            },
        })
    }

    pub(in crate::broker) fn actor(&self) -> pb::Actor {
        pb::Actor {
            kind: pb::actor::Kind::Workload.into(),
            id: self.peer.spiffe_id().to_string(),
            class: self.class.to_string(),
            authentication: self.peer.authentication().as_str().to_owned(),
            certificate_digest: self.peer.certificate_thumbprint().map(ToString::to_string).unwrap_or_default(),
            person: None,
        }
    }
}

/// A handshake or a token that was refused, and proved nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprovenRefusal {
    /// The SPIFFE ID that was shown: anybody can write a certificate, and a token.
    pub shown: Option<String>,
    /// The method that a token was shown for, or [`HANDSHAKE`].
    pub rpc: &'static str,
    /// Why.
    pub code: ReasonCode,
    /// The peer's address.
    pub peer_address: Option<SocketAddr>,
}

/// What a certificate is shown for.
pub const HANDSHAKE: &str = "handshake";

impl Caller {
    /// The class, as the access table names it.
    #[must_use]
    pub const fn class_name(&self) -> &'static str {
        match self {
            Self::Workload(w) => w.class.as_str(),
            Self::Person(_) => IdentityClass::Human.as_str(),
            Self::Operator { .. } => "operator",
        }
    }

    /// Who it is, as records name it.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Workload(w) => w.peer.spiffe_id().to_string(),
            Self::Person(person) => format!("person:{}", person.name()),
            Self::Operator { uid } => format!("uid:{uid}"),
        }
    }

    pub(in crate::broker) fn actor(&self) -> pb::Actor {
        match self {
            Self::Workload(w) => w.actor(),
            Self::Person(person) => pb::Actor {
                kind: pb::actor::Kind::Person.into(),
                id: person.name().to_string(),
                class: IdentityClass::Human.as_str().to_owned(),
                authentication: Authentication::Oidc.as_str().to_owned(),
                certificate_digest: String::new(),
                person: Some(evidence(person)),
            },
            Self::Operator { uid } => pb::Actor {
                kind: pb::actor::Kind::Operator.into(),
                id: format!("uid:{uid}"),
                class: "operator".to_owned(),
                authentication: Authentication::Unix.as_str().to_owned(),
                certificate_digest: String::new(),
                person: None,
            },
        }
    }

    /// The workload, where only one may ask.
    pub(in crate::broker) const fn workload(&self) -> Result<&WorkloadCaller, BrokerError> {
        match self {
            Self::Workload(w) => Ok(w),
            Self::Person(_) | Self::Operator { .. } => {
                Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed })
            }
        }
    }

    /// True when nothing of that kind is hidden from the caller: the operator, and a person with that right.
    pub(in crate::broker) fn has(&self, right: Right) -> bool {
        match self {
            Self::Operator { .. } => true,
            Self::Person(person) => person.may(right),
            Self::Workload(_) => false,
        }
    }

    /// True when the caller is the person on whose behalf the task runs, and was verified as such when it was registered.
    pub(in crate::broker) fn initiated(&self, task: &Task) -> bool {
        matches!(self, Self::Person(p) if task.initiator.verified && task.initiator.name == *p.name())
    }

    /// True when a person authenticated long ago, or the issuer did not say. Who is no person has no such time.
    pub(in crate::broker) fn is_stale(&self, now: Timestamp) -> bool {
        matches!(self, Self::Person(person) if !person.is_fresh(now))
    }

    /// True when the caller is that workload.
    pub(in crate::broker) fn is(&self, id: &SpiffeId) -> bool {
        matches!(self, Self::Workload(w) if w.peer.spiffe_id() == id)
    }

    /// True when the caller is a resource server that owns the grant's audience.
    pub(in crate::broker) fn serves(&self, grant: &Grant) -> bool {
        matches!(self, Self::Workload(w) if w.class == IdentityClass::ResourceServer
            && w.audiences.contains(&grant.audience))
    }
}

/// What an issuer said, as it stands in the record.
pub(in crate::broker) fn evidence(person: &VerifiedPerson) -> pb::PersonEvidence {
    let said = person.evidence();
    pb::PersonEvidence {
        issuer: said.issuer.clone(),
        subject: said.subject.clone(),
        acr: said.acr.clone(),
        amr: said.amr.clone(),
        auth_time_s: said.authenticated.map(Timestamp::as_secs),
        token: said.kind.as_str().to_owned(),
        client: person.client().to_owned(),
        token_digest: person.token_digest().to_vec().into(),
    }
}

/// The broker itself, as the actor of what no caller asked for.
pub(in crate::broker) fn broker_actor() -> pb::Actor {
    pb::Actor { kind: pb::actor::Kind::Broker.into(), id: "carnet".to_owned(), ..pb::Actor::default() }
}
