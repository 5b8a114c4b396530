//! From settings to whoever asks scorers.

use std::sync::Arc;

use crate::broker::scorers::{RiskScorer, ScorerMode, ScorerOptions, ScorerPart};
use crate::config::scorers::{ScorerKind, ScorerSettings};
use crate::entropy::Entropy;
use crate::identity::trust::Trust;
use crate::identity::web::WebRoots;
use crate::scorer::chat::ChatScorer;
use crate::scorer::grpc::GrpcScorer;
use crate::server::error::ServerError;

/// The scorers. Must be called within a Tokio runtime; none is asked yet.
///
/// # Errors
/// When a target, a root or a key cannot be used.
pub(in crate::server) fn scorers(
    settings: &[ScorerSettings],
    trust: &Trust,
    entropy: &Entropy,
) -> Result<Vec<ScorerPart>, ServerError> {
    settings.iter().map(|one| scorer(one, trust, entropy)).collect()
}

fn scorer(settings: &ScorerSettings, trust: &Trust, entropy: &Entropy) -> Result<ScorerPart, ServerError> {
    let name = || settings.name.clone();
    let client: Arc<dyn RiskScorer> = match &settings.kind {
        ScorerKind::Grpc { target, spiffe_id } => {
            let scorer = GrpcScorer::new(target, trust.workload(), spiffe_id.clone());
            Arc::new(scorer.map_err(|cause| ServerError::Scorer { name: name(), cause: Box::new(cause) })?)
        }
        ScorerKind::Chat { url, model, api_key_file, ca_file } => {
            let roots = WebRoots::load(ca_file.as_deref());
            let roots = roots.map_err(|cause| ServerError::Scorer { name: name(), cause: Box::new(cause) })?;
            let (url, model, key, entropy) = (url.clone(), model.clone(), api_key_file.clone(), entropy.clone());
            let scorer = ChatScorer::new(url, model, key, roots, entropy);
            Arc::new(scorer.map_err(|cause| ServerError::Scorer { name: name(), cause: Box::new(cause) })?)
        }
    };
    let options = ScorerOptions {
        name: name(),
        mode: settings.trails.map_or(ScorerMode::Inline, |life_max| ScorerMode::Trailing { life_max }),
        deadline: settings.deadline,
        points: settings.points,
        absent: settings.absent,
        absent_reading: settings.absent_reading,
        effects: settings.effects.clone(),
        at_once: settings.at_once as usize,
        failures_max: settings.failures_max,
        pause: settings.pause,
    };
    Ok(ScorerPart { options, client })
}
