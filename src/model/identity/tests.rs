//! Thumbprints, against the empty input's well-known digest.

use super::*;

#[test]
fn a_thumbprint_is_the_sha_256_in_base64url_without_padding() {
    let thumbprint = Thumbprint::of(b"");
    assert_eq!(thumbprint.to_string(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
    assert_eq!(thumbprint.to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
}

#[test]
fn other_spellings_of_a_thumbprint_are_refused() {
    let text = Thumbprint::of(b"").to_string();
    let hex = Thumbprint::of(b"").to_hex();
    // The last letter carries two bits that do not count: they must be zero.
    let other_end = text.trim_end_matches('U').to_owned() + "V";
    for wrong in ["", &hex, &format!("{text}="), &text[1..], &other_end, &text.replace('-', "+")] {
        assert!(wrong.parse::<Thumbprint>().is_err(), "`{wrong}`");
    }
}
