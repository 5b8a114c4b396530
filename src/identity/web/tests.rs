//! URLs and forms.

use super::*;

#[test]
fn only_a_plain_https_url_is_one() {
    for text in ["https://idp.example.org", "https://idp.example.org:8443/tenant/a", "https://[::1]:8443/"] {
        assert_eq!(text.parse::<HttpsUrl>().unwrap().0, text.parse::<Uri>().unwrap(), "{text}");
    }
    for (name, text) in [
        ("plain http", "http://idp.example.org"),
        ("no scheme", "idp.example.org"),
        ("a path alone", "/keys"),
        ("a query", "https://idp.example.org/keys?tenant=a"),
        ("a fragment", "https://idp.example.org/keys#a"),
        ("a user", "https://idp.example.org@evil.example"),
        ("a file", "file:///etc/passwd"),
        ("nothing", ""),
    ] {
        assert!(text.parse::<HttpsUrl>().is_err(), "{name}");
    }
}

#[test]
fn a_form_escapes_what_would_end_a_field() {
    assert_eq!(form_encoded("a b&c=d+é/~"), "a%20b%26c%3Dd%2B%C3%A9%2F~");
}
