//! One call: the token out of its header, the certificate off its connection, and the call itself are held against each
//! other; then the tool runs, and the broker is told what came back. The caller never learns more than `invalid_token`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::dev::resource_server::tools;
use crate::entropy::Entropy;
use crate::identity::get::read_body;
use crate::identity::peer::VerifiedPeer;
use crate::model::id::{Audience, ToolName};
use crate::model::json::Json;
use crate::model::limits::ARGUMENTS_BYTES_MAX;
use crate::pb::v1::ReportToolCallRequest;
use crate::pb::v1::signal_service_client::SignalServiceClient;
use crate::token::check::Call;
use crate::token::claims::Claims;
use crate::verifier::bearer::bearer;
use crate::verifier::check::{Peer, Verifier};
use crate::verifier::refusal::{Answer, Refusal};

/// What can be done with every tool here: an MCP tool call.
const ACTION: &str = "tools/call";

/// A call, as it is sent.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::dev) struct CallText {
    pub(in crate::dev) tool: String,
    pub(in crate::dev) arguments: Box<RawValue>,
}

/// Answers calls.
pub(in crate::dev::resource_server) struct Desk {
    verifiers: BTreeMap<Audience, Arc<Verifier>>,
    broker: Channel,
}

impl Desk {
    pub(in crate::dev::resource_server) const fn new(
        verifiers: BTreeMap<Audience, Arc<Verifier>>,
        broker: Channel,
    ) -> Self {
        Self { verifiers, broker }
    }

    /// Answers a call of that peer.
    pub(in crate::dev::resource_server) async fn answer(
        &self,
        peer: &VerifiedPeer,
        request: Request<Incoming>,
    ) -> Response<String> {
        let token = {
            let values = request.headers().get_all(AUTHORIZATION);
            bearer(values.iter().map(hyper::header::HeaderValue::as_bytes)).map(str::to_owned)
        };
        let token = match token {
            Ok(token) => token,
            Err(refusal) => return refused(refusal.answer()),
        };
        let Ok(body) = read_body(request.into_body(), ARGUMENTS_BYTES_MAX).await else { return malformed() };
        let Ok(call) = serde_json::from_slice::<CallText>(&body) else { return malformed() };
        let Ok(tool) = call.tool.parse::<ToolName>() else { return malformed() };
        let Ok(arguments) = Json::parse_object(call.arguments.get(), ARGUMENTS_BYTES_MAX) else { return malformed() };
        match self.check(peer, &token, &tool, &arguments) {
            Ok(claims) => self.serve(&claims, &tool, call.arguments.get()).await,
            Err(refusal) => refused(refusal.answer()),
        }
    }

    fn check(&self, peer: &VerifiedPeer, token: &str, tool: &ToolName, arguments: &Json) -> Result<Claims, Refusal> {
        let here = tools::audience_of(tool.as_str()).and_then(|audience| audience.parse().ok());
        let verifier = here.and_then(|audience: Audience| self.verifiers.get(&audience)).ok_or(Refusal::Audience)?;
        let spiffe_id = peer.spiffe_id();
        let peer = peer.certificate_thumbprint().map(|certificate| Peer { certificate: *certificate, spiffe_id });
        let call = Call { tool, actions: &[ACTION], resources: &[], arguments };
        Ok(verifier.verify(token, peer, &call)?.claims().clone())
    }

    /// Runs the tool and reports what came back, so that it can be ground for what the agent does next. A result that cannot be
    /// reported is not given out: nobody would know what the agent has read.
    async fn serve(&self, claims: &Claims, tool: &ToolName, arguments: &str) -> Response<String> {
        let result = tools::run(tool.as_str(), &serde_json::from_str(arguments).unwrap_or(Value::Null));
        let Ok(random) = Entropy::system().bytes::<12>() else { return unavailable() };
        let report = ReportToolCallRequest {
            request_id: random.iter().fold("call-".to_owned(), |id, byte| id + &format!("{byte:02x}")),
            task_id: claims.task.id.to_string(),
            grant_id: claims.task.grant.to_string(),
            tool: tool.to_string(),
            arguments_json: arguments.to_owned(),
            result_json: result.to_string(),
            ..ReportToolCallRequest::default()
        };
        match SignalServiceClient::new(self.broker.clone()).report_tool_call(report).await {
            Ok(_) => body(Response::builder().status(StatusCode::OK), &json!({ "result": result })),
            Err(status) => {
                tracing::warn!(code = ?status.code(), "a call could not be reported");
                unavailable()
            }
        }
    }
}

fn refused(answer: Answer) -> Response<String> {
    let error = match answer {
        Answer::CredentialsNeeded => "credentials_needed",
        Answer::InvalidToken => "invalid_token",
        Answer::InsufficientScope => "insufficient_scope",
    };
    let response = Response::builder().status(answer.status()).header(WWW_AUTHENTICATE, answer.www_authenticate());
    body(response, &json!({ "error": error }))
}

fn malformed() -> Response<String> {
    body(Response::builder().status(StatusCode::BAD_REQUEST), &json!({ "error": "invalid_request" }))
}

fn unavailable() -> Response<String> {
    body(Response::builder().status(StatusCode::SERVICE_UNAVAILABLE), &json!({ "error": "temporarily_unavailable" }))
}

fn body(response: http::response::Builder, json: &Value) -> Response<String> {
    let response = response.header(CONTENT_TYPE, "application/json").body(json.to_string());
    response.unwrap_or_else(|_| Response::new(String::new()))
}
