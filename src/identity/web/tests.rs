//! URLs and forms.

use super::*;

#[test]
fn only_an_https_url_that_can_be_reached_is_one() {
    for text in [
        "https://idp.example.org",
        "https://idp.example.org:8443/tenant/a",
        "https://[::1]:8443/",
        "https://idp.example.org/keys?tenant=a",
    ] {
        assert_eq!(text.parse::<HttpsUrl>().unwrap().0, text.parse::<Uri>().unwrap(), "{text}");
    }
    for (name, text) in [
        ("plain http", "http://idp.example.org"),
        ("no scheme", "idp.example.org"),
        ("a path alone", "/keys"),
        ("a fragment", "https://idp.example.org/keys#a"),
        ("a user", "https://idp.example.org@evil.example"),
        ("a port alone", "https://:443"),
        ("half an address", "https://[::1"),
        ("a port that is none", "https://idp.example.org:99999"),
        ("an empty port", "https://idp.example.org:/"),
        ("a host that is none", "https://idp..example.org"),
        ("a file", "file:///etc/passwd"),
        ("nothing", ""),
    ] {
        assert!(text.parse::<HttpsUrl>().is_err(), "{name}");
    }
    assert!(HttpsUrl::plain("https://idp.example.org/tenant").is_ok());
    assert!(HttpsUrl::plain("https://idp.example.org/tenant?a=b").is_err());
}

#[test]
fn what_is_asked_for_keeps_its_query_and_the_host_its_port_unless_it_is_the_usual_one() {
    for (text, host, asked) in [
        ("https://idp.example.org", "idp.example.org", "/"),
        ("https://idp.example.org:443/keys", "idp.example.org", "/keys"),
        ("https://idp.example.org:8443/keys?p=one", "idp.example.org:8443", "/keys?p=one"),
        ("https://[::1]/keys", "[::1]", "/keys"),
    ] {
        let url: HttpsUrl = text.parse().unwrap();
        assert_eq!((url.host_header().as_str(), url.path_and_query()), (host, asked), "{text}");
    }
}

#[test]
fn a_form_escapes_what_would_end_a_field() {
    assert_eq!(encoded(&[("a", "a b&c=d+é/~"), ("b", "")]), "a=a%20b%26c%3Dd%2B%C3%A9%2F~&b=");
}
