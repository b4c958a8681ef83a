//! `/consent`.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{FormAction, page, who};
use super::posted::Posted;
use super::visit::Visit;
use super::{answer, error_page};
use crate::oidc::claims::Claim;
use crate::oidc::consent::Consent;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::scope;
use crate::provider::Provider;
use crate::provider::consent::{Answer, ConsentForm, ConsentPage};
use crate::provider::interaction::{BrowserError, ClientFacts, Refusal};

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentTemplate<'a> {
    base: &'a str,
    client: &'a ClientFacts,
    who: String,
    user_code: Option<&'a str>,
    asked: Vec<Cow<'static, str>>,
    csrf_token: &'a str,
    handle: &'a str,
}

/// The parameter that names the interaction.
pub(super) const INTERACTION: &str = "interaction";

/// Asks the person.
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let Some(handle) = handle(&parameters) else {
        return gone(&provider, &visit);
    };
    match provider.consent_page(handle.clone(), &visit.browser).await {
        Ok(ConsentPage::Ask(form)) => ask(&provider, &visit, &handle, &form),
        Ok(ConsentPage::Elsewhere(step)) => answer(&provider, &visit, Ok(step)),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

/// Takes the answer.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let Some(handle) = handle(&fields) else {
        return gone(&provider, &visit);
    };
    // Only the button says yes.
    let given = match fields.single("answer") {
        Ok(Some("allow")) => Answer::Allow,
        _ => Answer::Deny,
    };
    let step = provider.answer_consent(handle, given, &visit.browser).await;
    answer(&provider, &visit, step)
}

fn handle(parameters: &Parameters) -> Option<OpaqueToken> {
    let text = parameters.single(INTERACTION).unwrap_or_default()?;
    OpaqueToken::parse(TokenKind::Interaction, text)
}

fn gone(provider: &Provider, visit: &Visit) -> Response {
    let error = BrowserError::Refused(Refusal::InteractionGone, None);
    error_page::of(provider, visit, &error)
}

fn ask(provider: &Provider, visit: &Visit, handle: &OpaqueToken, form: &ConsentForm) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = ConsentTemplate {
        base: provider.issuer().path(),
        client: &form.client,
        who: who(&form.user),
        user_code: form.user_code.as_deref(),
        asked: all_in_plain_words(&form.asked),
        csrf_token: &csrf_token,
        handle: handle.expose(),
    };
    let action = FormAction::leading_to(form.redirect_uri.as_deref());
    let mut response = page(provider.issuer(), StatusCode::OK, action, &template);
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

/// What an app may do by what it asks for or was allowed, for people.
pub(super) fn all_in_plain_words(consent: &Consent) -> Vec<Cow<'static, str>> {
    let scopes = scope::SUPPORTED
        .into_iter()
        .filter(|name| consent.scopes.contains(name))
        .filter_map(in_plain_words);
    let mut words: Vec<Cow<'static, str>> = scopes.map(Cow::Borrowed).collect();
    for claim in consent.claims().map(claim_in_plain_words) {
        // Several claims are one thing to people.
        if !words.iter().any(|word| word == claim) {
            words.push(Cow::Borrowed(claim));
        }
    }
    let apis = consent.resources();
    words.extend(apis.map(|resource| Cow::Owned(format!("Act for you at {resource}"))));
    words
}

const SEE_EMAIL: &str = "See your e-mail address";
const SEE_ADDRESS: &str = "See your postal address";
const SEE_PHONE: &str = "See your phone number";
const SEE_GROUPS: &str = "See which groups you belong to";

fn in_plain_words(scope: &str) -> Option<&'static str> {
    match scope {
        scope::OPENID => Some("Know that it is you when you come back"),
        scope::PROFILE => Some("See your profile: your name, username, picture, birthdate and the like"),
        scope::EMAIL => Some(SEE_EMAIL),
        scope::ADDRESS => Some(SEE_ADDRESS),
        scope::PHONE => Some(SEE_PHONE),
        scope::GROUPS => Some(SEE_GROUPS),
        scope::OFFLINE_ACCESS => Some("Keep this access while you are away, even after you sign out here"),
        // None that a client can register, see the test.
        _ => None,
    }
}

fn claim_in_plain_words(claim: Claim) -> &'static str {
    match claim {
        Claim::Name | Claim::FamilyName | Claim::GivenName | Claim::MiddleName => "See your name",
        Claim::Nickname => "See your nickname",
        Claim::PreferredUsername => "See your username",
        Claim::Profile | Claim::Website => "See your web pages",
        Claim::Picture => "See your picture",
        Claim::Gender => "See your gender",
        Claim::Birthdate => "See your birthdate",
        Claim::Zoneinfo => "See your time zone",
        Claim::Locale => "See your language",
        Claim::UpdatedAt => "See when your profile last changed",
        Claim::Email | Claim::EmailVerified => SEE_EMAIL,
        Claim::Address => SEE_ADDRESS,
        Claim::PhoneNumber | Claim::PhoneNumberVerified => SEE_PHONE,
        Claim::Groups => SEE_GROUPS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client may register and get is never left out of what the person is told.
    #[test]
    fn rule_40_every_scope_is_explained() {
        for scope in scope::SUPPORTED {
            assert!(in_plain_words(scope).is_some(), "nobody explains {scope}");
        }
    }
}
