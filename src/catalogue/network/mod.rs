//! Networks that an identity is declared to call from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network in CIDR notation, e.g. `10.0.0.0/8` or `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

/// Why a string is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseNetworkError {
    /// Not `ADDRESS/LENGTH`.
    #[error("not of the form `ADDRESS/LENGTH`")]
    Syntax,
    /// The length is beyond that of the address.
    #[error("the prefix is longer than the address")]
    PrefixTooLong,
    /// Bits are set beyond the prefix, so that it is not certain what was meant.
    #[error("bits are set beyond the prefix")]
    HostBits,
}

impl Network {
    /// True when the address lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address.to_canonical(), self.prefix_len) == masked(self.address, self.prefix_len)
            }
            _ => false,
        }
    }
}

/// The first `prefix_len` bits, as a number.
fn masked(address: IpAddr, prefix_len: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let host = width.saturating_sub(u32::from(prefix_len));
    bits.checked_shr(host).unwrap_or(0)
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (address, len) = s.split_once('/').ok_or(ParseNetworkError::Syntax)?;
        let address: IpAddr = address.parse().map_err(|_| ParseNetworkError::Syntax)?;
        if len.is_empty() || len.len() > 3 || !len.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseNetworkError::Syntax);
        }
        let prefix_len: u8 = len.parse().map_err(|_| ParseNetworkError::PrefixTooLong)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix_len > width {
            return Err(ParseNetworkError::PrefixTooLong);
        }
        let host = u32::from(width - prefix_len);
        let kept = masked(address, prefix_len).checked_shl(host).unwrap_or(0);
        if kept != masked(address, width) {
            return Err(ParseNetworkError::HostBits);
        }
        Ok(Self { address, prefix_len })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests;
