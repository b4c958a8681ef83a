//! The authorization response (RFC 6749 section 4.1.2) and its error form (section 4.1.2.1).

use url::form_urlencoded;
use zeroize::Zeroizing;

use super::authorization_request::AuthorizationRequest;
use super::authorization_request::validate::Redirectable;
use super::error::Error;
use super::issuer::Issuer;
use super::opaque_token::OpaqueToken;
use super::redirect_uri;
use super::response_mode::ResponseMode;

/// Where a response goes, and how.
#[derive(Debug, Clone, Copy)]
pub struct ReturnPath<'a> {
    /// The checked redirect URI.
    pub redirect_uri: &'a str,
    /// How the response travels.
    pub response_mode: ResponseMode,
    /// `state` of the request.
    pub state: Option<&'a str>,
}

impl<'a> From<&'a AuthorizationRequest> for ReturnPath<'a> {
    fn from(request: &'a AuthorizationRequest) -> Self {
        Self {
            redirect_uri: &request.redirect_uri,
            response_mode: request.response_mode,
            state: request.state.as_deref(),
        }
    }
}

impl<'a> From<&'a Redirectable> for ReturnPath<'a> {
    fn from(refused: &'a Redirectable) -> Self {
        Self {
            redirect_uri: &refused.redirect_uri,
            response_mode: refused.response_mode,
            state: refused.state.as_deref(),
        }
    }
}

/// What goes back to the app by way of the browser. No `Debug`: it may carry a code.
pub struct AuthorizationResponse {
    redirect_uri: String,
    response_mode: ResponseMode,
    parameters: Vec<(&'static str, Zeroizing<String>)>,
}

impl AuthorizationResponse {
    /// A code for the app.
    pub fn code(path: ReturnPath<'_>, issuer: &Issuer, code: &OpaqueToken) -> Self {
        Self::build(path, issuer, &[("code", code.expose())])
    }

    /// An error for the app.
    pub fn error(path: ReturnPath<'_>, issuer: &Issuer, error: &Error) -> Self {
        let parameters = [
            ("error", error.code.as_str()),
            ("error_description", &error.description),
        ];
        Self::build(path, issuer, &parameters)
    }

    fn build(path: ReturnPath<'_>, issuer: &Issuer, result: &[(&'static str, &str)]) -> Self {
        // RFC 9207 section 2: `iss` is in every response, errors included.
        let rest = [
            path.state.map(|state| ("state", state)),
            Some(("iss", issuer.as_str())),
        ];
        let parameters = result.iter().copied().chain(rest.into_iter().flatten());
        Self {
            redirect_uri: path.redirect_uri.to_owned(),
            response_mode: path.response_mode,
            parameters: parameters
                .map(|(name, value)| (name, Zeroizing::new(value.to_owned())))
                .collect(),
        }
    }

    /// How it travels.
    pub fn response_mode(&self) -> ResponseMode {
        self.response_mode
    }

    /// The redirect URI without the response.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Names and values, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// `error` and `error_description` as one text, unless it carries a code.
    pub fn refusal(&self) -> Option<String> {
        let of = |wanted| {
            let found = self.parameters().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value)
        };
        let error = of("error")?;
        Some(format!(
            "{error}: {}",
            of("error_description").unwrap_or_default()
        ))
    }

    /// The target of the redirect that carries the response in its query.
    pub fn location(&self) -> Zeroizing<String> {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        serializer.extend_pairs(self.parameters());
        let query = Zeroizing::new(serializer.finish());
        Zeroizing::new(redirect_uri::with_query(&self.redirect_uri, &query))
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthorizationResponse, ReturnPath};
    use crate::oidc::error::{Error, ErrorCode};
    use crate::oidc::issuer::Issuer;
    use crate::oidc::response_mode::ResponseMode;

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
            let path = ReturnPath {
                redirect_uri,
                response_mode: ResponseMode::Query,
                state: Some("a&b c"),
            };
            let response = AuthorizationResponse::error(path, &issuer, &error);
            assert_eq!(*response.location(), format!("{redirect_uri}{separator}{tail}"));
        }
    }
}
