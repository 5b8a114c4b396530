//! Signed notes (C2SP signed-note): a text, and below it signatures by named Ed25519 keys. Keys are told apart by name and
//! a hash; lines of keys that are not asked for are passed over, so that witnesses may add theirs.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest note that is read, in bytes: a checkpoint with a hundred witnesses fits.
pub const NOTE_BYTES_MAX: usize = 16 << 10;
/// Longest key name, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Why a note or its key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// No `name+hash+key`, or not of an Ed25519 key.
    #[error("not a verifier key of the form `name+hash+base64`")]
    Key,
    /// The hash inside a verifier key is not its own.
    #[error("the hash inside the verifier key is not the key's")]
    KeyHash,
    /// A key name that is empty, too long, or holds white space or a plus.
    #[error("`{0}` is no name for a key")]
    KeyName(String),
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("the note is too long")]
    TooLong,
    /// Not a text, an empty line and signature lines.
    #[error("the note is malformed: {0}")]
    Malformed(&'static str),
    /// No signature by the key.
    #[error("the note bears no signature by `{0}`")]
    Unsigned(String),
    /// A signature by the key that does not hold.
    #[error("the signature by `{0}` does not hold")]
    Signature(String),
}

/// A public key by which notes are verified: `name+hash+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks that a note bears a signature by this key and gives its text, the last line end included.
    ///
    /// # Errors
    /// When the note is malformed, or has no signature by the key, or one that does not hold.
    pub fn verify<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let (mut signed, id) = (false, key_id(&self.name, &self.public));
        for line in signatures {
            let (name, bytes) = signature_line(line)?;
            let Some(signature) = bytes.strip_prefix(&id).filter(|_| name == self.name) else { continue };
            UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(text.as_bytes(), signature)
                .map_err(|_| NoteError::Signature(self.name.clone()))?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::Unsigned(self.name.clone())) }
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(s: &str) -> Result<Self, NoteError> {
        // Base64 may hold a plus, so only the first two divide.
        let mut parts = s.trim_end_matches(['\r', '\n']).splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let public = key.strip_prefix(&[ED25519_TYPE]).and_then(|key| key.try_into().ok()).ok_or(NoteError::Key)?;
        if hash != hex(key_id(name, &public)) {
            return Err(NoteError::KeyHash);
        }
        Ok(Self { name: name.to_owned(), public })
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[ED25519_TYPE], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex(key_id(&self.name, &self.public)), STANDARD.encode(typed))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private key by which notes are signed.
pub struct SignerKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SignerKey {
    /// A key from its name and 32 random bytes.
    ///
    /// # Errors
    /// When the name is none for a key.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key)?;
        Ok(Self { pair, verifier: VerifierKey { name: name.to_owned(), public } })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text, which ends with a line end and holds no control character besides.
    ///
    /// # Errors
    /// When the text is none that a note may have.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let VerifierKey { name, public } = &self.verifier;
        let signature = [key_id(name, public).as_slice(), self.pair.sign(text.as_bytes()).as_ref()].concat();
        Ok(format!("{text}\n{SIGNATURE_START}{name} {}\n", STANDARD.encode(signature)))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private key of {}", self.verifier)
    }
}

// The type byte of Ed25519 in keys and key hashes.
const ED25519_TYPE: u8 = 0x01;
// Begins every signature line: an em dash and a blank.
const SIGNATURE_START: &str = "\u{2014} ";

// The first four bytes of SHA-256(name ‖ line end ‖ type ‖ key).
fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(&[b'\n', ED25519_TYPE]);
    context.update(public);
    let digest = context.finish();
    let mut id = [0_u8; 4];
    for (byte, of) in id.iter_mut().zip(digest.as_ref()) {
        *byte = *of;
    }
    id
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let fits = !name.is_empty()
        && name.len() <= KEY_NAME_BYTES_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
    if fits { Ok(()) } else { Err(NoteError::KeyName(name.to_owned())) }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("the text does not end with a line end"));
    }
    if text.contains(|c: char| c.is_control() && c != '\n') {
        return Err(NoteError::Malformed("a control character"));
    }
    Ok(())
}

// The text with its last line end, and the signature lines.
fn split(note: &str) -> Result<(&str, impl Iterator<Item = &str>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    // The text may hold empty lines, signatures may not: the last one divides.
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line"))?;
    let (text, rest) = note.split_at(at + 1);
    check_text(text)?;
    let signatures = rest.strip_prefix('\n').and_then(|s| s.strip_suffix('\n')).filter(|s| !s.is_empty());
    let signatures = signatures.ok_or(NoteError::Malformed("no signature line"))?;
    Ok((text, signatures.split('\n')))
}

fn signature_line(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("a signature line");
    let (name, signature) =
        line.strip_prefix(SIGNATURE_START).and_then(|rest| rest.split_once(' ')).ok_or(malformed.clone())?;
    check_name(name)?;
    let bytes = STANDARD.decode(signature).map_err(|_| malformed.clone())?;
    if bytes.len() < 5 { Err(malformed) } else { Ok((name, bytes)) }
}

#[cfg(test)]
mod tests;
