//! An answer that holds on to something until it has gone, or its stream is over; and a stream that something else ends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
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

/// What ends a stream, and with which status.
pub(in crate::grpc) type Ends = Pin<Box<dyn Future<Output = Status> + Send>>;

/// A body, until something ends it.
struct Until {
    /// `None` when it was ended.
    body: Option<Body>,
    ends: Ends,
}

/// The same answer, whose stream is over when `ends` says so, whatever was still to come. One that was refused is left as it is.
pub(in crate::grpc) fn until(response: http::Response<Body>, ends: Ends) -> http::Response<Body> {
    if Status::from_header_map(response.headers()).is_some() {
        return response;
    }
    response.map(|body| Body::new(Until { body: Some(body), ends }))
}

impl hyper::body::Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { body, ends } = &mut *self;
        let Some(open) = body else { return Poll::Ready(None) };
        if let Poll::Ready(status) = ends.as_mut().poll(cx) {
            *body = None;
            let mut trailers = HeaderMap::new();
            // A status that does not go into headers is told by the end alone.
            return Poll::Ready(status.add_header(&mut trailers).is_ok().then(|| Ok(Frame::trailers(trailers))));
        }
        Pin::new(open).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }
}
