//! `TaskService`.

use tonic::{Request, Response, Status, async_trait};

use crate::grpc::codec::field::{handle_if_shown, id, text};
use crate::grpc::codec::{answer, ask};
use crate::grpc::service::Edge;
use crate::model::limits::{MESSAGE_BYTES_MAX, REASON_BYTES_MAX};
use crate::pb::v1::task_service_server::{TaskService, TaskServiceServer};
use crate::pb::v1::{
    AmendTaskRequest, AmendTaskResponse, CancelTaskRequest, CancelTaskResponse, CompleteTaskRequest,
    CompleteTaskResponse, GetTaskRequest, GetTaskResponse, ListTasksRequest, ListTasksResponse, PauseTaskRequest,
    PauseTaskResponse, RegisterTaskRequest, RegisterTaskResponse, ResumeTaskRequest, ResumeTaskResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> TaskServiceServer<Tasks> {
    TaskServiceServer::new(Tasks(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Tasks(Edge);

#[async_trait]
impl TaskService for Tasks {
    async fn register_task(
        &self,
        request: Request<RegisterTaskRequest>,
    ) -> Result<Response<RegisterTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::register(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.register_task(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let (task, handle) = done.task.unzip();
        Ok(Response::new(RegisterTaskResponse {
            decision: Some(answer::decision(done.decided)),
            task: task.map(answer::task),
            task_handle: handle.map(|h| h.expose().to_owned()).unwrap_or_default(),
        }))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<GetTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let task = id("task_id", &request.task_id).map_err(|e| edge.refuse(e))?;
        let handle = handle_if_shown("task_handle", request.task_handle).map_err(|e| edge.refuse(e))?;
        let task = edge.broker.get_task(&caller, task, handle).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(GetTaskResponse { task: Some(answer::task(task)) }))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::list(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let (tasks, next) = edge.broker.list_tasks(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ListTasksResponse {
            tasks: tasks.into_iter().map(answer::task).collect(),
            next_page_token: next.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }

    async fn amend_task(&self, request: Request<AmendTaskRequest>) -> Result<Response<AmendTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::amend(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.amend_task(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(AmendTaskResponse {
            decision: Some(answer::decision(done.decided)),
            task: Some(answer::task(done.task)),
        }))
    }

    async fn pause_task(&self, request: Request<PauseTaskRequest>) -> Result<Response<PauseTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let task = id("task_id", &request.task_id).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let task = edge.broker.pause_task(&caller, task, reason).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(PauseTaskResponse { task: Some(answer::task(task)) }))
    }

    async fn resume_task(&self, request: Request<ResumeTaskRequest>) -> Result<Response<ResumeTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let task = id("task_id", &request.get_ref().task_id).map_err(|e| edge.refuse(e))?;
        let task = edge.broker.resume_task(&caller, task).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ResumeTaskResponse { task: Some(answer::task(task)) }))
    }

    async fn complete_task(
        &self,
        request: Request<CompleteTaskRequest>,
    ) -> Result<Response<CompleteTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let task = id("task_id", &request.task_id).map_err(|e| edge.refuse(e))?;
        let handle = handle_if_shown("task_handle", request.task_handle).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.complete_task(&caller, task, handle).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(CompleteTaskResponse {
            task: Some(answer::task(done.task)),
            grants_revoked: done.grants_revoked,
            position: done.position,
        }))
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Result<Response<CancelTaskResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let task = id("task_id", &request.task_id).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let handle = handle_if_shown("task_handle", request.task_handle).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.cancel_task(&caller, task, handle, reason).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(CancelTaskResponse {
            task: Some(answer::task(done.task)),
            grants_revoked: done.grants_revoked,
            position: done.position,
        }))
    }
}
