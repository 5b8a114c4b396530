//! The operator's master keys: one secret file each, made on first start, 64 hexadecimal digits (so `openssl rand -hex 32`
//! makes one, and a printer can keep it).

use std::path::Path;

use aws_lc_rs::hmac;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::SealError;
use crate::entropy::Entropy;
use crate::entropy::secret_file;

/// 256 bits from which keys for single uses are derived.
pub(super) struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Reads the key; makes one where there is none.
    pub(super) fn load_or_create(path: &Path, entropy: &Entropy) -> Result<Self, SealError> {
        match Self::load(path) {
            Err(SealError::SecretFile(e)) if e.is_absent() => {}
            read => return read,
        }
        let key = Zeroizing::new(entropy.bytes::<KEY_BYTES>()?);
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in key.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).ok_or(SealError::Crypto)?);
            }
        }
        text.push('\n');
        match secret_file::create(path, text.as_bytes()) {
            // Somebody else was faster: theirs is the key.
            Err(e) if e.is_present() => Self::load(path),
            made => made.map(|()| Self(key)).map_err(SealError::from),
        }
    }

    /// Reads the key.
    pub(super) fn load(path: &Path) -> Result<Self, SealError> {
        let content = secret_file::read(path, FILE_BYTES_MAX)?;
        let wrong = || SealError::NotAKey { path: path.to_owned() };
        let text = std::str::from_utf8(&content).map_err(|_| wrong())?.trim_ascii();
        if text.len() != 2 * KEY_BYTES {
            return Err(wrong());
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16).and_then(|v| u8::try_from(v).ok()).ok_or_else(wrong)?;
                *byte = *byte << 4 | value;
            }
        }
        Ok(Self(key))
    }

    /// A key for one use, so that no key serves two algorithms.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        derive(&self.0, purpose)
    }
}

/// A key for one use out of one that serves for this alone.
pub(super) fn derive(key: &[u8; KEY_BYTES], purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), purpose.as_bytes());
    let mut out = Zeroizing::new([0; KEY_BYTES]);
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

pub(super) const KEY_BYTES: usize = 32;
/// Two digits a byte and a line end or two; anything longer is no key.
const FILE_BYTES_MAX: u64 = 128;
