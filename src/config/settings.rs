//! What the configuration means: typed, with defaults filled in and every bound checked. Whoever embeds a broker (the dev
//! broker, tests, the load generator) makes these directly.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::approvals::{ApprovalSettings, approvals};
use crate::config::break_glass::{BreakGlassSettings, break_glass};
use crate::config::file::{Bearer, File, Format, Https, Journal, Limits, Log, Tokens, Workloads};
use crate::config::issuer::issuer_url;
use crate::config::people::{PeopleSettings, people};
use crate::config::policy::{PolicySettings, policy};
use crate::config::quantity::{Size, Span};
use crate::config::scorers::{ScorerSettings, scorers};
use crate::config::webhooks::{WebhookSettings, webhooks};
use crate::config::{ENDPOINT_SOCKET, Environment, Problem};
use crate::model::id::Audience;
use crate::model::limits::{CONNECTIONS_DEFAULT, HANDSHAKE_SECONDS_DEFAULT, TTL_SECONDS_DEFAULT, TTL_SECONDS_MAX};
use crate::model::spiffe_id::TrustDomain;
use crate::model::time::Ttl;
use crate::token::claims::Issuer;
use crate::token::header::{SigningAlgorithm, TokenType};

/// Everything that `serve` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the journal and the keys lie.
    pub data_dir: PathBuf,
    /// The policy bundle that is activated when the journal holds none.
    pub policy_dir: PathBuf,
    /// `iss` of every token: an https URL without query, fragment or trailing slash (RFC 8414 §2).
    pub issuer: Issuer,
    /// The door of workloads.
    pub workloads: WorkloadSettings,
    /// Keys, health and metrics over HTTPS; `None` when that door stays shut.
    pub https: Option<HttpsSettings>,
    /// The door of those who show a token; `None` when it stays shut.
    pub bearer: Option<BearerSettings>,
    /// People, and their door.
    pub people: PeopleSettings,
    /// The operator's socket.
    pub operator_socket: PathBuf,
    /// Tokens and keys.
    pub tokens: TokenSettings,
    /// What one caller may ask for.
    pub limits: LimitSettings,
    /// The journal.
    pub journal: JournalSettings,
    /// How people are asked what policy does not decide alone.
    pub approvals: ApprovalSettings,
    /// How break-glass is opened.
    pub break_glass: BreakGlassSettings,
    /// What it takes to put a policy bundle in force.
    pub policy: PolicySettings,
    /// Whom it tells what waits for people.
    pub webhooks: Vec<WebhookSettings>,
    /// Who is asked how suspicious a step is.
    pub scorers: Vec<ScorerSettings>,
    /// How often a receiver of revocations hears that nothing happened.
    pub heartbeat: Duration,
    /// The log.
    pub log: LogSettings,
}

/// The door of workloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The trust domains whose workloads may connect; never empty.
    pub trust_domains: Vec<TrustDomain>,
    /// The address of the Workload API, e.g. `unix:///run/spire/agent.sock`.
    pub endpoint_socket: String,
    /// How long start-up waits for the first SVID.
    pub connect_timeout: Duration,
    /// How long a peer may take to prove who it is.
    pub handshake_timeout: Duration,
    /// Most connections at once.
    pub connections_max: usize,
    /// How long requests in flight may take to finish when the broker is asked to stop.
    pub drain_timeout: Duration,
}

/// Keys, health and metrics over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows.
    pub certificate: CertificateSource,
}

/// The door of those who show a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows.
    pub certificate: CertificateSource,
    /// The audience of JWT-SVIDs that are for us.
    pub audience: String,
    /// The longest life of a JWT-SVID that is accepted.
    pub jwt_svid_life_max: Duration,
}

/// Where the certificate of a door for those who show none comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// The broker's own SVID.
    Svid,
    /// PEM files, as of a Web PKI authority; read at start.
    Files {
        /// The certificate and what stands between it and the root.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Tokens and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// Audiences that want tokens of another form than ES256 and `at+jwt`.
    pub formats: BTreeMap<Audience, TokenForm>,
    /// The life of a token when neither request nor policy says.
    pub ttl_default: Ttl,
    /// The longest life of any token.
    pub ttl_max: Ttl,
    /// How long a new key is published before it signs.
    pub next_key_lead: Duration,
    /// The key that wraps the keys under which people's and agents' words are stored.
    pub master_key_file: PathBuf,
}

/// The form of the tokens for one audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenForm {
    /// What they are signed with.
    pub algorithm: SigningAlgorithm,
    /// What they say that they are.
    pub kind: TokenType,
}

/// What one caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests a second, in the long run.
    pub requests_per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Requests in flight.
    pub in_flight: u32,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Space that is held back for ends and revocations.
    pub disk_reserve_bytes: u64,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// What is told, e.g. `info` or `carnet=debug,warn`.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// For machines.
    Json,
}

impl Default for LimitSettings {
    fn default() -> Self {
        // Far more than an agent asks that thinks between its steps, and little of what a broker answers.
        Self { requests_per_second: 200, burst: 400, in_flight: 128 }
    }
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            // Few enough files to list, each small enough to copy in a moment.
            segment_bytes: 64 << 20,
            // A start reads no more events than so many.
            snapshot_every: 50_000,
            // Room for ends and revocations until somebody makes more.
            disk_reserve_bytes: 64 << 20,
            // A checkpoint that is kept elsewhere covers all but the last minute.
            checkpoint_interval: Duration::from_secs(60),
        }
    }
}

/// Heartbeat of `Watch` when the file does not say: a verifier that hears nothing for a few of them is stale.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(2);
/// Longest life of a JWT-SVID when the file does not say: far more than what issuers give, far less than a password's.
pub const JWT_SVID_LIFE_MAX_DEFAULT: Duration = Duration::from_secs(3600);
/// Lead of the next key when the file does not say: verifiers cache the key set for less than that.
pub const NEXT_KEY_LEAD_DEFAULT: Duration = Duration::from_secs(3600);

/// Takes what was written and says what it means, or everything that is wrong with it.
pub(super) fn from_file(file: File, environment: &Environment) -> Result<Settings, Vec<Problem>> {
    let mut check = Check::default();
    let data_dir = check.required("data_dir", file.data_dir);
    let policy_dir = check.required("policy_dir", file.policy_dir);
    let issuer = check.required("issuer", file.issuer);
    let issuer = issuer.and_then(|text| check.kept("issuer", issuer_url(&text)));
    let master_key_default = data_dir.as_ref().map(|dir| dir.join("master.key"));
    let workloads = check.workloads(file.workloads, environment);
    let https = check.https(file.https);
    let bearer = check.bearer(file.bearer, issuer.as_ref());
    let people = people(&mut check, file.people);
    let policy = policy(&mut check, file.policy, people.as_ref());
    let tokens = check.tokens(file.tokens, master_key_default);
    let limits = check.limits(&file.limits);
    let journal = check.journal(&file.journal);
    let approvals = approvals(&mut check, &file.approvals, people.as_ref());
    let break_glass = break_glass(&mut check, &file.break_glass);
    let webhooks = webhooks(&mut check, file.webhooks);
    let scorers = scorers(&mut check, file.scorers);
    let heartbeat = check.within(
        "revocation.heartbeat",
        file.revocation.heartbeat.unwrap_or(Span(HEARTBEAT_DEFAULT)),
        Span(Duration::from_millis(100))..=Span(MINUTE),
    );
    let log = check.log(file.log);
    let operator_socket = file.operator.socket.or_else(|| data_dir.as_ref().map(|dir| dir.join("operator.sock")));
    let settings = || {
        Some(Settings {
            data_dir: data_dir?,
            policy_dir: policy_dir?,
            issuer: issuer?,
            workloads: workloads?,
            https: https?,
            bearer: bearer?,
            people: people?,
            operator_socket: operator_socket?,
            tokens: tokens?,
            limits,
            journal,
            approvals,
            break_glass,
            policy,
            webhooks,
            scorers: scorers?,
            heartbeat: heartbeat.0,
            log: log?,
        })
    };
    match settings() {
        Some(settings) if check.0.is_empty() => Ok(settings),
        _ => Err(check.0),
    }
}

/// Collects what is wrong, so that all of it is told at once.
#[derive(Default)]
pub(super) struct Check(Vec<Problem>);

impl Check {
    pub(super) fn problem(&mut self, setting: &str, problem: impl Display) {
        self.0.push(Problem { setting: setting.to_owned(), problem: problem.to_string() });
    }

    pub(super) fn required<T>(&mut self, setting: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.problem(setting, "is missing");
        }
        value
    }

    pub(super) fn kept<T>(&mut self, setting: &str, value: Result<T, impl Display>) -> Option<T> {
        value.map_err(|e| self.problem(setting, e)).ok()
    }

    pub(super) fn within<T: PartialOrd + Display + Copy>(
        &mut self,
        setting: &str,
        value: T,
        range: std::ops::RangeInclusive<T>,
    ) -> T {
        if !range.contains(&value) {
            self.problem(setting, format!("`{value}` is not between `{}` and `{}`", range.start(), range.end()));
        }
        value
    }

    pub(super) fn address(&mut self, setting: &str, written: Option<String>, default: &str) -> Option<SocketAddr> {
        let text = written.unwrap_or_else(|| default.to_owned());
        let parsed = text.parse::<SocketAddr>();
        self.kept(setting, parsed.map_err(|_| format!("`{text}` is not an address and a port, e.g. `{default}`")))
    }

    fn workloads(&mut self, written: Workloads, environment: &Environment) -> Option<WorkloadSettings> {
        let listen = self.address("workloads.listen", written.listen, "0.0.0.0:7443");
        let names = self.required("workloads.trust_domains", written.trust_domains).unwrap_or_default();
        let trust_domains: Vec<TrustDomain> = names
            .iter()
            .filter_map(|name| self.kept("workloads.trust_domains", name.parse().map_err(|e| format!("`{name}`: {e}"))))
            .collect();
        if names.is_empty() {
            self.problem("workloads.trust_domains", "an empty list would let nobody in");
        }
        let socket = written.endpoint_socket.or_else(|| environment.get(ENDPOINT_SOCKET).cloned());
        let Some(endpoint_socket) = socket else {
            self.problem("workloads.endpoint_socket", format!("is missing, and so is `{ENDPOINT_SOCKET}`"));
            return None;
        };
        if !endpoint_socket.starts_with("unix:") && !endpoint_socket.starts_with("tcp:") {
            self.problem(
                "workloads.endpoint_socket",
                format!("`{endpoint_socket}` begins neither with `unix:` nor `tcp:`"),
            );
        }
        let mut span = |name: &str, written: Option<Span>, default: u64, max: u64| {
            let second = Duration::from_secs(1);
            let default = Span(Duration::from_secs(default));
            self.within(name, written.unwrap_or(default), Span(second)..=Span(Duration::from_secs(max))).0
        };
        let connect_timeout = span("workloads.connect_timeout", written.connect_timeout, 30, 600);
        let handshake_timeout =
            span("workloads.handshake_timeout", written.handshake_timeout, HANDSHAKE_SECONDS_DEFAULT, 60);
        let drain_timeout = span("workloads.drain_timeout", written.drain_timeout, 20, 600);
        let connections = written.connections_max.unwrap_or(CONNECTIONS_DEFAULT);
        let connections = self.within("workloads.connections_max", connections, 1..=CONNECTIONS_MAX);
        Some(WorkloadSettings {
            listen: listen?,
            trust_domains,
            endpoint_socket,
            connect_timeout,
            handshake_timeout,
            connections_max: usize::try_from(connections).unwrap_or(usize::MAX),
            drain_timeout,
        })
    }

    fn https(&mut self, written: Https) -> Option<Option<HttpsSettings>> {
        let Https { enabled, listen, certificate, certificate_file, key_file } = written;
        if enabled == Some(false) {
            return Some(None);
        }
        let listen = self.address("https.listen", listen, "0.0.0.0:7444");
        let certificate = self.certificate("https.certificate", certificate, certificate_file, key_file);
        Some(Some(HttpsSettings { listen: listen?, certificate: certificate? }))
    }

    fn bearer(&mut self, written: Bearer, issuer: Option<&Issuer>) -> Option<Option<BearerSettings>> {
        let Bearer { enabled, listen, audience, jwt_svid_life_max, certificate, certificate_file, key_file } = written;
        if enabled != Some(true) {
            return Some(None);
        }
        let listen = self.address("bearer.listen", listen, "0.0.0.0:7445");
        let certificate = self.certificate("bearer.certificate", certificate, certificate_file, key_file);
        let life = jwt_svid_life_max.unwrap_or(Span(JWT_SVID_LIFE_MAX_DEFAULT));
        let life = self.within("bearer.jwt_svid_life_max", life, Span(MINUTE)..=Span(MINUTE * 60 * 24)).0;
        let audience = audience.or_else(|| issuer.map(ToString::to_string))?;
        if audience.is_empty() || audience.chars().any(char::is_control) {
            self.problem("bearer.audience", "is empty, or holds control characters");
        }
        let (listen, certificate) = (listen?, certificate?);
        Some(Some(BearerSettings { listen, certificate, audience, jwt_svid_life_max: life }))
    }

    fn certificate(
        &mut self,
        setting: &str,
        source: Option<String>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Option<CertificateSource> {
        match (source.as_deref().unwrap_or("svid"), certificate, key) {
            ("svid", None, None) => return Some(CertificateSource::Svid),
            ("files", Some(certificate), Some(key)) => return Some(CertificateSource::Files { certificate, key }),
            ("svid", ..) => self.problem(setting, "`svid` takes no files; did you mean `files`?"),
            ("files", ..) => self.problem(setting, "`files` needs `certificate_file` and `key_file`"),
            (other, ..) => self.problem(setting, format!("`{other}` is neither `svid` nor `files`")),
        }
        None
    }

    fn tokens(&mut self, written: Tokens, master_key_default: Option<PathBuf>) -> Option<TokenSettings> {
        let formats = self.formats(written.formats);
        let mut ttl = |name: &str, written: Option<Span>, default: u64| {
            let (least, most) = (Duration::from_secs(1), Duration::from_secs(TTL_SECONDS_MAX));
            let default = Span(Duration::from_secs(default));
            let span = self.within(name, written.unwrap_or(default), Span(least)..=Span(most)).0;
            if span.subsec_millis() != 0 {
                self.problem(name, "is not a whole number of seconds");
            }
            Ttl::from_secs(span.as_secs()).ok()
        };
        let ttl_default = ttl("tokens.ttl_default", written.ttl_default, TTL_SECONDS_DEFAULT);
        let ttl_max = ttl("tokens.ttl_max", written.ttl_max, TTL_SECONDS_MAX);
        if ttl_default > ttl_max {
            self.problem("tokens.ttl_default", "is above `tokens.ttl_max`");
        }
        let lead = written.next_key_lead.unwrap_or(Span(NEXT_KEY_LEAD_DEFAULT));
        let lead = self.within("tokens.next_key_lead", lead, Span(MINUTE)..=Span(MINUTE * 60 * 24 * 30));
        Some(TokenSettings {
            formats,
            ttl_default: ttl_default?,
            ttl_max: ttl_max?,
            next_key_lead: lead.0,
            master_key_file: written.master_key_file.or(master_key_default)?,
        })
    }

    fn formats(&mut self, written: Vec<Format>) -> BTreeMap<Audience, TokenForm> {
        let mut formats = BTreeMap::new();
        for Format { audience, algorithm, kind } in written {
            let name = format!("tokens.formats `{}`", audience.chars().take(TOLD_CHARS_MAX).collect::<String>());
            let audience = self.kept(&name, audience.parse::<Audience>());
            let form = TokenForm { algorithm: algorithm.unwrap_or_default(), kind: kind.unwrap_or_default() };
            if let Some(audience) = audience
                && formats.insert(audience, form).is_some()
            {
                self.problem(&name, "stands twice");
            }
        }
        formats
    }

    fn limits(&mut self, written: &Limits) -> LimitSettings {
        let default = LimitSettings::default();
        let mut limit = |name: &str, written: Option<u32>, default: u32| {
            self.within(name, written.unwrap_or(default), 1..=PER_CALLER_MAX)
        };
        LimitSettings {
            requests_per_second: limit(
                "limits.requests_per_second",
                written.requests_per_second,
                default.requests_per_second,
            ),
            burst: limit("limits.burst", written.burst, default.burst),
            in_flight: limit("limits.in_flight", written.in_flight, default.in_flight),
        }
    }

    fn journal(&mut self, written: &Journal) -> JournalSettings {
        let default = JournalSettings::default();
        let size = |written: Option<Size>, default| written.unwrap_or(Size(default));
        let segment = size(written.segment_size, default.segment_bytes);
        let reserve = size(written.disk_reserve, default.disk_reserve_bytes);
        let interval = written.checkpoint_interval.unwrap_or(Span(default.checkpoint_interval));
        let events = written.snapshot_every.unwrap_or(default.snapshot_every);
        JournalSettings {
            segment_bytes: self.within("journal.segment_size", segment, Size(1 << 20)..=Size(4 << 30)).0,
            snapshot_every: self.within("journal.snapshot_every", events, 100..=100_000_000),
            disk_reserve_bytes: self.within("journal.disk_reserve", reserve, Size(1 << 20)..=Size(64 << 30)).0,
            checkpoint_interval: self
                .within("journal.checkpoint_interval", interval, Span(MINUTE / 60)..=Span(MINUTE * 60))
                .0,
        }
    }

    fn log(&mut self, written: Log) -> Option<LogSettings> {
        let format = match written.format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                self.problem("log.format", format!("`{other}` is neither `text` nor `json`"));
                return None;
            }
        };
        let filter = written.filter.unwrap_or_else(|| "info".to_owned());
        let valid = filter.parse::<tracing_subscriber::filter::EnvFilter>();
        self.kept("log.filter", valid.map_err(|e| format!("`{filter}`: {e}")))?;
        Some(LogSettings { format, filter })
    }
}

/// Characters of a name in the file that is told when something is wrong with it: enough to find it.
pub(super) const TOLD_CHARS_MAX: usize = 64;
/// Most connections: beyond it a process runs out of file descriptors on common systems.
const CONNECTIONS_MAX: u32 = 500_000;
/// Most that any one caller may be allowed: above this a limit is none.
const PER_CALLER_MAX: u32 = 1_000_000;
const MINUTE: Duration = Duration::from_secs(60);
