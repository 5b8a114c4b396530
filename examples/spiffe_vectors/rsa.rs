//! RSA keys that sign what no library would sign: with a modulus of 1024 bits, or over SHA-1. And chains through such keys.

use std::error::Error;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use carnet::dev::ca::IssuedSvid;
use carnet::model::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::parse_der;
use x509_parser::num_bigint::BigUint;
use zeroize::Zeroizing;

/// The short key is always the same one: whoever can take it apart may do so.
const SHORT_MODULUS: &[u8] =
    b"bcb1808c1916851dbda1c39eaefb317c0e258bf0f43aac5aa53c228d10b24098c59eefc437dacfdfc457f0fda59b013f\
    80c5d4abfb1e2748ab269c727730ba52e1903e91e3e9e164a148ad66496eef3d680a243c45964a39885f3c0ee9f1a3f2\
    8ebf776a3fc5268694de540cd4421a45ae0a908f1de2a0a283ec80c037aae67b";
const SHORT_EXPONENT: &[u8] =
    b"9f4792843055432ed4b92d20d102374649c6c5f732a2288527bfb846ad965a52db568b7c6dcda5f5748eeb5da122540e\
    5fcc1ef6c1b63560f12059a582193edd6e456a4e020e16ae9ecea9fa60ffd675281f1646f27115c2c0177b2ea4dcd128\
    614ca8514c81466cbd0b261c5faa707e39095fc849b0098d207c7c8af98d9879";
/// How an `RSAPublicKey` of 1024 bits begins, and how each with the usual exponent ends (RFC 8017 §A.1.1).
const SHORT_BEGINNING: &[u8] = &[0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
const USUAL_EXPONENT: &[u8] = &[0x02, 0x03, 0x01, 0x00, 0x01];

/// `DigestInfo` up to the digest (RFC 8017 §9.2).
const SHA256_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA1_INFO: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
/// `sha256WithRSAEncryption`; in `sha1WithRSAEncryption` the last byte is 5 (RFC 8017 §A.2.4).
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
}

/// A private key with its public half in DER.
pub(crate) struct RsaKey {
    n: BigUint,
    d: BigUint,
    public: Vec<u8>,
    hash: Hash,
}

impl RsaKey {
    fn usual(hash: Hash) -> Result<Self, Box<dyn Error>> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?;
        // RFC 5208 §5: version, algorithm, key. RFC 8017 §A.1.2: version, n, e, d and more.
        let (_, info) = parse_der(pkcs8.as_ref())?;
        let (_, key) = parse_der(info.as_sequence()?.get(2).ok_or("no key")?.as_slice()?)?;
        let number = |at: usize| -> Result<BigUint, Box<dyn Error>> {
            Ok(BigUint::from_bytes_be(key.as_sequence()?.get(at).ok_or("no number")?.as_slice()?))
        };
        Ok(Self { n: number(1)?, d: number(3)?, public: pair.public_key().as_ref().to_vec(), hash })
    }

    /// One of 1024 bits.
    pub(crate) fn weak() -> Result<Self, Box<dyn Error>> {
        let number = |hex| BigUint::parse_bytes(hex, 16).ok_or("no number");
        let n = number(SHORT_MODULUS)?;
        let public = [SHORT_BEGINNING, n.to_bytes_be().as_slice(), USUAL_EXPONENT].concat();
        Ok(Self { n, d: number(SHORT_EXPONENT)?, public, hash: Hash::Sha256 })
    }

    pub(crate) fn modulus(&self) -> Vec<u8> {
        self.n.to_bytes_be()
    }

    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.1).
    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let (info, digest) = match self.hash {
            Hash::Sha1 => (SHA1_INFO, digest(&SHA1_FOR_LEGACY_USE_ONLY, message)),
            Hash::Sha256 => (SHA256_INFO, digest(&SHA256, message)),
        };
        let length = self.modulus().len();
        let filling = vec![0xff; length - 3 - info.len() - digest.as_ref().len()];
        let encoded = [&[0, 1], filling.as_slice(), &[0], info, digest.as_ref()].concat();
        let signed = BigUint::from_bytes_be(&encoded).modpow(&self.d, &self.n).to_bytes_be();
        [vec![0; length - signed.len()], signed].concat()
    }
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for RsaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.signature(&self.named(message)))
    }
}

impl RsaKey {
    /// rcgen writes no name of an algorithm over SHA-1, so it is put in.
    fn named(&self, der: &[u8]) -> Vec<u8> {
        let mut out = der.to_vec();
        let named = der.windows(SHA256_WITH_RSA.len()).enumerate().filter(|(_, bytes)| *bytes == SHA256_WITH_RSA);
        for (at, bytes) in named.filter(|_| self.hash == Hash::Sha1) {
            if let Some(last) = out.get_mut(at + bytes.len() - 1) {
                *last = 5;
            }
        }
        out
    }
}

/// A name, a chain, and the error that there is to be.
type Chain = (&'static str, IssuedSvid, Option<&'static str>);

/// The root of `rsa.test`, and chains to it in which something is signed with RSA.
pub(crate) fn chains(
    began: Timestamp,
    over: Timestamp,
) -> Result<(CertificateDer<'static>, Vec<Chain>), Box<dyn Error>> {
    let params = |path: &str, is_ca| -> Result<CertificateParams, Box<dyn Error>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("RSA{path}"));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://rsa.test{path}").try_into()?)];
        params.key_usages = match is_ca {
            IsCa::Ca(_) => vec![KeyUsagePurpose::KeyCertSign],
            _ => vec![KeyUsagePurpose::DigitalSignature],
        };
        params.is_ca = is_ca;
        params.not_before = time::OffsetDateTime::from_unix_timestamp(i64::try_from(began.as_secs())?)?;
        params.not_after = time::OffsetDateTime::from_unix_timestamp(i64::try_from(over.as_secs())?)?;
        Ok(params)
    };
    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let root = params("", authority)?;
    let certificate = root.self_signed(&key)?.der().clone();
    let root = Issuer::new(root, key);
    let issue = |by: RsaKey, of: &RsaKey| -> Result<IssuedSvid, Box<dyn Error>> {
        let above = params("", authority)?;
        let middle = above.signed_by(&by, &root)?.der().clone();
        let issuer = Issuer::new(above, by);
        let leaf = params("/agent", IsCa::ExplicitNoCa)?.signed_by(of, &issuer)?;
        Ok(IssuedSvid {
            spiffe_id: "spiffe://rsa.test/agent".to_owned(),
            chain: vec![issuer.key().named(leaf.der()).into(), middle],
            key: Zeroizing::new(Vec::new()).into(),
            not_after: over,
        })
    };
    let (usual, weak) = (RsaKey::usual(Hash::Sha256)?, RsaKey::weak()?);
    let chains = vec![
        ("control: RSA keys of 2048 bits", issue(RsaKey::usual(Hash::Sha256)?, &usual)?, None),
        ("an RSA key of 1024 bits", issue(RsaKey::usual(Hash::Sha256)?, &weak)?, Some("WeakKey")),
        ("by an intermediate with an RSA key of 1024 bits", issue(weak, &usual)?, Some("Chain BadSignature")),
        (
            "by an intermediate that signs over SHA-1",
            issue(RsaKey::usual(Hash::Sha1)?, &usual)?,
            Some("Chain UnsupportedSignatureAlgorithmContext"),
        ),
    ];
    Ok((certificate, chains))
}
