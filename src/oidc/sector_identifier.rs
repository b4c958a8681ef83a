//! The sector of a client with pairwise subjects: clients of one sector know a person by the same `sub` (OpenID Connect Core
//! section 8.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::{Host, Url};

/// Why redirect URIs name no sector. `sector_identifier_uri`, which could name one for several hosts, is not offered: it
/// would have claviger fetch what an app's owner writes.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SectorIdentifierError {
    /// There is no host, or one that is everybody's: apps that do not belong together would be one sector.
    #[error(
        "pairwise needs redirect URIs with a host of the app's own, which {0} has not; set public, or give it one"
    )]
    NoHostOfItsOwn(String),
    /// Several hosts.
    #[error(
        "pairwise needs redirect URIs of one host, but there are {0} and {1}; make an OidcClient for each host, or set public"
    )]
    Several(String, String),
    /// There are no redirect URIs.
    #[error("pairwise needs a redirect URI, whose host it is told by")]
    None,
}

/// The host that all of `redirect_uris` have.
pub fn sector_identifier(redirect_uris: &[String]) -> Result<String, SectorIdentifierError> {
    let mut sector: Option<String> = None;
    for uri in redirect_uris {
        let host = own_host(uri).ok_or_else(|| SectorIdentifierError::NoHostOfItsOwn(uri.clone()))?;
        match &sector {
            Some(first) if *first != host => {
                return Err(SectorIdentifierError::Several(first.clone(), host));
            }
            _ => sector = Some(host),
        }
    }
    sector.ok_or(SectorIdentifierError::None)
}

/// The host in the one form that `url` gives it, if it is neither the app's own device nor that of a private-use scheme.
fn own_host(uri: &str) -> Option<String> {
    let uri = Url::parse(uri)
        .ok()
        .filter(|uri| uri.scheme() == "https" || uri.scheme() == "http")?;
    match uri.host()? {
        Host::Domain("localhost") | Host::Ipv4(Ipv4Addr::LOCALHOST) | Host::Ipv6(Ipv6Addr::LOCALHOST) => None,
        host => Some(host.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(uris: &[&str]) -> Result<String, SectorIdentifierError> {
        sector_identifier(&uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_sector_is_the_one_host_of_all_redirect_uris() {
        for (uris, host) in [
            (&["https://shop.example.org/callback"][..], "shop.example.org"),
            (
                &["https://shop.example.org/a", "https://SHOP.example.org:8443/b?c"],
                "shop.example.org",
            ),
            (
                &["https://[2001:db8::1]/cb", "https://[2001:DB8:0::1]:1/cb"],
                "[2001:db8::1]",
            ),
        ] {
            assert_eq!(sector(uris).as_deref(), Ok(host));
        }
    }

    #[test]
    fn without_one_host_there_is_no_sector() {
        use SectorIdentifierError::{NoHostOfItsOwn, None, Several};
        assert_eq!(sector(&[]), Err(None));
        assert_eq!(
            sector(&["https://a.example/", "https://b.a.example/"]),
            Err(Several("a.example".to_owned(), "b.a.example".to_owned()))
        );
        for native in [
            "http://127.0.0.1/cb",
            "http://[::1]:5000/cb",
            "http://localhost/cb",
            "org.example.app:/cb",
            "org.example.app://shop.example.org/cb",
        ] {
            let refused = Err(NoHostOfItsOwn(native.to_owned()));
            assert_eq!(sector(&[native]), refused);
            assert_eq!(sector(&["https://shop.example.org/cb", native]), refused);
        }
    }
}
