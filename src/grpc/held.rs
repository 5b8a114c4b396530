//! An answer that holds on to something until it has gone, or its stream is over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A body, and what is let go of with it.
struct Held<T> {
    body: Body,
    _held: T,
}

/// The same answer; `held` is dropped with its body.
pub(in crate::grpc) fn holding<T: Send + Unpin + 'static>(
    response: http::Response<Body>,
    held: T,
) -> http::Response<Body> {
    response.map(|body| Body::new(Held { body, _held: held }))
}

impl<T: Unpin> hyper::body::Body for Held<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
