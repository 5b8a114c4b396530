//! What a chat endpoint answers, as far as it is an answer.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::pb::v1::ScoreResponse;

/// A completion, as far as it matters; endpoints add much.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    system_fingerprint: Option<String>,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// What the model was asked for, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    score: f64,
    reason_code: String,
    explanation: String,
}

/// The form of the answer, as structured output has it.
pub(super) fn schema() -> Value {
    json!({
        "name": "risk_score",
        "strict": true,
        "schema": {
            "type": "object",
            "properties": {
                "score": { "type": "number", "description": "0 (nothing suspicious) to 1 (certainly malicious)" },
                "reason_code": { "type": "string", "description": "one word of letters, digits and _" },
                "explanation": { "type": "string", "description": "one or two sentences" },
            },
            "required": ["score", "reason_code", "explanation"],
            "additionalProperties": false,
        },
    })
}

/// Reads an answer. `asked` is the model that was asked for, where the answer names none.
///
/// # Errors
/// Says what is wrong with it, in words of our own.
pub(super) fn read(answer: &str, asked: &str) -> Result<ScoreResponse, &'static str> {
    let completion: Completion = serde_json::from_str(answer).map_err(|_| "it is no completion")?;
    let [choice] = completion.choices.as_slice() else { return Err("it has not one choice") };
    if choice.message.refusal.is_some() {
        return Err("the model refused");
    }
    if choice.finish_reason.as_deref() != Some("stop") {
        return Err("the model did not finish");
    }
    let content = choice.message.content.as_deref().ok_or("it says nothing")?;
    let verdict: Verdict = serde_json::from_str(content).map_err(|_| "it is not of the form that was asked for")?;
    Ok(ScoreResponse {
        score: Some(verdict.score),
        reason_code: verdict.reason_code,
        explanation: verdict.explanation,
        model: completion.model.filter(|model| !model.is_empty()).unwrap_or_else(|| asked.to_owned()),
        model_version: completion.system_fingerprint.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
