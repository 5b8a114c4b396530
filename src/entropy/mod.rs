//! The only reader of randomness: the system's, or a seeded stream by which a simulation repeats itself. The files in which
//! secrets that were made from it are kept have their rules in `secret_file`.

pub mod secret_file;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random bytes.
#[derive(Debug, Clone)]
pub struct Entropy(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Seeded { seed: u64, counter: Arc<AtomicU64> },
}

/// The system gave no randomness: nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct EntropyError(#[source] aws_lc_rs::error::Unspecified);

impl Entropy {
    /// The system's randomness.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A stream that depends on the seed alone; predictable, so for tests and simulations only.
    #[must_use]
    pub fn danger_seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, counter: Arc::new(AtomicU64::new(0)) })
    }

    /// So many random bytes.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut out = [0_u8; N];
        match &self.0 {
            // The generator of the cryptographic library, seeded and reseeded by the system: a request needs half a dozen draws.
            Source::System => aws_lc_rs::rand::fill(&mut out).map_err(EntropyError)?,
            Source::Seeded { seed, counter } => {
                for chunk in out.chunks_mut(32) {
                    let n = counter.fetch_add(1, Ordering::SeqCst);
                    let block = [seed.to_be_bytes(), n.to_be_bytes()].concat();
                    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &block);
                    for (byte, random) in chunk.iter_mut().zip(digest.as_ref()) {
                        *byte = *random;
                    }
                }
            }
        }
        Ok(out)
    }
}
