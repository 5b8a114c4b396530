//! An answer that ends when something does: the token by which its caller came in. A stream may last longer than that.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::status;
use crate::model::reason::ReasonCode;

/// A body, and what ends it.
struct Until<F> {
    body: Body,
    end: Pin<Box<F>>,
    began: bool,
    ended: bool,
}

/// The same answer, which ends with `TOKEN_EXPIRED` once `expired` returns. What was done is told all the same: the first message
/// and the end that the answer has by itself go out.
pub(in crate::grpc) fn until<F>(response: http::Response<Body>, expired: F) -> http::Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    response.map(|body| Body::new(Until { body, end: Box::pin(expired), began: false, ended: false }))
}

impl<F: Future<Output = ()>> hyper::body::Body for Until<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let goes_on = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_data() && std::mem::replace(&mut self.began, true),
            Poll::Ready(None | Some(Err(_))) => false,
            Poll::Pending => true,
        };
        if goes_on && self.end.as_mut().poll(cx).is_ready() {
            self.ended = true;
            let mut trailers = HeaderMap::new();
            let told = status::refusal(Code::Unauthenticated, ReasonCode::TokenExpired).add_header(&mut trailers);
            return Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
