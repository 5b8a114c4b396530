//! What tasks, credentials and signals are asked with.

use crate::broker::ask::{
    AmendTask, GetReportKey, ListTasks, RegisterTask, RenewCredential, ReportSignal, ReportToolCall, RequestCredential,
};
use crate::broker::error::BrokerError;
use crate::grpc::codec::{access, digested, field};
use crate::model::json::Json;
use crate::model::limits::{
    ACCESS_LIST_MAX, ARGUMENTS_BYTES_MAX, INTENT_BYTES_MAX, NAME_BYTES_MAX, PURPOSE_BYTES_MAX, REASON_BYTES_MAX,
    RESULT_BYTES_MAX,
};
use crate::model::task::TaskState;
use crate::pb::v1;

/// Registers a task.
pub(in crate::grpc) fn register(request: v1::RegisterTaskRequest) -> Result<RegisterTask, BrokerError> {
    Ok(RegisterTask {
        request_id: field::id("request_id", &request.request_id)?,
        intent: field::words("intent", request.intent, INTENT_BYTES_MAX)?,
        initiator: field::id_if_given("initiator", &request.initiator)?,
        initiator_token: field::token_if_shown("initiator_token", request.initiator_token)?,
        agent: field::spiffe_id("agent", &request.agent)?,
        ceiling: request.ceiling.map(access::ceiling).transpose()?,
        deadline: field::time("deadline", request.deadline)?,
        parent: field::id_if_given("parent_task_id", &request.parent_task_id)?,
        parent_handle: field::handle_if_shown("parent_task_handle", request.parent_task_handle)?,
        profile: field::profile(request.agent_profile)?,
        audiences: field::ids("audiences", &request.audiences, ACCESS_LIST_MAX)?,
        unattended: request.unattended,
        context: field::context(request.context)?,
    })
}

/// Replaces a task's ceiling or deadline.
pub(in crate::grpc) fn amend(request: v1::AmendTaskRequest) -> Result<AmendTask, BrokerError> {
    let ask = AmendTask {
        request_id: field::id("request_id", &request.request_id)?,
        task: field::id("task_id", &request.task_id)?,
        ceiling: request.ceiling.map(access::ceiling).transpose()?,
        deadline: field::time_if_given("deadline", request.deadline)?,
        context: field::context(request.context)?,
    };
    if ask.ceiling.is_none() && ask.deadline.is_none() {
        return Err(BrokerError::invalid("ceiling", "neither a ceiling nor a deadline is given"));
    }
    Ok(ask)
}

/// Lists tasks.
pub(in crate::grpc) fn list(request: &v1::ListTasksRequest) -> Result<ListTasks, BrokerError> {
    Ok(ListTasks {
        state: task_state("state", request.state)?,
        page_size: request.page_size,
        after: field::id_if_given("page_token", &request.page_token)?,
    })
}

fn task_state(field: &'static str, number: i32) -> Result<Option<TaskState>, BrokerError> {
    let state = v1::TaskState::try_from(number).map_err(|_| BrokerError::invalid(field, "not a state"))?;
    Ok(match state {
        v1::TaskState::Unspecified => None,
        v1::TaskState::Active => Some(TaskState::Active),
        v1::TaskState::Paused => Some(TaskState::Paused),
        v1::TaskState::Completed => Some(TaskState::Completed),
        v1::TaskState::Cancelled => Some(TaskState::Cancelled),
        v1::TaskState::Expired => Some(TaskState::Expired),
    })
}

/// Asks for a credential.
pub(in crate::grpc) fn request(request: v1::RequestCredentialRequest) -> Result<RequestCredential, BrokerError> {
    Ok(RequestCredential {
        handle: field::handle("task_handle", request.task_handle)?,
        request_id: field::id("request_id", &request.request_id)?,
        task: field::id("task_id", &request.task_id)?,
        audience: field::id("audience", &request.audience)?,
        access: access::accesses(request.access)?,
        ttl: field::ttl("ttl", request.ttl)?,
        purpose: field::text("purpose", request.purpose, PURPOSE_BYTES_MAX)?,
        profile: field::profile(request.agent_profile)?,
        context: field::context(request.context)?,
    })
}

/// Asks for a new token under a grant.
pub(in crate::grpc) fn renew(request: v1::RenewCredentialRequest) -> Result<RenewCredential, BrokerError> {
    Ok(RenewCredential {
        handle: field::handle("task_handle", request.task_handle)?,
        request_id: field::id("request_id", &request.request_id)?,
        task: field::id("task_id", &request.task_id)?,
        grant: field::id("grant_id", &request.grant_id)?,
        ttl: field::ttl("ttl", request.ttl)?,
        profile: field::profile(request.agent_profile)?,
        context: field::context(request.context)?,
    })
}

/// Reports a piece of evidence.
pub(in crate::grpc) fn signal(request: v1::ReportSignalRequest) -> Result<ReportSignal, BrokerError> {
    if request.points > POINTS_MAX {
        return Err(BrokerError::above_limit("points", format!("above {POINTS_MAX}")));
    }
    Ok(ReportSignal {
        request_id: field::id("request_id", &request.request_id)?,
        task: field::id("task_id", &request.task_id)?,
        name: field::id("name", &request.name)?,
        points: request.points,
        explanation: field::text("explanation", request.explanation, REASON_BYTES_MAX)?,
        scorer: field::line("scorer", request.scorer, NAME_BYTES_MAX)?,
        observed: field::time_if_given("observed", request.observed)?,
        context: field::context(request.context)?,
    })
}

/// Reports a tool call.
pub(in crate::grpc) fn tool_call(request: v1::ReportToolCallRequest) -> Result<ReportToolCall, BrokerError> {
    let result = match request.result_json.as_str() {
        "" => Ok(Json::Null),
        text => Json::parse(text, RESULT_BYTES_MAX),
    };
    let arguments = Json::parse_object(&request.arguments_json, ARGUMENTS_BYTES_MAX);
    let digested = digested::call(request.digested_arguments, request.digested_result, request.digest_key_id)?;
    Ok(ReportToolCall {
        handle: field::handle_if_shown("task_handle", request.task_handle)?,
        request_id: field::id("request_id", &request.request_id)?,
        task: field::id("task_id", &request.task_id)?,
        grant: field::id_if_given("grant_id", &request.grant_id)?,
        tool: field::id("tool", &request.tool)?,
        arguments: field::json("arguments_json", arguments)?,
        result: field::json("result_json", result)?,
        digested,
        failed: request.failed,
        context: field::context(request.context)?,
    })
}

/// Asks for the key under which values of reported calls are digested.
pub(in crate::grpc) fn report_key(request: &v1::GetReportKeyRequest) -> Result<GetReportKey, BrokerError> {
    Ok(GetReportKey {
        task: field::id("task_id", &request.task_id)?,
        grant: field::id_if_given("grant_id", &request.grant_id)?,
        tool: field::id("tool", &request.tool)?,
    })
}

/// The most points that one signal asks for: the whole of the scale.
const POINTS_MAX: u32 = 100;
