//! What a request says of the browser behind it, and the cookies that it is given.
//!
//! Cookies hold random or sealed values only. `__Host-` ties them to exactly this host (no domain, path `/`, Secure); a loopback
//! issuer on plain http has neither prefix nor `Secure`. The name contains a digest of the issuer, so that two issuers on
//! one host do not sign each other out.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::client_address;
use crate::http::request_id::RequestId;
use crate::oidc::issuer::Issuer;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::provider::Provider;
use crate::provider::browser::Browser;
use crate::provider::known_browser::KNOWN_BROWSER_LIFETIME;

/// What a cookie is for, as part of its name.
const BROWSER: &str = "browser";
const SESSION: &str = "session";
const KNOWN: &str = "known";

/// One request of a browser.
pub(super) struct Visit {
    /// What its cookies say.
    pub(super) browser: Browser,
    /// The id that error pages show.
    pub(super) request_id: RequestId,
    /// Whether the browser was given its nonce just now.
    is_new: bool,
}

impl FromRequestParts<Provider> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, provider: &Provider) -> Result<Self, Infallible> {
        let issuer = provider.issuer();
        let nonce = cookie(&parts.headers, issuer, BROWSER, TokenKind::Browser);
        Ok(Self {
            is_new: nonce.is_none(),
            browser: Browser {
                nonce: nonce.unwrap_or_else(|| provider.new_browser_nonce()),
                session: cookie(&parts.headers, issuer, SESSION, TokenKind::Session),
                known: values(&parts.headers, &cookie_name(issuer, KNOWN))
                    .find_map(|value| provider.open_known_browser(value)),
                network: client_address::network(&parts.extensions),
            },
            request_id: parts
                .extensions
                .get::<RequestId>()
                .cloned()
                .unwrap_or_else(RequestId::unknown),
        })
    }
}

impl Visit {
    /// Gives a new browser its nonce.
    pub(super) fn remember_browser(&self, issuer: &Issuer, response: &mut Response) {
        if self.is_new {
            set_cookie(issuer, response, BROWSER, self.browser.nonce.expose());
        }
    }
}

/// Signs the browser in.
pub(super) fn set_session(issuer: &Issuer, response: &mut Response, session: &OpaqueToken) {
    set_cookie(issuer, response, SESSION, session.expose());
}

/// Has the browser remember that it is known. It outlives the session, and signing out, on purpose.
pub(super) fn set_known_browser(issuer: &Issuer, response: &mut Response, known: &str) {
    let name = cookie_name(issuer, KNOWN);
    let seconds = KNOWN_BROWSER_LIFETIME.as_secs();
    append(
        response,
        &format!("{name}={known}; Max-Age={seconds}; {}", attributes(issuer)),
    );
}

/// Signs the browser out. Chrome keeps some pages in memory for the back button although they say `no-store`: those that
/// name the person must go too.
pub(super) fn clear_session(issuer: &Issuer, response: &mut Response) {
    const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
    let name = cookie_name(issuer, SESSION);
    append(response, &format!("{name}=; Max-Age=0; {}", attributes(issuer)));
    response
        .headers_mut()
        .insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
}

/// Without `Max-Age`: it ends with the browser, and earlier with what it names.
fn set_cookie(issuer: &Issuer, response: &mut Response, what: &str, value: &str) {
    let name = cookie_name(issuer, what);
    append(response, &format!("{name}={value}; {}", attributes(issuer)));
}

fn append(response: &mut Response, cookie: &str) {
    // Names and values are base64url, so this cannot fail.
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn attributes(issuer: &Issuer) -> &'static str {
    if issuer.is_plain_http() {
        "Path=/; HttpOnly; SameSite=Lax"
    } else {
        "Path=/; Secure; HttpOnly; SameSite=Lax"
    }
}

fn cookie_name(issuer: &Issuer, what: &str) -> String {
    let prefix = if issuer.is_plain_http() { "" } else { "__Host-" };
    let hash = TokenHash::of(issuer.as_str().as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..6]);
    format!("{prefix}claviger-{what}-{digest}")
}

/// The first cookie of the name whose value is one of ours.
fn cookie(headers: &HeaderMap, issuer: &Issuer, what: &str, kind: TokenKind) -> Option<OpaqueToken> {
    values(headers, &cookie_name(issuer, what)).find_map(|value| OpaqueToken::parse(kind, value))
}

/// The values of the cookies of a name.
fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(candidate, _)| *candidate == name)
        .map(|(_, value)| value)
}
