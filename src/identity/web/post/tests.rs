//! URLs to post to. What is posted is tried with receivers, in `tests/it/webhooks.rs`.

use super::*;

#[test]
fn only_https_or_an_allowed_loopback_address_is_posted_to() {
    for (text, plain, authority) in [
        ("https://hooks.example.org/services/T0/B0/secret", false, "hooks.example.org:443"),
        ("https://hooks.example.org:8443/a?key=secret", true, "hooks.example.org:8443"),
        ("http://127.0.0.1:8080/in", true, "127.0.0.1:8080"),
        ("http://[::1]/in", true, "[::1]:80"),
    ] {
        let url = PostUrl::parse(text, plain).unwrap();
        assert_eq!(url.authority(), authority, "{text}");
        assert!(!format!("{url:?}").contains("secret"), "{url:?}");
    }
    for (name, text, plain, problem) in [
        ("plain", "http://127.0.0.1/", false, PostUrlError::Plain),
        ("plain to elsewhere", "http://hooks.example.org/", true, PostUrlError::NotLoopback),
        ("plain to a name", "http://localhost/", true, PostUrlError::NotLoopback),
        ("plain to the network", "http://10.0.0.1/", true, PostUrlError::NotLoopback),
        ("plain to all addresses", "http://0.0.0.0/", true, PostUrlError::NotLoopback),
        ("plain with a user", "http://u:p@127.0.0.1/", true, PostUrlError::Malformed),
        ("plain with a fragment", "http://127.0.0.1/#a", true, PostUrlError::Malformed),
        ("a user", "https://user:secret@hooks.example.org/", false, PostUrlError::Malformed),
        ("a fragment", "https://hooks.example.org/#a", false, PostUrlError::Malformed),
        ("a file", "file:///etc/passwd", true, PostUrlError::Malformed),
        ("a path", "/in", true, PostUrlError::Malformed),
        ("nothing", "", true, PostUrlError::Malformed),
    ] {
        assert_eq!(PostUrl::parse(text, plain), Err(problem), "{name}");
    }
}
