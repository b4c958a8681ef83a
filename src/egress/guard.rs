//! Which addresses may be connected to.
//!
//! Public ones, by the registries of special-purpose addresses (RFC 6890, as IANA keeps them), and those that the
//! administrator names. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::address_range::AddressRange;

/// An address that may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// One that somebody can allow.
    #[error(
        "the host leads to {0}, which is no public address; if apps are there, whoever runs claviger allows it with \
         --allow-egress"
    )]
    NotPublic(IpAddr),
    /// One where no app is, see [`METADATA`], or the API server's.
    #[error("the host leads to {0}, which is never connected to, whatever --allow-egress allows")]
    Never(IpAddr),
}

/// IPv4 addresses that are not public: first address and prefix.
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    // The Services of clusters on GKE, unless somebody chose another range: it belongs to Google and leads nowhere outside.
    ([34, 118, 224, 0], 20),
];

/// The one range of public IPv6 addresses: loopback, unique-local, link-local, multicast and addresses that hold one of IPv4
/// in themselves (mapped, NAT64) are outside.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is not public in it: protocol assignments with Teredo, documentation, 6to4, which holds an address of IPv4.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// NAT64 (RFC 6052 section 2.1, RFC 8215): the last 32 bits are an address of IPv4.
const NAT64: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
];
/// 6to4 (RFC 3056 section 2): the 32 bits behind the prefix are an address of IPv4.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// Where clouds tell machines their credentials: AWS, Azure, GCP, Oracle, Alibaba, and the likes of them in pods. No app is
/// there, so no range that somebody allows makes these reachable.
const METADATA: [IpAddr; 10] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// How much around the API server's Service counts as the Services' range: the largest that Kubernetes takes has 20 bits for
/// Services in IPv6; in IPv4 the usual ones of /16 and smaller are within.
const SERVICES_V4: u32 = 16;
const SERVICES_V6: u32 = 108;

/// Decides; see the module documentation.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<AddressRange>,
    api_server: Option<IpAddr>,
}

impl Guard {
    /// `allowed` may be connected to although they are not public. `api_server` is the address of the API server's Service:
    /// the Services around it are refused although their range be public, unless they are allowed. It is refused
    /// itself whatever is allowed: no app is there.
    pub fn new(allowed: Vec<AddressRange>, api_server: Option<IpAddr>) -> Self {
        Self {
            allowed,
            api_server: api_server.map(|address| address.to_canonical()),
        }
    }

    /// # Errors
    ///
    /// [`Refused`], where the address may not be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        if self.permits(address) {
            Ok(())
        } else if self.is_out_of_bounds(address) {
            Err(Refused::Never(address))
        } else {
            Err(Refused::NotPublic(address))
        }
    }

    fn is_out_of_bounds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        METADATA.contains(&address) || self.api_server == Some(address)
    }

    fn permits(&self, address: IpAddr) -> bool {
        if self.is_out_of_bounds(address) {
            return false;
        }
        let is_allowed = self.allowed.iter().any(|range| range.contains(address));
        match address {
            // By these everything of IPv4 is within reach, so allowing them does not allow that.
            IpAddr::V6(address) if NAT64.iter().any(|range| within_v6(address, *range)) => {
                let [.., a, b, c, d] = address.octets();
                is_allowed && self.permits(Ipv4Addr::new(a, b, c, d).into())
            }
            IpAddr::V6(address) if within_v6(address, SIX_TO_FOUR) => {
                let [_, _, a, b, c, d, ..] = address.octets();
                is_allowed && self.permits(Ipv4Addr::new(a, b, c, d).into())
            }
            _ => is_allowed || (is_public(address) && !self.is_service(address)),
        }
    }

    fn is_service(&self, address: IpAddr) -> bool {
        match (self.api_server, address) {
            (Some(IpAddr::V4(service)), IpAddr::V4(address)) => {
                within_v4(address, (service.octets(), SERVICES_V4))
            }
            (Some(IpAddr::V6(service)), IpAddr::V6(address)) => within_v6(address, (service, SERVICES_V6)),
            _ => false,
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|range| within_v4(address, *range)),
        IpAddr::V6(address) => {
            within_v6(address, PUBLIC_V6) && !SPECIAL_V6.iter().any(|range| within_v6(address, *range))
        }
    }
}

fn within_v4(address: Ipv4Addr, (first, prefix): ([u8; 4], u32)) -> bool {
    (address.to_bits() ^ u32::from_be_bytes(first))
        .checked_shr(32 - prefix)
        .unwrap_or(0)
        == 0
}

fn within_v6(address: Ipv6Addr, (first, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ first.to_bits())
        .checked_shr(128 - prefix)
        .unwrap_or(0)
        == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str], api_server: Option<&str>) -> Guard {
        Guard::new(
            allowed.iter().map(|range| range.parse().unwrap()).collect(),
            api_server.map(|address| address.parse().unwrap()),
        )
    }

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    /// Nothing but public addresses, whatever form hides another: the first and the last of each range that is not, and what
    /// lies beside it.
    #[test]
    fn rule_83_only_public_addresses_are_connected_to() {
        let guard = Guard::default();
        for refused in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "34.118.224.1",
            "34.118.239.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:93.184.216.34",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::93.184.216.34",
            "64:ff9b:1::1",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:0a00:0001::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&guard, refused), "{refused}");
        }
        for permitted in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "34.118.223.255",
            "34.118.240.0",
            "2000::1",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            assert!(permits(&guard, permitted), "{permitted}");
        }
    }

    /// What the administrator allows is connected to, and nothing beside it; the addresses of credentials never are, nor what
    /// NAT64 would lead to beyond what is allowed itself.
    #[test]
    fn rule_83_what_is_allowed_is_connected_to_and_metadata_never_is() {
        let services = guard(&["10.96.0.0/12", "fd00:10:96::/112"], None);
        for (address, permitted) in [
            ("10.96.0.1", true),
            ("10.111.255.255", true),
            ("10.112.0.0", false),
            ("::ffff:10.96.0.1", true),
            ("::ffff:10.112.0.0", false),
            ("fd00:10:96::1", true),
            ("fd00:10:97::1", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(permits(&services, address), permitted, "{address}");
        }
        let everything = guard(&["0.0.0.0/0", "::/0"], None);
        for metadata in METADATA {
            assert!(everything.check(metadata).is_err(), "{metadata}");
        }
        for (address, permitted) in [
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::169.254.169.254", false),
            ("169.254.169.253", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b:1::169.254.169.254", false),
            ("2002:a9fe:a9fe::1", false),
            ("2002:a00:1::1", true),
            ("fe80::a9fe:a9fe", false),
            ("fe80::1", true),
        ] {
            assert_eq!(permits(&everything, address), permitted, "{address}");
        }
        let nat64 = guard(&["64:ff9b::/96"], None);
        assert!(permits(&nat64, "64:ff9b::93.184.216.34"));
        assert!(!permits(&nat64, "64:ff9b::10.0.0.1"));
    }

    /// A cluster may have public addresses for its Services; the API server's own tells which.
    #[test]
    fn rule_83_services_around_the_api_servers_are_not_connected_to() {
        let unfenced = guard(&[], Some("9.9.0.1"));
        for (address, permitted) in [
            ("9.9.0.1", false),
            ("9.9.255.255", false),
            ("9.8.0.1", true),
            ("2600::1", true),
        ] {
            assert_eq!(permits(&unfenced, address), permitted, "{address}");
        }
        assert!(permits(&guard(&["9.9.9.9"], Some("9.9.0.1")), "9.9.9.9"));
        for api_server in ["10.96.0.1", "::ffff:10.96.0.1"] {
            let services = guard(&["10.96.0.0/12", "64:ff9b::/96"], Some(api_server));
            assert!(permits(&services, "10.96.0.2"));
            for address in ["10.96.0.1", "::ffff:10.96.0.1", "64:ff9b::10.96.0.1"] {
                assert!(!permits(&services, address), "{address}");
            }
            let refused = services.check("10.96.0.1".parse().unwrap()).unwrap_err();
            assert!(matches!(refused, Refused::Never(_)), "{refused}");
        }
        let six = guard(&[], Some("2600:1::1"));
        assert!(!permits(&six, "2600:1::f:ffff"));
        assert!(permits(&six, "2600:1::10:0"));
    }
}
