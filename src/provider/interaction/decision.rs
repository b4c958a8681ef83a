//! What a request still needs, decided from values alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Interaction, SignedIn, Stage};
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::client::{Client, ConsentPolicy};
use crate::oidc::consent::Consent;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::identifier::Subject;
use crate::oidc::redirect_uri;

/// What a request still needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Authenticate,
    SelectAccount,
    AskConsent,
    Refuse(Error),
    Issue,
}

/// The rules of the way, from values alone. They run again whenever a code is about to be issued. `sub` is that of the person
/// who is signed in, as the client knows them.
pub(super) fn decide(
    interaction: &Interaction,
    client: &Client,
    consented: &Consent,
    sub: Option<&Subject>,
    now: Timestamp,
) -> Decision {
    let Interaction { request, stage, .. } = interaction;
    // The registration may have become stricter since the request arrived.
    if request.device.is_none() && request.code_challenge.is_none() && client.requires_pkce() {
        let description = "code_challenge is missing; PKCE is required";
        return Decision::Refuse(Error::new(ErrorCode::InvalidRequest, description));
    }
    let unless_silent = |decision, code, description| {
        if request.prompt.none {
            Decision::Refuse(Error::new(code, description))
        } else {
            decision
        }
    };
    let login_required =
        |description| unless_silent(Decision::Authenticate, ErrorCode::LoginRequired, description);
    let Stage::SignedIn(signed_in) = stage else {
        return login_required("nobody is signed in");
    };
    if sub.is_some_and(|sub| !request.may_be_answered_by(sub)) {
        let description = "somebody else than the person of id_token_hint or claims is signed in";
        return if signed_in.authenticated_here {
            // OpenID Connect Core section 3.1.2.1: an error, once it is not that person who signs in.
            Decision::Refuse(Error::new(ErrorCode::LoginRequired, description))
        } else {
            login_required(description)
        };
    }
    // Before the question how long ago the sign-in was: it may be another account that has to sign in.
    if request.prompt.select_account && !signed_in.authenticated_here && !signed_in.account_chosen {
        return Decision::SelectAccount;
    }
    if !is_fresh(request, signed_in, now) {
        return login_required("nobody has signed in recently enough");
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
        // RFC 8628 section 5.4: the person may hold somebody else's code.
        || request.device.is_some()
        || client.consent == ConsentPolicy::Always
        || is_silent
        || (client.consent != ConsentPolicy::Skip && !consented.covers(&request.asked()));
    if must_ask && !signed_in.allowed_here {
        let description = "the person has to be asked for consent";
        return unless_silent(Decision::AskConsent, ErrorCode::ConsentRequired, description);
    }
    Decision::Issue
}

/// `prompt=login` wants an authentication in this interaction; so does `max_age`, once the earlier one is older (OpenID
/// Connect Core section 3.1.2.1).
fn is_fresh(request: &AuthorizationRequest, signed_in: &SignedIn, now: Timestamp) -> bool {
    if signed_in.authenticated_here {
        return true;
    }
    let age = now.duration_since(signed_in.session.authentication.at);
    let young_enough = |max_age: Duration| SignedDuration::try_from(max_age).is_ok_and(|max| age <= max);
    !request.prompt.login
        // Zero means "now", whatever the resolution of the clock.
        && request.max_age.is_none_or(|max_age| !max_age.is_zero() && young_enough(max_age))
}
