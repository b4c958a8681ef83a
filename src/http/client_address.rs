//! Who asks: the address of the client, told by the connection, or by proxies that the administrator trusts.
//!
//! A proxy appends the address of whoever asked it to `X-Forwarded-For`. The list is read from its end for as long as the
//! addresses are those of trusted proxies; the first other one is the client. What a client wrote there itself stands
//! before that and is never reached. An entry that cannot be read ends the search: then the client is whoever passed it on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use crate::address_range::AddressRange;
use crate::login::network::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whose word about addresses counts; nobody's by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    ranges: Arc<[AddressRange]>,
    /// Whether it was said already that somebody forwards without being trusted.
    warned: Arc<AtomicBool>,
}

impl TrustedProxies {
    /// The proxies in these ranges.
    pub fn new(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        Self {
            ranges: ranges.into_iter().collect(),
            warned: Arc::default(),
        }
    }

    /// Whether the address is that of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// What is dangerous about the ranges, and what to do, in a sentence; nothing where each is narrow.
    pub fn concern(&self) -> Option<String> {
        let wide = self.ranges.iter().filter(|range| range.is_wide());
        let wide: Vec<String> = wide.map(ToString::to_string).collect();
        if wide.is_empty() {
            return None;
        }
        Some(format!(
            "--trusted-proxies names {}, which is more than proxies: whoever connects from there chooses its own address in \
             X-Forwarded-For, and so escapes the limits on failed sign-ins and the rate limits; name the addresses of the \
             proxies only, as narrow as they are, like 10.42.7.0/28",
            wide.join(", ")
        ))
    }

    /// The client behind a connection from `peer`.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries {
            if !self.contains(client) {
                break;
            }
            match forwarded(entry) {
                Some(address) => client = address,
                None => break,
            }
        }
        client.to_canonical()
    }

    /// Everybody behind a proxy that is not trusted looks like one client, and shares the allowance of one.
    fn warn_once(&self, peer: IpAddr, headers: &HeaderMap) {
        if headers.contains_key(X_FORWARDED_FOR)
            && !self.contains(peer)
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "a request came with X-Forwarded-For from an address that is not among --trusted-proxies; if that is your \
                 proxy, name it there: until then everybody behind it shares one allowance of failed sign-ins"
            );
        }
    }
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn forwarded(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse()
        .ok()
        .or_else(bracketed)
        .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Notes the client's network for whoever asks with [`network`].
pub async fn identify(State(proxies): State<TrustedProxies>, mut request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get()
        .map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
    let network = match peer {
        Some(peer) => {
            proxies.warn_once(peer, request.headers());
            Network::of(proxies.client(peer, request.headers()))
        }
        None => Network::UNKNOWN,
    };
    request.extensions_mut().insert(network);
    next.run(request).await
}

/// The network of the client behind a request.
pub fn network(extensions: &Extensions) -> Network {
    extensions.get().copied().unwrap_or(Network::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_wide_range_is_a_concern() {
        for (ranges, named) in [
            (&[][..], None),
            (&["10.42.0.0/16", "192.0.2.1", "2001:db8:7::/48", "::1"], None),
            (&["10.42.0.0/15"], Some("10.42.0.0/15")),
            (&["0.0.0.0/0"], Some("0.0.0.0/0")),
            (&["2001:db8::/47"], Some("2001:db8::/47")),
            (&["::/0", "10.42.7.0/28", "10.0.0.0/8"], Some("::/0, 10.0.0.0/8")),
        ] {
            let concern = TrustedProxies::new(ranges.iter().map(|range| range.parse().unwrap())).concern();
            assert_eq!(concern.is_some(), named.is_some(), "{ranges:?}");
            if let (Some(concern), Some(named)) = (concern, named) {
                assert!(
                    concern.starts_with(&format!("--trusted-proxies names {named}, which")),
                    "{concern}"
                );
            }
        }
    }

    /// Only what trusted proxies have appended counts; a lie of the client and a line that cannot be read change nothing.
    #[test]
    fn rule_69_the_client_is_the_last_address_that_a_trusted_proxy_names() {
        let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (peer, lines, expected) in [
            ("10.0.0.1", &["203.0.113.1"][..], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9, 203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.9", "203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            ("::ffff:10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["::ffff:203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", &["203.0.113.1:4711"], "203.0.113.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1, "], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.1, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("203.0.113.7", &["198.51.100.9"], "203.0.113.7"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let client = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(client.to_string(), expected, "{peer} {lines:?}");
        }
    }
}
