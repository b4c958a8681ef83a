//! Pages as responses: the headers that guard them, and the templates that fill them.
//!
//! Everything is in the page itself: no picture, no font, nothing of a third party, and no script but the one line that
//! submits a response to an app. Askama escapes every value that is written into a template.

use std::sync::LazyLock;

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::http::boundary::Cause;
use crate::oidc::end_user::EndUser;
use crate::oidc::issuer::Issuer;
use crate::oidc::opaque_token::TokenHash;

/// The one stylesheet, part of every page.
pub(super) const STYLESHEET: &str = include_str!("../assets/style.css");

/// Its hash, by which the Content Security Policy admits it and nothing else.
static STYLESHEET_HASH: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(TokenHash::of(STYLESHEET.as_bytes()).as_bytes()));

/// Where the forms of a page may lead.
#[derive(Clone, Copy)]
pub(super) enum FormAction<'a> {
    /// There is no form.
    Nowhere,
    /// To claviger.
    Here,
    /// To claviger, which then redirects to this URI: Chrome applies `form-action` to that redirect too.
    HereAndThen(&'a str),
    /// To this URI of an app, at once, by a script with this nonce.
    Away(&'a str, &'a str),
}

impl<'a> FormAction<'a> {
    /// To claviger, and then to where an interaction leads.
    pub(super) fn leading_to(redirect_uri: Option<&'a str>) -> Self {
        redirect_uri.map_or(Self::Here, Self::HereAndThen)
    }

    fn sources(self) -> String {
        match self {
            Self::Nowhere => "'none'".to_owned(),
            Self::Here => "'self'".to_owned(),
            Self::HereAndThen(redirect_uri) => match source(redirect_uri) {
                Some(source) => format!("'self' {source}"),
                None => "'self'".to_owned(),
            },
            Self::Away(redirect_uri, _) => source(redirect_uri).unwrap_or_else(|| "'none'".to_owned()),
        }
    }

    /// What may run on the page, as a directive.
    fn scripts(self) -> String {
        match self {
            Self::Away(_, nonce) => format!("script-src 'nonce-{nonce}'; "),
            Self::Nowhere | Self::Here | Self::HereAndThen(_) => String::new(),
        }
    }

    /// `no-referrer` would make browsers send `Origin: null` with the form, and the origin could not be checked.
    fn referrer_policy(self) -> &'static str {
        match self {
            Self::Nowhere => "no-referrer",
            Self::Here | Self::HereAndThen(_) => "same-origin",
            // To another origin, `same-origin` means `Origin: null` as well; the app learns who sends it the form, and
            // nothing of the page's own address.
            Self::Away(..) => "strict-origin",
        }
    }
}

/// A URI as a source of a Content Security Policy: its origin; its scheme where the URI has no host that the grammar of
/// sources could express (a private-use scheme, an IPv6 address).
fn source(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    match url.host() {
        Some(url::Host::Domain(_) | url::Host::Ipv4(_)) if url.origin().is_tuple() => {
            Some(url.origin().ascii_serialization())
        }
        _ => Some(format!("{}:", url.scheme())),
    }
}

/// Who is signed in, so that nobody takes it for somebody else: two people may have one name, and none has two usernames.
pub(super) fn who(user: &EndUser) -> String {
    match &user.name {
        Some(name) => format!("{name} ({})", user.username),
        None => user.username.clone(),
    }
}

/// A page. It is never stored: after a sign-out the back button shows nothing.
pub(super) fn page(
    issuer: &Issuer,
    status: StatusCode,
    form_action: FormAction<'_>,
    template: &impl Template,
) -> Response {
    let mut response = bare_page(status, form_action, template);
    guard_transport(issuer, &mut response);
    response
}

/// A page where the issuer is not at hand.
pub(super) fn bare_page(
    status: StatusCode,
    form_action: FormAction<'_>,
    template: &impl Template,
) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            response.extensions_mut().insert(Cause::of(&error));
            return response;
        }
    };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; {}form-action {}; base-uri 'none'; frame-ancestors 'none'",
        *STYLESHEET_HASH,
        form_action.scripts(),
        form_action.sources()
    );
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // An origin that is no header value cannot come from a registered redirect URI; without it no form is admitted.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        REFERRER_POLICY,
        HeaderValue::from_static(form_action.referrer_policy()),
    );
    response
}

/// A redirect. 303, so that the browser never sends a form on to the target (RFC 9700 section 4.12).
pub(super) fn redirect(issuer: &Issuer, location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response
            .extensions_mut()
            .insert(Cause::new("the target of a redirect is not a header value"));
        return response;
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    guard_transport(issuer, &mut response);
    response
}

fn guard_transport(issuer: &Issuer, response: &mut Response) {
    if !issuer.is_plain_http() {
        response.headers_mut().insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn a_redirect_uri_as_a_source_of_a_content_security_policy() {
        for (redirect_uri, expected) in [
            ("https://app.example.org/cb?a=b", "https://app.example.org"),
            ("https://app.example.org:8443/cb", "https://app.example.org:8443"),
            ("http://127.0.0.1:9999/cb", "http://127.0.0.1:9999"),
            ("http://[::1]:9999/cb", "http:"),
            ("org.example.app:/cb", "org.example.app:"),
            ("org.example.app://cb", "org.example.app:"),
        ] {
            assert_eq!(source(redirect_uri).as_deref(), Some(expected), "{redirect_uri}");
        }
    }
}
