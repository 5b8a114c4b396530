//! A token of a grant that is in the record: for the retry of a request whose answer was lost. The recorded claims are
//! signed again, so `jti`, times and key are those of the first answer, and nothing else can be signed this way.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::draft::sha256;
use super::error::MintError;
use super::ring::KeyRing;
use super::token::Token;
use crate::journal::Journal;
use crate::pb::journal::Grant;
use crate::pb::journal::event::Payload;
use crate::token::header::{TokenType, signing_input};

impl KeyRing {
    /// Signs the claims of the grant that was recorded at that position; `open` opens what was sealed. Whether the grant is
    /// still live is the caller's to ask. Blocks while it reads the record.
    ///
    /// # Errors
    /// When no grant stands there, its claims can't be opened or are not those that were signed, or its key is distrusted or
    /// gone.
    pub fn reissue(
        &self,
        journal: &Journal,
        position: u64,
        open: impl FnOnce(&[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<Token, MintError> {
        // Read here, from the journal itself: what is passed in as recorded might not be.
        let recorded = journal.read(position).map_err(MintError::Unread)?;
        let grant = match recorded.event.payload {
            Some(Payload::CredentialDecided(decided)) => decided.grant.ok_or(MintError::NotRecorded)?,
            _ => return Err(MintError::NotRecorded),
        };
        let payload = Zeroizing::new(open(&grant.sealed_claims).map_err(MintError::Unseal)?);
        self.sign_again(&grant, &payload)
    }

    fn sign_again(&self, grant: &Grant, payload: &[u8]) -> Result<Token, MintError> {
        let key = self.find(&grant.kid)?;
        let published = key.published();
        // The type is not recorded by itself; the digest tells which one it was.
        for kind in TokenType::ALL {
            let input = Zeroizing::new(signing_input(kind, published.algorithm(), published.id(), payload));
            if bool::from(sha256(&input).ct_eq(&grant.signing_input_sha256)) {
                let signature = key.sign(input.as_bytes()).map_err(|_| MintError::Signing)?;
                return Ok(Token::assertion(&input, &signature));
            }
        }
        Err(MintError::NotRecorded)
    }
}
