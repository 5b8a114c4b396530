//! A channel to a broker, and what each request on it shows: nothing where the connection says who we are, a token elsewhere.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::cli::error::CliError;

/// A channel on which each request shows a token, where there is one to show.
pub(in crate::cli) type Way = InterceptedService<Channel, Shown>;

/// What each request shows.
#[derive(Clone)]
pub(in crate::cli) struct Shown(Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A channel on which nothing is shown: the connection says who we are.
pub(in crate::cli) fn showing_nothing(channel: Channel) -> Way {
    InterceptedService::new(channel, Shown(None))
}

/// A channel on which each request shows this token, which came from there.
///
/// # Errors
/// When it is no token.
pub(in crate::cli) fn showing(channel: Channel, token: &str, from: &str) -> Result<Way, CliError> {
    let value: Result<MetadataValue<Ascii>, _> = format!("Bearer {token}").parse();
    let mut value = value.map_err(|_| CliError::local(format!("{from} holds no token")))?;
    value.set_sensitive(true);
    Ok(InterceptedService::new(channel, Shown(Some(value))))
}
