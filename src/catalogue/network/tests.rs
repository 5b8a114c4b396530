//! Which addresses lie in which network.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn what_is_no_network_is_refused() {
    use ParseNetworkError::{HostBits, PrefixTooLong, Syntax};
    let rows = [
        ("10.0.0.0", Syntax),
        ("10.0.0.0/", Syntax),
        ("10.0.0.0/+8", Syntax),
        ("host/8", Syntax),
        ("10.0.0.0/33", PrefixTooLong),
        ("fd00::/129", PrefixTooLong),
        ("10.0.0.0/999", PrefixTooLong),
        ("10.0.0.1/8", HostBits),
        ("fd00::1/64", HostBits),
        ("1.0.0.0/0", HostBits),
    ];
    for (text, expected) in rows {
        assert_eq!(text.parse::<Network>(), Err(expected), "{text}");
    }
}

#[test]
fn addresses_are_compared_by_their_prefix() {
    let rows = [
        ("10.0.0.0/8", "10.255.1.2", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/32", "10.1.2.4", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.9", true),
        ("fd00::/8", "fdff::1", true),
        ("::1/128", "::1", true),
        ("::/0", "10.0.0.1", false),
    ];
    for (network, address, expected) in rows {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
    }
}
