//! The verifiers that TLS asks about a peer's certificate, one for each side. They are our own, because rustls shows a refused
//! certificate to nobody else, and the record names who knocked; their rules are those of `view`, the same on both sides and at
//! each request's recheck. A server's DNS name proves nothing and is not looked at.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::client::ServerIdentity;
use super::error::SvidError;
use super::svid::{ShownIdentity, UnverifiedLeaf};
use super::trust::Trust;
use super::view::{LiveView, Part, View, provider};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// How either side checks that its peer holds the key of the certificate.
struct Possession(WebPkiSupportedAlgorithms);

impl Possession {
    fn new() -> Self {
        Self(provider().signature_verification_algorithms)
    }

    fn is_proven(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }
}

impl Trust {
    /// What a client's chain, leaf first, is worth at present: verified as in a handshake, but for the proof that its key is
    /// held. It lets nobody in.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_chain(&self, chain: &[CertificateDer<'_>]) -> Result<SpiffeId, SvidError> {
        self.check_chain_of(Part::Client, chain)
    }

    /// The same of a server's chain.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_server_chain(&self, chain: &[CertificateDer<'_>]) -> Result<SpiffeId, SvidError> {
        self.check_chain_of(Part::Server, chain)
    }

    fn check_chain_of(&self, part: Part, chain: &[CertificateDer<'_>]) -> Result<SpiffeId, SvidError> {
        let (leaf, intermediates) = chain.split_first().ok_or(SvidError::Malformed)?;
        Ok(self.view().verify(part, leaf, intermediates, self.clock().now())?.spiffe_id)
    }
}

fn tls12_is_not_spoken() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
}

/// Verifies client certificates against the present revision of trust.
pub(in crate::identity) struct PeerVerifier {
    trust: Trust,
    possession: Possession,
}

/// A refused certificate, on its way through rustls to whoever accepts connections.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is not accepted")]
pub(in crate::identity) struct RefusedCertificate {
    pub(in crate::identity) shown: Option<ShownIdentity>,
    #[source]
    pub(in crate::identity) error: SvidError,
}

impl PeerVerifier {
    pub(in crate::identity) fn new(trust: Trust) -> Self {
        Self { trust, possession: Possession::new() }
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Hints would tell everybody whom we trust, and a workload has one SVID to show.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        verify(&self.trust.view(), Part::Client, end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        tls12_is_not_spoken()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.possession.is_proven(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.possession.0.supported_schemes()
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").finish_non_exhaustive()
    }
}

/// Verifies server certificates against the present revision of a source, and that they name who is expected.
pub(in crate::identity) struct ServerVerifier {
    view: Arc<LiveView>,
    expected: ServerIdentity,
    possession: Possession,
}

impl ServerVerifier {
    pub(in crate::identity) fn new(view: Arc<LiveView>, expected: ServerIdentity) -> Self {
        Self { view, expected, possession: Possession::new() }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let leaf = verify(&self.view.now(), Part::Server, end_entity, intermediates, now)?;
        if !self.expected.is(&leaf.spiffe_id) {
            return Err(refused(end_entity, SvidError::NotExpected(leaf.spiffe_id)));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        tls12_is_not_spoken()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.possession.is_proven(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.possession.0.supported_schemes()
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

fn verify(
    view: &View,
    part: Part,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<UnverifiedLeaf, rustls::Error> {
    let verified = view.verify(part, end_entity, intermediates, Timestamp::from_secs(now.as_secs()));
    verified.map_err(|error| refused(end_entity, error))
}

fn refused(end_entity: &CertificateDer<'_>, error: SvidError) -> rustls::Error {
    let refused = RefusedCertificate { shown: ShownIdentity::of(end_entity), error };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
}
