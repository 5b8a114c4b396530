//! A private key, parsed once: parsing PKCS#8 at every signature would cost more than signing.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use zeroize::Zeroizing;

use crate::token::header::SigningAlgorithm;
use crate::token::jwks::PublishedKey;

pub(super) struct SigningKey {
    pair: Pair,
    published: PublishedKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// No reasons are given by the cryptography, and none would be safe to tell.
#[derive(Debug)]
pub(super) struct CryptoError;

impl SigningKey {
    /// A new key, as PKCS#8. The library's own generator of randomness makes it.
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let pkcs8 = match algorithm {
            SigningAlgorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| Zeroizing::new(document.as_ref().to_vec())),
            SigningAlgorithm::Ed25519 => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| Zeroizing::new(document.as_ref().to_vec())),
            SigningAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).and_then(|pair| {
                let der: Pkcs8V1Der<'_> = pair.as_der()?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }),
        };
        pkcs8.map_err(|_| CryptoError)
    }

    pub(super) fn parse(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let (pair, published) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| CryptoError)?;
                let published = PublishedKey::es256(pair.public_key().as_ref());
                (Pair::Es256(pair), published)
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| CryptoError)?;
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                (Pair::Rs256(pair), PublishedKey::rs256(&public.n, &public.e))
            }
            SigningAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| CryptoError)?;
                let published = PublishedKey::ed25519(pair.public_key().as_ref());
                (Pair::Ed25519(pair), published)
            }
        };
        Ok(Self { pair, published: published.map_err(|_| CryptoError)? })
    }

    pub(super) const fn published(&self) -> &PublishedKey {
        &self.published
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&rng, message).map(|s| s.as_ref().to_vec()).map_err(|_| CryptoError),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).map_err(|_| CryptoError)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.published.id())
    }
}
