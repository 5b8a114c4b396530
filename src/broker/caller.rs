//! Who asks, and which objects are theirs.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::broker::error::BrokerError;
use crate::broker::state::Grant;
use crate::identity::peer::VerifiedPeer;
use crate::model::id::{Audience, Owner, TaskId};
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::policy::bundle::PolicyBundle;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A workload that proved its SPIFFE ID.
    Workload(WorkloadCaller),
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
    /// False when networks are declared for it and the peer is in none.
    pub network_declared: bool,
}

/// Something that was refused and says something about an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The SPIFFE ID that was proven.
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
            network_declared: peer.address().is_none_or(|a| identity.calls_from(a.ip())),
        })
    }

    pub(in crate::broker) fn actor(&self) -> pb::Actor {
        pb::Actor {
            kind: pb::actor::Kind::Workload.into(),
            id: self.peer.spiffe_id().to_string(),
            class: self.class.to_string(),
            authentication: self.peer.authentication().as_str().to_owned(),
            certificate_digest: self.peer.certificate_thumbprint().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

/// A handshake that was refused before anything was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprovenRefusal {
    /// The SPIFFE ID that was shown: anybody can write a certificate.
    pub shown: Option<String>,
    /// Why.
    pub code: ReasonCode,
    /// The peer's address.
    pub peer_address: Option<SocketAddr>,
}

impl Caller {
    /// The class, as the access table names it.
    #[must_use]
    pub const fn class_name(&self) -> &'static str {
        match self {
            Self::Workload(w) => w.class.as_str(),
            Self::Operator { .. } => "operator",
        }
    }

    /// Who it is, as records name it.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Workload(w) => w.peer.spiffe_id().to_string(),
            Self::Operator { uid } => format!("uid:{uid}"),
        }
    }

    pub(in crate::broker) fn actor(&self) -> pb::Actor {
        match self {
            Self::Workload(w) => w.actor(),
            Self::Operator { uid } => pb::Actor {
                kind: pb::actor::Kind::Operator.into(),
                id: format!("uid:{uid}"),
                class: "operator".to_owned(),
                authentication: Authentication::Unix.as_str().to_owned(),
                certificate_digest: String::new(),
            },
        }
    }

    /// The workload, where only one may ask.
    pub(in crate::broker) const fn workload(&self) -> Result<&WorkloadCaller, BrokerError> {
        match self {
            Self::Workload(w) => Ok(w),
            Self::Operator { .. } => Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed }),
        }
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

/// The broker itself, as the actor of what no caller asked for.
pub(in crate::broker) fn broker_actor() -> pb::Actor {
    pb::Actor { kind: pb::actor::Kind::Broker.into(), id: "carnet".to_owned(), ..pb::Actor::default() }
}
