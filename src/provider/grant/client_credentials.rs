//! `grant_type=client_credentials` (RFC 6749 section 4.4): a client acts for itself.

use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::parameters::Parameters;
use crate::oidc::scope::ScopeSet;
use crate::provider::answer::{Failure, refused};
use crate::provider::client_request::single;

use super::{Authorization, Holder};

/// Nothing but the client's own authentication is asked for; there is no refresh token (section 4.4.3), and without a
/// person no ID token.
pub(in crate::provider) fn authorize(client: &Client, form: &Parameters) -> Result<Authorization, Failure> {
    // Section 4.4: only confidential clients. The registration says so too; here nothing hangs on who wrote it.
    if client.is_public() {
        return Err(refused(
            ErrorCode::UnauthorizedClient,
            "a public client cannot act for itself, since anybody can say that they are it",
        ));
    }
    // Every scope that there is asks for something about a person; a client that sends `openid` here would wait for an ID
    // token that never comes.
    if single(form, "scope")?.is_some() {
        return Err(refused(
            ErrorCode::InvalidScope,
            "every scope is about a person, and there is none in client_credentials; leave scope out",
        ));
    }
    Ok(Authorization {
        holder: Holder::Client,
        scope: ScopeSet::default(),
        resources: Vec::new(),
        refresh_token: None,
    })
}
