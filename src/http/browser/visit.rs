//! What a request says of the browser behind it, and the cookies that it is given.
//!
//! Cookies hold random values only. `__Host-` ties them to exactly this host (no domain, path `/`, Secure); a loopback
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

use crate::http::request_id::RequestId;
use crate::oidc::issuer::Issuer;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::provider::Provider;
use crate::provider::browser::Browser;

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
        let nonce = cookie(&parts.headers, issuer, TokenKind::Browser);
        Ok(Self {
            is_new: nonce.is_none(),
            browser: Browser {
                nonce: nonce.unwrap_or_else(|| provider.new_browser_nonce()),
                session: cookie(&parts.headers, issuer, TokenKind::Session),
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
            set_cookie(issuer, response, TokenKind::Browser, self.browser.nonce.expose());
        }
    }
}

/// Signs the browser in.
pub(super) fn set_session(issuer: &Issuer, response: &mut Response, session: &OpaqueToken) {
    set_cookie(issuer, response, TokenKind::Session, session.expose());
}

/// Signs the browser out. Chrome keeps some pages in memory for the back button although they say `no-store`: those that
/// name the person must go too.
pub(super) fn clear_session(issuer: &Issuer, response: &mut Response) {
    const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
    let name = cookie_name(issuer, TokenKind::Session);
    append(response, &format!("{name}=; Max-Age=0; {}", attributes(issuer)));
    response
        .headers_mut()
        .insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
}

/// Without `Max-Age`: it ends with the browser, and earlier with what it names.
fn set_cookie(issuer: &Issuer, response: &mut Response, kind: TokenKind, value: &str) {
    let name = cookie_name(issuer, kind);
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

fn cookie_name(issuer: &Issuer, kind: TokenKind) -> String {
    let prefix = if issuer.is_plain_http() { "" } else { "__Host-" };
    let what = match kind {
        TokenKind::Session => "session",
        _ => "browser",
    };
    let hash = TokenHash::of(issuer.as_str().as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..6]);
    format!("{prefix}claviger-{what}-{digest}")
}

/// The first cookie of the name whose value is one of ours.
fn cookie(headers: &HeaderMap, issuer: &Issuer, kind: TokenKind) -> Option<OpaqueToken> {
    let name = cookie_name(issuer, kind);
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(candidate, _)| *candidate == name)
        .find_map(|(_, value)| OpaqueToken::parse(kind, value))
}
