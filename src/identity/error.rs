//! What can go wrong here: with a certificate, a handshake, a caller, or with getting hold of an identity of our own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::jose::error::{ClaimError, JoseError, TimeError};
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::{ParseSpiffeIdError, SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// Why a certificate chain is not accepted as an X.509-SVID: one variant per rule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SvidError {
    /// It is no DER certificate, or something follows it, or an extension is twice in it.
    #[error("the certificate is malformed")]
    Malformed,
    /// More certificates than [`super::svid::CHAIN_CERTIFICATES_MAX`].
    #[error("the chain is too long")]
    ChainTooLong,
    /// X509-SVID §2: there is exactly one URI SAN.
    #[error("the certificate has no URI SAN")]
    NoUriSan,
    /// X509-SVID §2: there is exactly one URI SAN, whatever the scheme of the others.
    #[error("the certificate has more than one URI SAN")]
    SeveralUriSans,
    /// X509-SVID §2: the URI SAN is a SPIFFE ID.
    #[error("the URI SAN is no SPIFFE ID")]
    SpiffeId(#[source] ParseSpiffeIdError),
    /// X509-SVID §5.2: the SPIFFE ID of a leaf has a path.
    #[error("the SPIFFE ID names a trust domain and no workload")]
    NoPath,
    /// X509-SVID §5.2: a signing certificate is not for authentication.
    #[error("the certificate is one of a certificate authority")]
    CertificateAuthority,
    /// X509-SVID §4.1: basic constraints say that it is none.
    #[error("the certificate has no basic constraints")]
    NoBasicConstraints,
    /// X509-SVID §4.3: key usage is there.
    #[error("the certificate has no key usage")]
    NoKeyUsage,
    /// X509-SVID §4.3: key usage is marked critical.
    #[error("the key usage is not critical")]
    KeyUsageNotCritical,
    /// X509-SVID §4.2, RFC 5280 §4.1.2.6: without a subject the SAN is marked critical.
    #[error("the certificate has no subject, and its SAN is not critical")]
    SanNotCritical,
    /// Its own key is too short to prove anything with.
    #[error("the RSA key has less than 2048 bits")]
    WeakKey,
    /// X509-SVID §5.2: neither `keyCertSign` nor `cRLSign`.
    #[error("the key usage allows signing certificates or revocation lists")]
    SigningKeyUsage,
    /// X509-SVID §4.3: `digitalSignature`.
    #[error("the key usage does not allow digital signatures")]
    NoDigitalSignature,
    /// The trust domain is not on the list of those accepted.
    #[error("the trust domain `{0}` is not accepted")]
    TrustDomainNotAccepted(TrustDomain),
    /// There is no usable trust bundle of the trust domain.
    #[error("there is no trust bundle of `{0}`")]
    NoTrustBundle(TrustDomain),
    /// A certificate of the chain is over.
    #[error("the certificate has expired")]
    Expired,
    /// A certificate of the chain is not valid yet.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// It is that of another workload than the one expected.
    #[error("`{0}` is not who is expected here")]
    NotExpected(SpiffeId),
    /// No path leads to the trust bundle of its own trust domain.
    #[error("the chain does not lead to the trust bundle of its trust domain")]
    Chain(#[source] rustls::Error),
    /// We have no identity or no trust of our own, and so trust nobody.
    #[error("no trust is available: {0}")]
    Unready(Unready),
}

impl SvidError {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Expired => ReasonCode::SvidExpired,
            Self::TrustDomainNotAccepted(_) | Self::NoTrustBundle(_) => ReasonCode::TrustDomainUnknown,
            Self::Unready(_) => ReasonCode::Unavailable,
            Self::Malformed
            | Self::ChainTooLong
            | Self::NoUriSan
            | Self::SeveralUriSans
            | Self::SpiffeId(_)
            | Self::NoPath
            | Self::CertificateAuthority
            | Self::NoBasicConstraints
            | Self::NoKeyUsage
            | Self::KeyUsageNotCritical
            | Self::SanNotCritical
            | Self::WeakKey
            | Self::SigningKeyUsage
            | Self::NoDigitalSignature
            | Self::NotYetValid
            | Self::NotExpected(_)
            | Self::Chain(_) => ReasonCode::SvidInvalid,
        }
    }
}

/// Why a token is not accepted as a JWT-SVID: one variant per rule. None repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum JwtSvidError {
    /// JWT-SVID §2, §3: not a JWS in compact form with the closed header, an algorithm that is none of the nine or not the
    /// key's, a signature that does not hold, or claims that are no object with distinct members.
    #[error("the token is not a JWT-SVID that holds")]
    Form(#[source] JoseError),
    /// JWT-SVID §3: `sub`, `aud` and `exp` are there, and each claim has its type.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// JWT-SVID §3.1: `sub` is a SPIFFE ID.
    #[error("`sub` is no SPIFFE ID")]
    SpiffeId(#[source] ParseSpiffeIdError),
    /// It names a trust domain and no workload.
    #[error("the SPIFFE ID names a trust domain and no workload")]
    NoPath,
    /// The trust domain is not on the list of those accepted.
    #[error("the trust domain `{0}` is not accepted")]
    TrustDomainNotAccepted(TrustDomain),
    /// There is no usable JWT authority of the trust domain of `sub`.
    #[error("there are no JWT authorities of `{0}`")]
    NoTrustBundle(TrustDomain),
    /// The trust domain of `sub` has no such key.
    #[error("the key is none of the trust domain of `sub`")]
    KeyUnknown,
    /// JWT-SVID §3.2: it is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// JWT-SVID §3.3: not valid now, or for longer than is accepted.
    #[error("the token is not valid now")]
    Time(#[source] TimeError),
    /// We have no identity or no trust of our own, and so trust nobody.
    #[error("no trust is available: {0}")]
    Unready(Unready),
}

impl JwtSvidError {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Time(TimeError::Expired) => ReasonCode::SvidExpired,
            Self::TrustDomainNotAccepted(_) | Self::NoTrustBundle(_) => ReasonCode::TrustDomainUnknown,
            Self::Unready(_) => ReasonCode::Unavailable,
            Self::Form(_)
            | Self::Claim(_)
            | Self::SpiffeId(_)
            | Self::NoPath
            | Self::KeyUnknown
            | Self::Audience
            | Self::Time(_) => ReasonCode::SvidInvalid,
        }
    }
}

/// A token that is not accepted.
#[derive(Debug)]
pub struct RefusedToken {
    /// The first rule that it breaks.
    pub error: JwtSvidError,
    /// Whom it was signed for, when its signature holds under a key of their trust domain: what it breaks then says something
    /// about them.
    pub proven: Option<SpiffeId>,
}

impl From<JwtSvidError> for RefusedToken {
    fn from(error: JwtSvidError) -> Self {
        Self { error, proven: None }
    }
}

/// Why nobody is trusted at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// The Workload API took back what it had given.
    #[error("the Workload API withdrew the identity")]
    Withdrawn,
    /// Updates have ended for good.
    #[error("the source of identities is closed")]
    Closed,
    /// The own SVID is over, or none was given.
    #[error("the own SVID has expired")]
    OwnSvidExpired,
    /// The bundle of the own trust domain is gone.
    #[error("the trust bundle of the own trust domain is missing")]
    OwnBundleMissing,
    /// Nothing was heard of JWT bundles yet, without which no token can be judged.
    #[error("the Workload API has given no JWT bundles yet")]
    JwtBundlesUnheard,
}

/// Why a request on an open connection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The SVID that opened the connection is over.
    #[error("the SVID expired at {} ms", .0.as_millis())]
    Expired(Timestamp),
    /// The trust domain is no longer accepted, or its bundle was withdrawn.
    #[error("the trust domain `{0}` is no longer trusted")]
    TrustWithdrawn(TrustDomain),
    /// The trust bundle has changed, and the chain does not lead to it any more.
    #[error("the chain does not lead to the present trust bundle")]
    ChainBroken,
    /// Nobody is trusted at the moment.
    #[error("no trust is available: {0}")]
    Unready(Unready),
}

impl CallerError {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Expired(_) => ReasonCode::SvidExpired,
            Self::TrustWithdrawn(_) => ReasonCode::TrustDomainUnknown,
            Self::ChainBroken => ReasonCode::SvidInvalid,
            Self::Unready(_) => ReasonCode::Unavailable,
        }
    }
}

/// Why a connection was refused before its first request.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The certificate is not accepted.
    #[error("the certificate is not accepted")]
    Svid(#[source] SvidError),
    /// TLS 1.3 with a client certificate is required.
    #[error("the peer presented no certificate")]
    NoCertificate,
    /// The peer does not speak the protocol of the door.
    #[error("the peer did not agree to the protocol")]
    Protocol,
    /// The peer broke the rules of TLS, or does not speak version 1.3.
    #[error("the TLS handshake failed")]
    Tls(#[source] rustls::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// The peer took longer than [`super::listen::HANDSHAKE_WITHIN`].
    #[error("the handshake took too long")]
    TimedOut,
    /// There are as many connections as are allowed.
    #[error("there are too many connections")]
    TooManyConnections,
    /// We have no identity to present.
    #[error("no identity is available: {0}")]
    Unready(Unready),
}

impl HandshakeError {
    /// The reason code of the refusal.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Svid(error) => error.reason(),
            Self::NoCertificate | Self::Protocol | Self::Tls(_) | Self::Io(_) | Self::TimedOut => {
                ReasonCode::Unauthenticated
            }
            Self::TooManyConnections => ReasonCode::RateLimited,
            Self::Unready(_) => ReasonCode::Unavailable,
        }
    }
}

/// Why there is no identity of our own, or no connection to somebody else.
#[cfg(feature = "broker")]
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The address of the Workload API is none.
    #[error("`{endpoint}` is no address of a Workload API: unix:///path or tcp://ip:port")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: Box<spiffe::transport::EndpointError>,
    },
    /// The path of a socket is no UTF-8.
    #[error("the path of the socket is no UTF-8: `{}`", .0.display())]
    SocketPath(PathBuf),
    /// The Workload API gave no SVID in time.
    #[error("no SVID came from `{endpoint}` within {within:?}; last problem: {problem}")]
    NoSvid {
        /// Where it was asked for.
        endpoint: String,
        /// How long.
        within: Duration,
        /// What was last seen to fail.
        problem: &'static str,
    },
    /// The Workload API answered with something else than an SVID.
    #[error("the Workload API at `{endpoint}` gave no usable SVID")]
    Source {
        /// Where it was asked for.
        endpoint: String,
        /// What came instead.
        #[source]
        source: Box<spiffe::X509SourceError>,
    },
    /// TLS could not be set up with the SVID.
    #[error("TLS cannot be set up with the SVID")]
    Tls(#[source] Box<spiffe_rustls::Error>),
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Rustls(#[source] rustls::Error),
    /// A file of a certificate or a key could not be read.
    #[error("`{}` cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// Others may use the file of a private key.
    #[error("`{}` may be used by others (mode {mode:o}); a private key must not be (0600, or 0640 for a group of its own)", path.display())]
    KeyTooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file holds no certificate or key in PEM.
    #[error("`{}` holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate from a file is over, or not valid yet.
    #[error("the certificate in `{}` is valid from {} s to {} s and not now", path.display(), not_before.as_secs(), not_after.as_secs())]
    CertificateNotValid {
        /// The file.
        path: PathBuf,
        /// Since when it is valid.
        not_before: Timestamp,
        /// Until when.
        not_after: Timestamp,
    },
    /// Tokens are to be accepted, and no key verifies any.
    #[error("the Workload API gave no JWT bundle of an accepted trust domain within {within:?}")]
    NoJwtBundles {
        /// How long.
        within: Duration,
    },
    /// The address of a server is none.
    #[error("`{0}` is no address of a server: host:port")]
    Target(String),
    /// The server could not be reached, or is not who it should be.
    #[error("no connection to `{target}`")]
    Connect {
        /// The server.
        target: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
