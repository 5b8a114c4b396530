//! The configuration as it was written. `deploy/config/carnet.toml` shows every setting with what it means; what is absent
//! takes the default that stands there. Nothing is judged here but the shape.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::people::People;
use crate::config::policy::WrittenPolicy;
use crate::config::quantity::{Size, Span};
use crate::config::scorers::WrittenScorer;
use crate::config::webhooks::Webhook;
use crate::token::header::{SigningAlgorithm, TokenType};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Where the journal and the keys lie.
    pub(super) data_dir: Option<PathBuf>,
    /// The policy bundle that is activated when the journal holds none.
    pub(super) policy_dir: Option<PathBuf>,
    /// `iss` of every token.
    pub(super) issuer: Option<String>,
    #[serde(default)]
    pub(super) workloads: Workloads,
    #[serde(default)]
    pub(super) https: Https,
    #[serde(default)]
    pub(super) bearer: Bearer,
    #[serde(default)]
    pub(super) people: People,
    #[serde(default)]
    pub(super) operator: Operator,
    #[serde(default)]
    pub(super) tokens: Tokens,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) journal: Journal,
    #[serde(default)]
    pub(super) approvals: Approvals,
    #[serde(default)]
    pub(super) break_glass: BreakGlass,
    #[serde(default)]
    pub(super) webhooks: Vec<Webhook>,
    #[serde(default)]
    pub(super) scorers: Vec<WrittenScorer>,
    #[serde(default)]
    pub(super) policy: WrittenPolicy,
    #[serde(default)]
    pub(super) revocation: Revocation,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workloads {
    pub(super) listen: Option<String>,
    pub(super) trust_domains: Option<Vec<String>>,
    pub(super) endpoint_socket: Option<String>,
    pub(super) connect_timeout: Option<Span>,
    pub(super) handshake_timeout: Option<Span>,
    pub(super) connections_max: Option<u32>,
    pub(super) drain_timeout: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Https {
    pub(super) enabled: Option<bool>,
    pub(super) listen: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) certificate_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bearer {
    pub(super) enabled: Option<bool>,
    pub(super) listen: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) jwt_svid_life_max: Option<Span>,
    pub(super) certificate: Option<String>,
    pub(super) certificate_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub(super) ttl_default: Option<Span>,
    pub(super) ttl_max: Option<Span>,
    pub(super) next_key_lead: Option<Span>,
    pub(super) master_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) formats: Vec<Format>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    pub(super) audience: String,
    pub(super) algorithm: Option<SigningAlgorithm>,
    #[serde(rename = "type")]
    pub(super) kind: Option<TokenType>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) requests_per_second: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) in_flight: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) segment_size: Option<Size>,
    pub(super) snapshot_every: Option<u64>,
    pub(super) disk_reserve: Option<Size>,
    pub(super) checkpoint_interval: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approvals {
    pub(super) answer_within: Option<Span>,
    pub(super) unattended_answer_within: Option<Span>,
    pub(super) use_within: Option<Span>,
    pub(super) denial_stands: Option<Span>,
    pub(super) escalate_after: Option<Span>,
    pub(super) escalate_step_up: Option<bool>,
    #[serde(default)]
    pub(super) escalate_to: Vec<String>,
    pub(super) pending_per_agent: Option<u32>,
    pub(super) pending_per_initiator: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakGlass {
    pub(super) life_default: Option<Span>,
    pub(super) life_max: Option<Span>,
    pub(super) ttl_max: Option<Span>,
    pub(super) review_within: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    pub(super) heartbeat: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: Option<String>,
    pub(super) filter: Option<String>,
}
