//! What a request still needs, decided from values alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Interaction, SignedIn, Stage};
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::client::{Client, ConsentPolicy};
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::redirect_uri;
use crate::oidc::scope::ScopeSet;

/// What a request still needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Authenticate,
    AskConsent,
    Refuse(Error),
    Issue,
}

/// The rules of the way, from values alone. They run again whenever a code is about to be issued.
pub(super) fn decide(
    interaction: &Interaction,
    client: &Client,
    consented: &ScopeSet,
    now: Timestamp,
) -> Decision {
    let Interaction { request, stage, .. } = interaction;
    let unless_silent = |decision, code, description| {
        if request.prompt.none {
            Decision::Refuse(Error::new(code, description))
        } else {
            decision
        }
    };
    let signed_in = match stage {
        Stage::SignedIn(signed_in) if is_fresh(request, signed_in, now) => signed_in,
        _ => {
            let description = "nobody is signed in, or not recently enough";
            return unless_silent(Decision::Authenticate, ErrorCode::LoginRequired, description);
        }
    };
    if request
        .subject_hint
        .as_ref()
        .is_some_and(|hint| *hint != signed_in.user.user.subject)
    {
        let description = "somebody else than the person of id_token_hint is signed in";
        return Decision::Refuse(Error::new(ErrorCode::LoginRequired, description));
    }
    if !client.access.allows(&signed_in.user.user) {
        let description = "the person who is signed in may not use this app";
        return Decision::Refuse(Error::new(ErrorCode::AccessDenied, description));
    }
    // RFC 8252 section 8.6: any app on the device may listen at a native app's redirect URI and call itself by that app's
    // client_id, so that nothing is given there unless the person has done something: signed in for it, or allowed it.
    let is_silent =
        !signed_in.authenticated_here && client.is_public() && redirect_uri::is_native(&request.redirect_uri);
    let must_ask = request.prompt.consent
        || client.consent == ConsentPolicy::Always
        || is_silent
        || (client.consent != ConsentPolicy::Skip && !request.scope.is_subset(consented));
    if must_ask && !signed_in.allowed_here {
        let description = "the person has to be asked for consent";
        return unless_silent(Decision::AskConsent, ErrorCode::ConsentRequired, description);
    }
    Decision::Issue
}

/// `prompt=login` and `prompt=select_account` want an authentication in this interaction; so does `max_age`, once the
/// earlier one is older (OpenID Connect Core section 3.1.2.1).
fn is_fresh(request: &AuthorizationRequest, signed_in: &SignedIn, now: Timestamp) -> bool {
    if signed_in.authenticated_here {
        return true;
    }
    let age = now.duration_since(signed_in.session.authentication.at);
    let young_enough = |max_age: Duration| SignedDuration::try_from(max_age).is_ok_and(|max| age <= max);
    !request.prompt.login
        && !request.prompt.select_account
        // Zero means "now", whatever the resolution of the clock.
        && request.max_age.is_none_or(|max_age| !max_age.is_zero() && young_enough(max_age))
}
