//! The verifier that TLS asks about a client's certificate. It is our own, because rustls shows a refused certificate to
//! nobody else, and the record names who knocked; its rules are those of `view`, the same as at each request's recheck.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::SvidError;
use super::svid::ShownIdentity;
use super::trust::Trust;
use super::view::provider;
use crate::model::time::Timestamp;

/// Verifies client certificates against the present revision of trust.
pub(in crate::identity) struct PeerVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
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
        Self { trust, algorithms: provider().signature_verification_algorithms }
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
        let now = Timestamp::from_secs(now.as_secs());
        match self.trust.view().verify(end_entity, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => {
                let refused = RefusedCertificate { shown: ShownIdentity::of(end_entity), error };
                Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused)))))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").finish_non_exhaustive()
    }
}
