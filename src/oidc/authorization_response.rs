//! The authorization response (RFC 6749 section 4.1.2) and its error form (section 4.1.2.1), in `response_mode=query`.

use url::form_urlencoded;
use zeroize::Zeroizing;

use super::error::Error;
use super::issuer::Issuer;
use super::opaque_token::OpaqueToken;

/// What goes back to the app by way of the browser. No `Debug`: it may carry a code.
pub struct AuthorizationResponse {
    redirect_uri: String,
    location: Zeroizing<String>,
}

impl AuthorizationResponse {
    /// A code for the app.
    pub fn code(redirect_uri: &str, state: Option<&str>, issuer: &Issuer, code: &OpaqueToken) -> Self {
        Self::build(redirect_uri, state, issuer, &[("code", code.expose())])
    }

    /// An error for the app.
    pub fn error(redirect_uri: &str, state: Option<&str>, issuer: &Issuer, error: &Error) -> Self {
        let parameters = [
            ("error", error.code.as_str()),
            ("error_description", &error.description),
        ];
        Self::build(redirect_uri, state, issuer, &parameters)
    }

    fn build(
        redirect_uri: &str,
        state: Option<&str>,
        issuer: &Issuer,
        parameters: &[(&'static str, &str)],
    ) -> Self {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        serializer.extend_pairs(parameters);
        if let Some(state) = state {
            serializer.append_pair("state", state);
        }
        // RFC 9207 section 2: in every response, errors included.
        serializer.append_pair("iss", issuer.as_str());
        let query = Zeroizing::new(serializer.finish());
        // RFC 6749 section 3.1.2: a query that the redirect URI has already is retained. The URI is extended as text, so
        // that nothing in it is normalised.
        let separator = match redirect_uri.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, registered)) if registered.ends_with('&') => "",
            Some(_) => "&",
        };
        Self {
            redirect_uri: redirect_uri.to_owned(),
            location: Zeroizing::new(format!("{redirect_uri}{separator}{}", *query)),
        }
    }

    /// The target of the redirect.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The redirect URI without the response.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

#[cfg(test)]
mod tests {
    use super::AuthorizationResponse;
    use crate::oidc::error::{Error, ErrorCode};
    use crate::oidc::issuer::Issuer;

    #[test]
    fn the_redirect_uri_is_extended_and_never_rewritten() {
        let issuer = Issuer::parse("https://id.example.org").unwrap();
        let error = Error::new(ErrorCode::AccessDenied, "no");
        let tail = "error=access_denied&error_description=no&state=a%26b+c&iss=https%3A%2F%2Fid.example.org";
        for (redirect_uri, separator) in [
            ("https://app.example.org/cb", "?"),
            ("https://app.example.org/%2e%2E/cb?", ""),
            ("https://app.example.org/cb?a=b", "&"),
            ("https://app.example.org/cb?a=b&", ""),
            ("org.example.app:/cb", "?"),
        ] {
            let response = AuthorizationResponse::error(redirect_uri, Some("a&b c"), &issuer, &error);
            assert_eq!(response.location(), format!("{redirect_uri}{separator}{tail}"));
        }
    }
}
