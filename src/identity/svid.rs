//! Reading a certificate as an X.509-SVID: the rules of X509-SVID §2, §4 and §5.2 that rustls does not check. Pure; chains
//! and times are checked in `view`.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::error::SvidError;
use crate::jose::jws::Unverified;
use crate::jose::profile::JWT_SVID;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// Most certificates of a chain, leaf and intermediates: SPIRE needs two to four with an upstream authority.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// Longest text of a shown identity that is kept, in bytes: enough for a name, too little to fill a record.
pub const SHOWN_BYTES_MAX: usize = 512;

/// What an X.509-SVID's leaf says, once its shape is right. Nothing here is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedLeaf {
    /// Whom it names.
    pub spiffe_id: SpiffeId,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Which key signed it (RFC 5280 §4.2.1.1), where it says so.
    pub authority_key: Option<Vec<u8>>,
}

/// Reads a leaf certificate and checks that it has the shape of an X.509-SVID.
///
/// # Errors
/// The first rule that it breaks.
pub fn read_leaf(der: &[u8]) -> Result<UnverifiedLeaf, SvidError> {
    let certificate = parse(der)?;
    let spiffe_id = one_spiffe_id(&certificate)?;
    if spiffe_id.path().is_empty() {
        return Err(SvidError::NoPath);
    }
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => return Err(SvidError::CertificateAuthority),
        Ok(Some(_)) => {}
        Ok(None) => return Err(SvidError::NoBasicConstraints),
        Err(_) => return Err(SvidError::Malformed),
    }
    let usage = certificate.key_usage().map_err(|_| SvidError::Malformed)?.ok_or(SvidError::NoKeyUsage)?;
    if !usage.critical {
        return Err(SvidError::KeyUsageNotCritical);
    }
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return Err(SvidError::SigningKeyUsage);
    }
    if !usage.value.digital_signature() {
        return Err(SvidError::NoDigitalSignature);
    }
    let names = certificate.subject_alternative_name().map_err(|_| SvidError::Malformed)?;
    if certificate.subject().iter().next().is_none() && names.is_none_or(|names| !names.critical) {
        return Err(SvidError::SanNotCritical);
    }
    if has_weak_key(&certificate) {
        return Err(SvidError::WeakKey);
    }
    let validity = certificate.validity();
    let authority_key = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref().map(|key| key.0.to_vec()),
        _ => None,
    });
    let (not_before, not_after) = (time(validity.not_before), time(validity.not_after));
    Ok(UnverifiedLeaf { spiffe_id, not_before, not_after, authority_key })
}

/// What a refused certificate claims, for the record: its URI SANs as they stand there, shortened and made printable.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownIdentity(String);

impl ShownIdentity {
    /// What the certificate claims; `None` when it has no URI SAN that could be read.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = parse(der).ok()?;
        Self::printable(&uri_sans(&certificate).ok()?.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// What a refused token claims: its `sub`.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let unverified = Unverified::parse(token, &JWT_SVID).ok()?;
        Self::printable(&unverified.danger_unverified_text("sub")?)
    }

    fn printable(shown: &str) -> Option<Self> {
        if shown.is_empty() {
            return None;
        }
        let mut text = String::new();
        for printable in shown.chars().map(|c| c.escape_default().to_string()) {
            if text.len() + printable.len() > SHOWN_BYTES_MAX {
                break;
            }
            text.push_str(&printable);
        }
        Some(Self(text))
    }

    /// The text. It was shown and not proven.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShownIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ShownIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a certificate may stand above another one in a chain. rustls-webpki ignores key usage, so this is checked here:
/// without the extension it may (RFC 5280 §6.1.4 n), with one that cannot be read it may not.
pub(in crate::identity) fn may_issue(der: &[u8]) -> bool {
    parse(der).is_ok_and(|certificate| key_usage_allows_issuing(&certificate))
}

/// Whether an entry of a trust bundle is a certificate authority (X509-SVID §4.1, §4.3); others are left out.
pub(in crate::identity) fn is_authority(der: &[u8]) -> bool {
    parse(der).is_ok_and(|certificate| {
        let marked = certificate.basic_constraints().is_ok_and(|found| found.is_some_and(|c| c.value.ca));
        marked && key_usage_allows_issuing(&certificate)
    })
}

/// The certificates of an X.509 trust bundle as the Workload API sends it: DER, one behind the other. `None` when anything in it is
/// no certificate.
#[must_use]
pub fn certificates(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !bundle.is_empty() {
        let (rest, _read) = x509_parser::parse_x509_certificate(bundle).ok()?;
        let (certificate, behind) = bundle.split_at_checked(bundle.len().checked_sub(rest.len())?)?;
        out.push(certificate);
        bundle = behind;
    }
    Some(out)
}

/// The beginning and the end of a certificate's validity.
pub(in crate::identity) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let certificate = parse(der).ok()?;
    let validity = certificate.validity();
    Some((time(validity.not_before), time(validity.not_after)))
}

/// TLS refuses the signature of such a key as well, but only in a handshake, and without saying why.
fn has_weak_key(certificate: &X509Certificate<'_>) -> bool {
    let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() else { return false };
    let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
    modulus.clone().count() * 8 - modulus.clone().next().map_or(0, |byte| byte.leading_zeros() as usize) < RSA_BITS_MIN
}

fn key_usage_allows_issuing(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Err(_) => false,
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, SvidError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(SvidError::Malformed),
    }
}

fn one_spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    match uri_sans(certificate)?.as_slice() {
        [] => Err(SvidError::NoUriSan),
        [Some(uri)] => uri.parse().map_err(SvidError::SpiffeId),
        [None] => Err(SvidError::Malformed),
        _ => Err(SvidError::SeveralUriSans),
    }
}

/// Every URI SAN of whatever scheme; `None` for one that is not even text.
fn uri_sans<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<Option<&'a str>>, SvidError> {
    let Some(names) = certificate.subject_alternative_name().map_err(|_| SvidError::Malformed)? else {
        return Ok(Vec::new());
    };
    let uri = |name: &'a GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(Some(*uri)),
        GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => Some(None),
        _ => None,
    };
    Ok(names.value.general_names.iter().filter_map(uri).collect())
}

fn time(time: ASN1Time) -> Timestamp {
    // Before 1970 is as good as 1970: over, or valid since ever.
    Timestamp::from_secs(u64::try_from(time.timestamp()).unwrap_or_default())
}

/// The shortest RSA modulus that TLS verifies with (FIPS 186-5 §5.1), in bits.
const RSA_BITS_MIN: usize = 2048;

/// `uniformResourceIdentifier` in RFC 5280 §4.2.1.6.
const URI_TAG: u32 = 6;

#[cfg(test)]
mod tests;
