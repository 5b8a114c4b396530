//! Digests of names.

use aws_lc_rs::digest::{Context, SHA256};

/// The first bytes of a SHA-256 over a kind and names. Names are preceded by their length, so that no two lists of names look the same.
#[must_use]
pub fn of_names<const N: usize>(kind: u8, names: &[&str]) -> [u8; N] {
    const { assert!(N <= aws_lc_rs::digest::SHA256_OUTPUT_LEN, "a digest has no more bytes") };
    let mut context = Context::new(&SHA256);
    context.update(&[kind]);
    for name in names {
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name.as_bytes());
    }
    let mut first = [0; N];
    for (byte, of) in first.iter_mut().zip(context.finish().as_ref()) {
        *byte = *of;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys are recorded and compared with those of other versions.
    #[test]
    fn a_digest_stays_what_it_was() {
        // `printf '\x02\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02bc' | sha256sum`
        let expected: [u8; 8] = [0x9c, 0x90, 0xb2, 0x7e, 0x18, 0xf4, 0x1d, 0x58];
        assert_eq!(of_names::<8>(2, &["a", "bc"]), expected);
        assert_eq!(of_names::<16>(2, &["a", "bc"])[..8], expected);
        assert_ne!(of_names::<8>(2, &["ab", "c"]), expected);
        assert_ne!(of_names::<8>(3, &["a", "bc"]), expected);
    }
}
