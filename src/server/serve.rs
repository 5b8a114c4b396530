//! `carnet serve`: from settings to a running broker. `--check` is the same up to the point where something would be written;
//! it listens for a moment, and answers nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::broker::approvals::ApprovalSettings;
use crate::broker::glasses::GlassSettings;
use crate::broker::limit::CallerLimits;
use crate::broker::open;
use crate::broker::proposals::ActivationSettings;
use crate::broker::scorers::ScorerPart;
use crate::clock::Clock;
use crate::config::settings::{CertificateSource, Settings};
use crate::entropy::Entropy;
use crate::identity::certificate_files::CertificateFiles;
use crate::identity::https::ServerCertificate;
use crate::identity::jwt_svid::JwtSvidRules;
use crate::identity::listen::ListenLimits;
use crate::identity::people::People;
use crate::identity::trust::{AcceptedDomains, Trust, TrustOptions};
use crate::journal::open::OpenReport;
use crate::metrics::Metrics;
use crate::mint::ring::{KeySettings, TokenFormat};
use crate::notify::{Notifier, WebhookOptions};
use crate::policy::bundle::BundleFiles;
use crate::server::descriptors::{self, Doors};
use crate::server::doors::{BearerDoor, TlsDoor, WorkloadDoor};
use crate::server::error::ServerError;
use crate::server::folder::{DataFolder, FolderOptions};
use crate::server::operator;
use crate::server::people;
use crate::server::policy;
use crate::server::scorers;
use crate::server::start::{Drained, Parts, Running, start};
use crate::server::webhooks;

/// Everything that can be checked before anything is written or listened at.
#[derive(Debug)]
pub struct Checked {
    settings: Settings,
    folder: DataFolder,
    policy: BundleFiles,
    activation: ActivationSettings,
    unsigned: Option<String>,
    warnings: Vec<String>,
    trust: Trust,
    https: Option<ServerCertificate>,
    bearer: Option<ServerCertificate>,
    people: Option<People>,
    people_door: Option<ServerCertificate>,
    webhooks: Vec<WebhookOptions>,
    scorers: Vec<ScorerPart>,
}

/// Checks the settings against the world: the folder with its keys, the policy bundle with its tests, the certificate, open
/// files, addresses, the operator's socket, the Workload API. It makes and changes nothing.
///
/// # Errors
/// When any of it cannot be used.
pub async fn check(settings: Settings) -> Result<Checked, ServerError> {
    let folder = DataFolder::new(&settings.data_dir).with_master_key(&settings.tokens.master_key_file);
    folder.refuse_dev()?;
    let (looked, issuer) = (folder.clone(), settings.issuer.as_str().to_owned());
    let looked = spawn_blocking(move || looked.inspect(&issuer, &Entropy::system()));
    looked.await.map_err(ServerError::Thread)??;
    let doors = Doors {
        https: settings.https.is_some(),
        bearer: settings.bearer.is_some(),
        people: settings.people.door.is_some(),
    };
    descriptors::check(settings.workloads.connections_max, doors)?;
    let https = settings.https.as_ref().map(|https| https.listen);
    let bearer = settings.bearer.as_ref().map(|bearer| bearer.listen);
    let people = settings.people.door.as_ref().map(|door| door.listen);
    // All at a time, because two of them may be the same.
    let at = [Some(settings.workloads.listen), https, bearer, people].into_iter().flatten();
    drop(at.map(could_listen).collect::<Result<Vec<_>, _>>()?);
    could_hold_socket(&settings).await?;
    let (policy_dir, written) = (settings.policy_dir.clone(), settings.policy.clone());
    let directory = people::directory(&settings.people, settings.approvals.escalate_to.clone());
    let looked = spawn_blocking(move || {
        let activation = policy::activation(&written)?;
        let (files, unsigned, bundle) = policy::configured(&policy_dir, activation.signers.as_deref())?;
        let warnings = policy::warnings(&bundle, &directory, Clock::system().now());
        Ok::<_, ServerError>((activation, files, unsigned, warnings))
    });
    let (activation, policy, unsigned, warnings) = looked.await.map_err(ServerError::Thread)??;
    // What is in force stays so, whatever is configured.
    let unsigned = match unsigned {
        Some(error) if !folder.is_begun() => return Err(ServerError::PolicySignatures(error)),
        unsigned => unsigned.map(|error| error.to_string()),
    };
    let options = TrustOptions {
        endpoint: settings.workloads.endpoint_socket.clone(),
        accepted: AcceptedDomains::Listed(BTreeSet::from_iter(settings.workloads.trust_domains.iter().cloned())),
        first_svid_within: settings.workloads.connect_timeout,
        clock: Clock::system(),
    };
    let mut certificates = Certificates { clock: options.clock.clone(), files: BTreeMap::new() };
    let https = settings.https.as_ref().map(|https| certificates.load(&https.certificate)).transpose()?;
    let bearer = settings.bearer.as_ref().map(|bearer| certificates.load(&bearer.certificate)).transpose()?;
    let people_door = settings.people.door.as_ref().map(|door| certificates.load(&door.certificate)).transpose()?;
    let people = people::people(&settings.people, &options.clock)?;
    let webhooks = webhooks::webhooks(&settings.webhooks)?;
    let trust = Trust::connect(options).await?;
    if bearer.is_some() {
        trust.connect_jwt(settings.workloads.connect_timeout).await?;
    }
    let svid = || ServerCertificate::Svid(trust.clone());
    let https = https.map(|files| files.map_or_else(svid, ServerCertificate::Files));
    let bearer = bearer.map(|files| files.map_or_else(svid, ServerCertificate::Files));
    let people_door = people_door.map(|files| files.map_or_else(svid, ServerCertificate::Files));
    let scorers = scorers::scorers(&settings.scorers, &trust, &Entropy::system())?;
    Ok(Checked {
        settings,
        folder,
        policy,
        activation,
        unsigned,
        warnings,
        trust,
        https,
        bearer,
        people,
        people_door,
        webhooks,
        scorers,
    })
}

/// The certificates of all doors: several may present the same.
struct Certificates {
    clock: Clock,
    files: BTreeMap<(PathBuf, PathBuf), Arc<CertificateFiles>>,
}

impl Certificates {
    /// The files of a certificate; `None` for the own SVID.
    fn load(&mut self, source: &CertificateSource) -> Result<Option<Arc<CertificateFiles>>, ServerError> {
        let CertificateSource::Files { certificate, key } = source else { return Ok(None) };
        let named = (certificate.clone(), key.clone());
        if let Some(known) = self.files.get(&named) {
            return Ok(Some(Arc::clone(known)));
        }
        let files = CertificateFiles::load(certificate, key, &self.clock)?;
        // Should they be replaced, what is in them is presented.
        files.follow();
        self.files.insert(named, Arc::clone(&files));
        Ok(Some(files))
    }
}

fn could_listen(address: SocketAddr) -> Result<std::net::TcpListener, ServerError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the listener does: what an ended broker leaves in the kernel for a while is no obstacle.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        // Two may be bound to an address at a time, but not listen.
        socket.listen(1)?.into_std()
    };
    bound().map_err(|cause| ServerError::Listen { address, cause })
}

async fn could_hold_socket(settings: &Settings) -> Result<(), ServerError> {
    let folder = settings.operator_socket.parent();
    // The data folder is made at the start, for nobody else.
    if folder == Some(settings.data_dir.as_path()) && !settings.data_dir.exists() {
        return Ok(());
    }
    operator::check(&settings.operator_socket).await
}

impl Checked {
    /// The identity that the broker would serve with.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Why the configured bundle could not be activated now, though nothing keeps the one that is in force from staying so.
    #[must_use]
    pub fn unsigned(&self) -> Option<&str> {
        self.unsigned.as_deref()
    }

    /// What somebody should know who is about to put the configured bundle in force, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads the journal through, as a start does that does not come to pass; `None` when there is none yet.
    ///
    /// # Errors
    /// When it would not open, or nothing could be decided with it.
    pub async fn inspect_journal(&self) -> Result<Option<OpenReport>, ServerError> {
        let (folder, clock) = (self.folder.clone(), self.trust.clock().clone());
        let issuer = self.settings.issuer.as_str().to_owned();
        let read = spawn_blocking(move || folder.inspect_journal(&issuer, &clock, &Entropy::system()));
        read.await.map_err(ServerError::Thread)?
    }

    /// Opens the folder, listens, and serves.
    ///
    /// # Errors
    /// When a key or the journal does not open, or a door cannot be listened at.
    pub async fn start(self) -> Result<Running, ServerError> {
        let Self { settings, folder, policy, activation, trust, https, bearer, .. } = self;
        let (people, people_door, webhooks, scorers) = (self.people, self.people_door, self.webhooks, self.scorers);
        let directory = people::directory(&settings.people, settings.approvals.escalate_to.clone());
        let clock = trust.clock().clone();
        let entropy = Entropy::system();
        let (options, time, random) = (folder_options(&settings), clock.clone(), entropy.clone());
        let folder_of_notices = folder.notices();
        let opened = spawn_blocking(move || folder.open(options, &time, &random)).await;
        let contents = opened.map_err(ServerError::Thread)??;
        let operator = operator::bind(&settings.operator_socket).await?;
        let workloads = WorkloadDoor {
            listener: bind(settings.workloads.listen).await?,
            limits: ListenLimits {
                handshake_within: settings.workloads.handshake_timeout,
                connections_max: settings.workloads.connections_max,
                ..ListenLimits::default()
            },
        };
        let handshake_within = settings.workloads.handshake_timeout;
        let door = async |listen, certificate| {
            Ok::<_, ServerError>(TlsDoor { listener: bind(listen).await?, certificate, handshake_within })
        };
        let https = match settings.https.zip(https) {
            Some((https, certificate)) => Some(door(https.listen, certificate).await?),
            None => None,
        };
        let bearer = match settings.bearer.zip(bearer) {
            Some((bearer, certificate)) => {
                let rules = JwtSvidRules { audience: bearer.audience, life_max: Some(bearer.jwt_svid_life_max) };
                Some(BearerDoor { door: door(bearer.listen, certificate).await?, rules })
            }
            None => None,
        };
        let people_door = match settings.people.door.zip(people_door) {
            Some((at, certificate)) => Some(door(at.listen, certificate).await?),
            None => None,
        };
        let notifier = Notifier::new(webhooks, &folder_of_notices, &clock, &entropy);
        let (limits, asked) = (settings.limits, settings.approvals);
        let glass = settings.break_glass;
        let broker = open::Parts {
            settings: crate::broker::Settings {
                issuer: settings.issuer,
                limits: CallerLimits {
                    per_second: limits.requests_per_second,
                    burst: limits.burst,
                    in_flight: limits.in_flight,
                },
                ttl_default: settings.tokens.ttl_default,
                ttl_max: settings.tokens.ttl_max,
                heartbeat: settings.heartbeat,
                approvals: ApprovalSettings {
                    answer_within: asked.answer_within,
                    unattended_answer_within: asked.unattended_answer_within,
                    use_within: asked.use_within,
                    denial_stands: asked.denial_stands,
                    escalate_after: asked.escalate_after,
                    escalate_step_up: asked.escalate_step_up,
                    pending_per_agent_max: asked.pending_per_agent_max as usize,
                    pending_per_initiator_max: asked.pending_per_initiator_max as usize,
                },
                directory,
                glass: GlassSettings {
                    life_default: glass.life_default,
                    life_max: glass.life_max,
                    ttl_max: glass.ttl_max,
                    review_within: glass.review_within,
                },
                activation,
            },
            clock,
            entropy,
            trust,
            people,
            sealer: contents.sealer,
            handles: contents.handles,
            keys: contents.keys,
            journal: contents.journal,
            notifier,
            scorers,
            policy,
            activate: false,
        };
        let drain_timeout = settings.workloads.drain_timeout;
        let metrics = Metrics::new()?;
        let (people, operator) = (people_door, Some(operator));
        start(Parts { broker, workloads, https, bearer, people, operator, metrics, drain_timeout }).await
    }
}

/// Serves until SIGTERM or SIGINT, then ends in good order; a second one cuts off what is still under way.
///
/// # Errors
/// As [`check`] and [`Checked::start`].
pub async fn serve(settings: Settings) -> Result<Drained, ServerError> {
    let log = |cause: std::io::Error| ServerError::Log(Box::new(cause));
    // Before the start, so that a signal during it is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(log)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(log)?;
    let checked = check(settings).await?;
    let running = checked.start().await?;
    let at = running.addresses();
    tracing::info!(workloads = %at.workloads, https = ?at.https, bearer = ?at.bearer, people = ?at.people, operator = ?at.operator, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending: nobody new is let in, what was begun finishes");
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let drained = running.shutdown_unless(again).await;
    tracing::info!("ended");
    Ok(drained)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|cause| ServerError::Listen { address, cause })
}

fn folder_options(settings: &Settings) -> FolderOptions {
    let formats = settings
        .tokens
        .formats
        .iter()
        .map(|(audience, form)| (audience.clone(), TokenFormat { algorithm: form.algorithm, kind: form.kind }));
    FolderOptions {
        issuer: settings.issuer.as_str().to_owned(),
        keys: KeySettings { lead: settings.tokens.next_key_lead, formats: formats.collect() },
        segment_bytes: settings.journal.segment_bytes,
        snapshot_every: settings.journal.snapshot_every,
        disk_reserve_bytes: settings.journal.disk_reserve_bytes,
        checkpoint_interval: settings.journal.checkpoint_interval,
    }
}
