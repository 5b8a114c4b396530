//! A certificate authority for development and tests: one trust domain, X.509-SVIDs of the full shape, JWT-SVIDs, and on
//! request certificates with a defect. Its keys live in memory and die with it, unless they are saved.

pub mod saved;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// How far the validity of everything issued begins in the past, for clocks that differ.
pub const BACKDATED: Duration = Duration::from_secs(10);

/// Why a certificate or a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A certificate could not be made.
    #[error("the certificate cannot be made")]
    Certificate(#[source] rcgen::Error),
    /// A key could not be made.
    #[error("the key cannot be made")]
    Key(#[source] aws_lc_rs::error::Unspecified),
    /// A time lies outside what certificates can say.
    #[error("`{0}` ms is no time of a certificate")]
    Time(u64),
}

/// A certificate authority of one trust domain.
pub struct DevCa {
    trust_domain: TrustDomain,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    jwt: Arc<JwtAuthority>,
}

/// An X.509-SVID with its key.
#[derive(Clone)]
pub struct IssuedSvid {
    /// Whom it names, as it stands in the certificate.
    pub spiffe_id: String,
    /// Leaf first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: Arc<Zeroizing<Vec<u8>>>,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// What stands in a leaf certificate. Start with [`Shape::svid`], and change what is to be wrong.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The URI SANs: exactly one in an SVID.
    pub uris: Vec<String>,
    /// Further DNS SANs, of which an SVID may have any number.
    pub dns_names: Vec<String>,
    /// Basic constraints: `ExplicitNoCa` in an SVID, `NoCa` to leave them out.
    pub is_ca: IsCa,
    /// Key usage: `DigitalSignature` in an SVID, empty to leave it out.
    pub key_usages: Vec<KeyUsagePurpose>,
    /// Extended key usage: both of server and client in an SVID, empty to leave it out.
    pub extended_key_usages: Vec<ExtendedKeyUsagePurpose>,
    /// The common name: none in an SVID of ours, which makes the SAN critical.
    pub common_name: Option<String>,
    /// Further extensions, or others in place of those above.
    pub extensions: Vec<CustomExtension>,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl Shape {
    /// The full shape of an X.509-SVID (X509-SVID §4) that is valid for `life` from `now`.
    #[must_use]
    pub fn svid(spiffe_id: &SpiffeId, now: Timestamp, life: Duration) -> Self {
        Self {
            uris: vec![spiffe_id.to_string()],
            dns_names: Vec::new(),
            is_ca: IsCa::ExplicitNoCa,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            extended_key_usages: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            common_name: None,
            extensions: Vec::new(),
            not_before: before(now),
            not_after: now.after(life),
        }
    }

    fn params(&self) -> Result<CertificateParams, CaError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = &self.common_name {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        for uri in &self.uris {
            params.subject_alt_names.push(SanType::URI(ia5(uri)?));
        }
        for name in &self.dns_names {
            params.subject_alt_names.push(SanType::DnsName(ia5(name)?));
        }
        params.is_ca = self.is_ca;
        params.key_usages.clone_from(&self.key_usages);
        params.extended_key_usages.clone_from(&self.extended_key_usages);
        params.custom_extensions.clone_from(&self.extensions);
        params.use_authority_key_identifier_extension = true;
        params.not_before = date(self.not_before)?;
        params.not_after = date(self.not_after)?;
        Ok(params)
    }
}

impl DevCa {
    /// A new root for a trust domain, valid for `life` from `now`.
    ///
    /// # Errors
    /// When a key or the certificate cannot be made.
    pub fn new(trust_domain: TrustDomain, now: Timestamp, life: Duration) -> Result<Self, CaError> {
        let params = authority(&trust_domain, "root", now, life)?;
        let key = KeyPair::generate().map_err(CaError::Certificate)?;
        let root = params.self_signed(&key).map_err(CaError::Certificate)?.der().clone();
        let jwt = Arc::new(JwtAuthority::new()?);
        Ok(Self { trust_domain, issuer: Issuer::new(params, key), root, intermediates: Vec::new(), jwt })
    }

    /// An authority below this one; what it issues carries its certificate in the chain.
    ///
    /// # Errors
    /// When a key or the certificate cannot be made.
    pub fn intermediate(&self, now: Timestamp, life: Duration) -> Result<Self, CaError> {
        self.intermediate_shaped(now, life, |_| {})
    }

    /// An authority below this one whose certificate `change` may spoil.
    ///
    /// # Errors
    /// When a key or the certificate cannot be made.
    pub fn intermediate_shaped(
        &self,
        now: Timestamp,
        life: Duration,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Self, CaError> {
        let mut params = authority(&self.trust_domain, "intermediate", now, life)?;
        change(&mut params);
        let key = KeyPair::generate().map_err(CaError::Certificate)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(CaError::Certificate)?.der().clone();
        let intermediates = std::iter::once(certificate).chain(self.intermediates.iter().cloned()).collect();
        Ok(Self {
            trust_domain: self.trust_domain.clone(),
            issuer: Issuer::new(params, key),
            root: self.root.clone(),
            intermediates,
            jwt: Arc::clone(&self.jwt),
        })
    }

    /// The trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The root certificate: the trust bundle of the trust domain.
    #[must_use]
    pub const fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// What signs JWT-SVIDs.
    #[must_use]
    pub const fn jwt(&self) -> &Arc<JwtAuthority> {
        &self.jwt
    }

    /// An X.509-SVID that is valid for `life` from `now`.
    ///
    /// # Errors
    /// When a key or the certificate cannot be made.
    pub fn issue(&self, spiffe_id: &SpiffeId, now: Timestamp, life: Duration) -> Result<IssuedSvid, CaError> {
        self.issue_shaped(&Shape::svid(spiffe_id, now, life))
    }

    /// A leaf certificate of any shape.
    ///
    /// # Errors
    /// When a key or the certificate cannot be made.
    pub fn issue_shaped(&self, shape: &Shape) -> Result<IssuedSvid, CaError> {
        let key = KeyPair::generate().map_err(CaError::Certificate)?;
        let leaf = shape.params()?.signed_by(&key, &self.issuer).map_err(CaError::Certificate)?;
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.intermediates.iter().cloned());
        Ok(IssuedSvid {
            spiffe_id: shape.uris.first().cloned().unwrap_or_default(),
            chain,
            key: Arc::new(Zeroizing::new(key.serialize_der())),
            not_after: shape.not_after,
        })
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa").field("trust_domain", &self.trust_domain).finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedSvid")
            .field("spiffe_id", &self.spiffe_id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The key that signs the JWT-SVIDs of a trust domain, with ES256.
pub struct JwtAuthority {
    key: EcdsaKeyPair,
    kid: String,
}

impl JwtAuthority {
    fn new() -> Result<Self, CaError> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::of).map_err(CaError::Key)
    }

    fn of(key: EcdsaKeyPair) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_key().as_ref());
        let kid = URL_SAFE_NO_PAD.encode(digest).chars().take(16).collect();
        Self { key, kid }
    }

    /// A JWT-SVID (JWT-SVID §3) for these audiences, valid for `life` from `now`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn issue(
        &self,
        spiffe_id: &str,
        audiences: &[String],
        now: Timestamp,
        life: Duration,
    ) -> Result<String, CaError> {
        let claims = json!({
            "sub": spiffe_id, "aud": audiences, "iat": now.as_secs(), "exp": now.after(life).as_secs(),
        });
        self.sign(&json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" }), &claims)
    }

    /// Any header and claims, signed: for tokens with a defect.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub fn sign(&self, header: &serde_json::Value, claims: &serde_json::Value) -> Result<String, CaError> {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).map_err(CaError::Key)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The trust bundle for JWT-SVIDs: a JWK set (SPIFFE Trust Domain and Bundle §4).
    #[must_use]
    pub fn bundle(&self) -> serde_json::Value {
        let public = self.key.public_key().as_ref();
        // The uncompressed point is 0x04, then both coordinates.
        let coordinate = |range| URL_SAFE_NO_PAD.encode(public.get(range).unwrap_or_default());
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "jwt-svid", "kid": self.kid, "x": coordinate(1..33), "y": coordinate(33..65),
        }] })
    }
}

fn authority(
    trust_domain: &TrustDomain,
    role: &str,
    now: Timestamp,
    life: Duration,
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Carnet, for development only");
    params.distinguished_name.push(DnType::CommonName, format!("{trust_domain} {role}"));
    params.subject_alt_names.push(SanType::URI(ia5(&format!("spiffe://{trust_domain}"))?));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(before(now))?;
    params.not_after = date(now.after(life))?;
    Ok(params)
}

fn before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(u64::try_from(BACKDATED.as_millis()).unwrap_or(0)))
}

fn date(time: Timestamp) -> Result<OffsetDateTime, CaError> {
    let secs = i64::try_from(time.as_secs()).map_err(|_| CaError::Time(time.as_millis()))?;
    OffsetDateTime::from_unix_timestamp(secs).map_err(|_| CaError::Time(time.as_millis()))
}

fn ia5(text: &str) -> Result<Ia5String, CaError> {
    Ia5String::try_from(text).map_err(CaError::Certificate)
}
