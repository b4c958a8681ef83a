//! Origins whose scripts may read the answers to a client (CORS), as browsers write them in `Origin` (RFC 6454 section 7).

use thiserror::Error;
use url::Url;

use super::issuer::is_loopback;

/// An origin that may be registered, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllowedOrigin(String);

/// Why an origin may not be registered. Each message goes on after the origin: "`…` is not an origin …".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllowedOriginError {
    /// Longer than [`AllowedOrigin::MAX_LENGTH`].
    #[error("has {0} characters, more than the 300 that are allowed")]
    TooLong(usize),
    /// Not a URL with a host.
    #[error("is not an origin; write scheme, host and where needed a port, like https://app.example.org")]
    NotAnOrigin,
    /// There are no wildcards.
    #[error("has a *; there are no wildcards, list every origin in full")]
    Wildcard,
    /// Plain http is for loopback only.
    #[error("is not https; plain http is allowed only on 127.0.0.1, [::1] and localhost")]
    NotHttps,
    /// Browsers send it differently, so that it would never match.
    #[error("is not what a browser sends; write {0}")]
    NotCanonical(String),
}

impl AllowedOrigin {
    /// The longest that can be registered, in characters: a host name of 253, a scheme and a port fit.
    pub const MAX_LENGTH: usize = 300;

    /// Checks `text` and keeps it as it is. Comparison with a request's `Origin` is byte for byte, so only what browsers
    /// send is taken: no path, no slash at the end, lower case, no default port.
    pub fn parse(text: &str) -> Result<Self, AllowedOriginError> {
        let length = text.chars().count();
        if length > Self::MAX_LENGTH {
            return Err(AllowedOriginError::TooLong(length));
        }
        if text.contains('*') {
            return Err(AllowedOriginError::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| AllowedOriginError::NotAnOrigin)?;
        let host = url.host().ok_or(AllowedOriginError::NotAnOrigin)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            _ => return Err(AllowedOriginError::NotHttps),
        }
        let canonical = url.origin().ascii_serialization();
        if canonical != text {
            return Err(AllowedOriginError::NotCanonical(canonical));
        }
        Ok(Self(text.to_owned()))
    }

    /// The origin as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin as written.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_send_is_accepted() {
        for origin in [
            "https://app.example.org",
            "https://app.example.org:8443",
            "https://xn--bcher-kva.example",
            "https://192.0.2.1",
            "https://[2001:db8::1]:8443",
            "http://localhost:5173",
            "http://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert_eq!(AllowedOrigin::parse(origin).unwrap().as_str(), origin);
        }
    }

    #[test]
    fn what_browsers_never_send_is_refused_with_what_to_write() {
        use AllowedOriginError::{NotAnOrigin, NotCanonical, NotHttps, TooLong, Wildcard};
        let plain = || NotCanonical("https://app.example.org".to_owned());
        let table = [
            ("", NotAnOrigin),
            ("null", NotAnOrigin),
            ("app.example.org", NotAnOrigin),
            ("//app.example.org", NotAnOrigin),
            ("data:text/html,x", NotAnOrigin),
            ("*", Wildcard),
            ("https://*.example.org", Wildcard),
            ("http://app.example.org", NotHttps),
            ("http://localhost.example.org", NotHttps),
            ("http://127.0.0.2", NotHttps),
            ("ftp://app.example.org", NotHttps),
            ("https://app.example.org/", plain()),
            ("https://app.example.org/path", plain()),
            ("https://app.example.org?query", plain()),
            ("https://app.example.org#fragment", plain()),
            ("https://app.example.org:443", plain()),
            ("https://APP.example.org", plain()),
            ("HTTPS://app.example.org", plain()),
            ("https://user@app.example.org", plain()),
            ("https://user:password@app.example.org", plain()),
            (" https://app.example.org", plain()),
            ("https://app.example.org\n", plain()),
            ("https:\\\\app.example.org", plain()),
            ("https://app.example.org%20", NotAnOrigin),
            (
                "https://bücher.example",
                NotCanonical("https://xn--bcher-kva.example".to_owned()),
            ),
            ("http://0x7f.1", NotCanonical("http://127.0.0.1".to_owned())),
        ];
        for (origin, error) in table {
            assert_eq!(AllowedOrigin::parse(origin), Err(error), "{origin}");
        }
        let long = format!("https://{}.example.org", "a".repeat(300));
        assert_eq!(AllowedOrigin::parse(&long), Err(TooLong(long.len())));
    }
}
