//! The issuer identifier (OpenID Connect Discovery section 3, RFC 8414 section 2).

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

/// The issuer exactly as configured: it is compared byte for byte by every client, so it is never normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text is no issuer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IssuerError {
    /// Not a URL.
    #[error("`{0}` is not an absolute URL; write it like https://id.example.org")]
    NotAUrl(String),
    /// Plain http is for loopback only.
    #[error("`{0}` is not https; plain http is allowed only on 127.0.0.1, [::1] and localhost")]
    NotHttps(String),
    /// Query, fragment or userinfo.
    #[error("`{0}` has a query, fragment or userinfo, which an issuer must not have")]
    ExtraParts(String),
    /// Written so that the parsed form differs.
    #[error("`{0}` is not in its plain form; write `{1}`, without a slash at the end")]
    NotCanonical(String, String),
}

impl Issuer {
    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).map_err(|_| IssuerError::NotAUrl(text.to_owned()))?;
        let loopback = url.host().is_some_and(|host| is_loopback(&host));
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(IssuerError::NotHttps(text.to_owned())),
        }
        if text.contains(['?', '#', '@']) {
            return Err(IssuerError::ExtraParts(text.to_owned()));
        }
        let canonical = url.as_str().trim_end_matches('/');
        if canonical != text {
            return Err(IssuerError::NotCanonical(text.to_owned(), canonical.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The issuer, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path under which every endpoint hangs: empty, or `/tenant` without a slash at the end.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// Scheme, host and port, as browsers send it in `Origin`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The host alone: a name, or an address without brackets.
    pub fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            // No URL of http or https is without a host.
            None => String::new(),
        }
    }

    /// Whether it is plain http, which [`Issuer::parse`] admits on loopback only.
    pub fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The URL of an endpoint; `path` begins with a slash.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Loopback means 127.0.0.1, `[::1]` and localhost.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => *address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => *address == std::net::Ipv6Addr::LOCALHOST,
    }
}
