//! `NO_PROXY`: hosts that are reached without proxy, as curl reads it, with ports and networks on top.

use std::net::IpAddr;

use crate::net::url::Url;

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoProxyRule {
    /// `*`: no proxy at all.
    All,
    /// A name and all names below it, perhaps at one port only.
    Domain(String, Option<u16>),
    /// An address, perhaps at one port only.
    Address(IpAddr, Option<u16>),
    /// A network: the leading bits that count.
    Network(IpAddr, u8),
}

/// The entries of `NO_PROXY`, separated by commas or spaces; what makes no sense matches nothing.
pub(super) fn parse_list(text: &str) -> Vec<NoProxyRule> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).filter_map(parse_rule).collect()
}

fn parse_rule(entry: &str) -> Option<NoProxyRule> {
    if entry == "*" {
        return Some(NoProxyRule::All);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        return (bits <= address_bits(address)).then_some(NoProxyRule::Network(address, bits));
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse() {
        return Some(NoProxyRule::Address(address, None));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return Some(NoProxyRule::Address(address, port));
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.');
    (!name.is_empty()).then(|| NoProxyRule::Domain(name.to_ascii_lowercase(), port))
}

impl NoProxyRule {
    /// Whether `url` is reached without proxy.
    pub(super) fn matches(&self, url: &Url) -> bool {
        let at = |port: &Option<u16>| port.is_none_or(|port| port == url.port);
        match self {
            NoProxyRule::All => true,
            NoProxyRule::Domain(name, port) => {
                let host = url.host.trim_end_matches('.');
                let below = host.strip_suffix(name.as_str());
                at(port) && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            NoProxyRule::Address(address, port) => url.ip_address() == Some(*address) && at(port),
            NoProxyRule::Network(network, bits) => url
                .ip_address()
                .is_some_and(|address| network_prefix(address, *bits) == network_prefix(*network, *bits)),
        }
    }
}

fn address_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first `bits` of an address, with its family so that one never equals the other.
fn network_prefix(address: IpAddr, bits: u8) -> (u8, u128) {
    let (width, number) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    (width, number.checked_shr(u32::from(width) - u32::from(bits.min(width))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (list, url, direct) in [
            ("", "https://a.example/", false),
            ("*", "https://a.example/", true),
            (" * ", "https://a.example/", true),
            ("a.example", "https://a.example/", true),
            ("A.EXAMPLE", "https://a.example/", true),
            ("a.example", "https://b.a.example/", true),
            (".a.example", "https://b.a.example/", true),
            (".a.example", "https://a.example/", true),
            ("*.a.example", "https://b.a.example/", true),
            ("a.example.", "https://a.example/", true),
            ("a.example", "https://xa.example/", false),
            (".a.example", "https://xa.example/", false),
            ("a.example", "https://a.example.com/", false),
            ("example", "https://a.example/", true),
            ("b.example,a.example", "https://a.example/", true),
            ("b.example a.example", "https://a.example/", true),
            ("b.example, a.example", "https://a.example/", true),
            ("a.example:443", "https://a.example/", true),
            ("a.example:8443", "https://a.example/", false),
            ("a.example:8443", "https://a.example:8443/", true),
            ("a.example:x", "https://a.example/", false),
            ("10.0.0.1", "https://10.0.0.1/", true),
            ("10.0.0.1", "https://10.0.0.11/", false),
            ("10.0.0.1:8443", "https://10.0.0.1:8443/", true),
            ("10.0.0.1:8443", "https://10.0.0.1/", false),
            ("10.0.0.0/8", "https://10.255.0.1/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("10.0.0.0/33", "https://10.0.0.1/", false),
            ("0.0.0.0/0", "https://10.0.0.1/", true),
            ("0.0.0.0/0", "https://[2001:db8::1]/", false),
            ("10.0.0.0/8", "https://a.example/", false),
            ("192.168.1.128/25", "https://192.168.1.200/", true),
            ("192.168.1.128/25", "https://192.168.1.100/", false),
            ("2001:db8::1", "https://[2001:db8::1]/", true),
            ("[2001:db8::1]", "https://[2001:db8::1]/", true),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/", true),
            ("2001:db8::/32", "https://[2001:db8:9::1]/", true),
            ("2001:db8::/32", "https://[2001:db9::1]/", false),
            ("::/0", "https://10.0.0.1/", false),
            (",,.", "https://a.example/", false),
        ] {
            let url = Url::parse(url).expect(url);
            let covered = parse_list(list).iter().any(|exception| exception.matches(&url));
            assert_eq!(covered, direct, "{list:?} {url}");
        }
    }
}
