//! What can be read: `/jwks.json`, `/livez`, `/readyz`, `/metrics`. All else is 404, and only GET and HEAD are answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::broker::Broker;
use crate::metrics::{self, Metrics, Reading};

/// What the pages are made from.
#[derive(Clone)]
pub struct Pages {
    /// Keys and readiness.
    pub broker: Broker,
    /// What is counted.
    pub metrics: Metrics,
    /// Takes a look at what stands now, for each scrape.
    pub look: Arc<dyn Fn() -> Reading + Send + Sync>,
}

/// The pages, as a service.
pub fn router(pages: Pages) -> Router {
    Router::new()
        .route("/jwks.json", get(jwks))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(pages)
}

/// RFC 7517 §8.5. A verifier that meets an unknown key asks again anyway, so a copy may live for minutes.
async fn jwks(State(pages): State<Pages>) -> Response {
    let headers = [(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, JWKS_CACHE)];
    (headers, pages.broker.jwks()).into_response()
}

async fn livez() -> Response {
    ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, FRESH)], "alive\n").into_response()
}

/// Ready when requests can be decided; otherwise one problem a line. What else is amiss follows either way.
async fn readyz(State(pages): State<Pages>) -> Response {
    let mut lines = pages.broker.problems();
    let status = if lines.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if lines.is_empty() {
        lines.push("ready".to_owned());
    }
    lines.extend(pages.broker.remarks());
    (status, [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, FRESH)], lines.join("\n") + "\n").into_response()
}

async fn scrape(State(pages): State<Pages>) -> Response {
    pages.metrics.read(&(pages.look)());
    match pages.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE), (CACHE_CONTROL, FRESH)], text).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Shorter than any lead with which a next key is published, and long enough to spare the broker.
const JWKS_CACHE: &str = "public, max-age=60";
/// What is true only now.
const FRESH: &str = "no-store";
const TEXT: &str = "text/plain; charset=utf-8";
