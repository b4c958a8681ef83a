//! `/consent`.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{FormAction, page, who};
use super::posted::Posted;
use super::visit::Visit;
use super::{answer, error_page};
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::scope::{self, ScopeSet};
use crate::provider::Provider;
use crate::provider::consent::{Answer, ConsentForm, ConsentPage};
use crate::provider::interaction::{BrowserError, ClientFacts, Refusal};

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentTemplate<'a> {
    base: &'a str,
    client: &'a ClientFacts,
    who: String,
    scopes: Vec<&'static str>,
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
        scopes: all_in_plain_words(&form.scope),
        csrf_token: &csrf_token,
        handle: handle.expose(),
    };
    let action = FormAction::leading_to(form.redirect_uri.as_deref());
    let mut response = page(provider.issuer(), StatusCode::OK, action, &template);
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

/// What a scope set lets an app do, for people.
pub(super) fn all_in_plain_words(scope: &ScopeSet) -> Vec<&'static str> {
    scope::SUPPORTED
        .into_iter()
        .filter(|name| scope.contains(name))
        .filter_map(in_plain_words)
        .collect()
}

fn in_plain_words(scope: &str) -> Option<&'static str> {
    match scope {
        scope::OPENID => Some("Know that it is you when you come back"),
        scope::PROFILE => Some("See your name and username"),
        scope::EMAIL => Some("See your e-mail address"),
        scope::GROUPS => Some("See which groups you belong to"),
        scope::OFFLINE_ACCESS => Some("Keep this access while you are away, even after you sign out here"),
        // None that a client can register, see the test.
        _ => None,
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
