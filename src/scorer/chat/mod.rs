//! A chat endpoint as a scorer: one that speaks as OpenAI's does and gives structured output. The model is told the facts, with
//! what others wrote fenced off; what it answers must have the form that was asked for, to the letter.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use crate::broker::scorers::{Answering, RiskScorer, ScorerFault};
use crate::entropy::Entropy;
use crate::entropy::secret_file::{self, SecretFileError};
use crate::identity::get::GetError;
use crate::identity::web::{HttpsUrl, WebRoots};
use crate::pb::v1::{ScoreRequest, ScoreResponse};

mod prompt;
mod reply;

/// Largest API key that is read, in bytes.
const KEY_BYTES_MAX: u64 = 4096;
/// Most tokens of an answer: a score, a code and two sentences, and what a model may think before them.
const ANSWER_TOKENS_MAX: u32 = 2000;

/// Asks one endpoint, over a connection for each question.
#[derive(Debug, Clone)]
pub struct ChatScorer {
    url: HttpsUrl,
    model: String,
    api_key_file: Option<PathBuf>,
    roots: WebRoots,
    entropy: Entropy,
}

/// Why an API key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// Its file cannot be read.
    #[error("the API key cannot be read")]
    File(#[from] SecretFileError),
    /// It is empty, or no text that a header can hold.
    #[error("`{}` holds no API key", .0.display())]
    Key(PathBuf),
}

impl ChatScorer {
    /// One at that URL. The key is read anew for each question, so that it can be replaced; here it is looked at.
    ///
    /// # Errors
    /// When the file of the key cannot be read, or holds none.
    pub fn new(
        url: HttpsUrl,
        model: String,
        api_key_file: Option<PathBuf>,
        roots: WebRoots,
        entropy: Entropy,
    ) -> Result<Self, ApiKeyError> {
        let this = Self { url, model, api_key_file, roots, entropy };
        this.key()?;
        Ok(this)
    }

    fn key(&self) -> Result<Option<Zeroizing<String>>, ApiKeyError> {
        let Some(path) = &self.api_key_file else { return Ok(None) };
        let bytes = secret_file::read(path, KEY_BYTES_MAX)?;
        let none = || ApiKeyError::Key(path.clone());
        let text = std::str::from_utf8(&bytes).map_err(|_| none())?.trim();
        // Visible ASCII, as RFC 6750 §2.1 has it of what stands behind `Bearer`.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(none());
        }
        Ok(Some(Zeroizing::new(text.to_owned())))
    }

    fn body(&self, asked: &ScoreRequest) -> Result<String, ScorerFault> {
        let fence: [u8; 16] = self.entropy.bytes().map_err(|error| ScorerFault::Unreachable(Box::new(error)))?;
        let fence: String = fence.iter().map(|byte| format!("{byte:02x}")).collect();
        let facts = prompt::facts(asked, &fence).ok_or(ScorerFault::TooLarge)?;
        let body = json!({
            "model": self.model,
            "messages": [
                { "role": "system", "content": prompt::instructions(&fence) },
                { "role": "user", "content": facts },
            ],
            "max_completion_tokens": ANSWER_TOKENS_MAX,
            "response_format": { "type": "json_schema", "json_schema": reply::schema() },
        });
        Ok(body.to_string())
    }

    async fn ask(&self, asked: &ScoreRequest, within: Duration) -> Result<ScoreResponse, ScorerFault> {
        let body = self.body(asked)?;
        let this = self.clone();
        let key = tokio::task::spawn_blocking(move || this.key()).await;
        let key = key.map_err(|error| ScorerFault::Unreachable(Box::new(error)))?;
        let key = key.map_err(|error| ScorerFault::Unreachable(Box::new(error)))?;
        let answered = self.roots.post_json(&self.url, body, key.as_ref(), within).await;
        let (status, answer) = answered.map_err(|error| match error {
            GetError::Document => ScorerFault::Form("it is too large, or no text"),
            error => ScorerFault::Unreachable(Box::new(error)),
        })?;
        match status {
            200 => reply::read(&answer, &self.model).map_err(ScorerFault::Form),
            // Too long for the model, or filtered for what is in it.
            400 | 413 | 422 => Err(ScorerFault::Form("the question was not taken")),
            _ => Err(ScorerFault::Refused(format!("status {status}"))),
        }
    }
}

impl RiskScorer for ChatScorer {
    fn score<'a>(&'a self, asked: &'a ScoreRequest, within: Duration) -> Answering<'a> {
        Box::pin(self.ask(asked, within))
    }
}
