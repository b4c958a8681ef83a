//! `/account/password`: another password.

use std::borrow::Cow;

use askama::Template;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::account::{back, to_account};
use super::error_page;
use super::page::{FormAction, page, who};
use super::posted::Posted;
use super::visit::{Visit, set_session};
use crate::http::wait::{in_words, whole_seconds};
use crate::oidc::end_user::EndUser;
use crate::oidc::password::Password;
use crate::oidc::password_rules::PasswordRuleError;
use crate::provider::Provider;
use crate::provider::account::{Done, PasswordAttempt, PasswordNotice, PasswordOutcome};

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    base: &'a str,
    who: String,
    username: &'a str,
    message: Option<Cow<'static, str>>,
    fault: Option<Fault>,
    csrf_token: &'a str,
}

/// Which field is at fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Current,
    New,
}

/// The form.
pub(super) async fn get(State(provider): State<Provider>, visit: Visit) -> Response {
    match provider.signed_in(&visit.browser).await {
        Ok(Some(user)) => form(&provider, &visit, &user, None),
        Ok(None) => to_account(&provider),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

/// The current password and the new one.
pub(super) async fn post(State(provider): State<Provider>, posted: Posted) -> Response {
    let Posted { visit, fields } = posted;
    let field = |name| Password::new(fields.single(name).unwrap_or_default().unwrap_or_default());
    let attempt = PasswordAttempt {
        current: field("current_password"),
        new: field("new_password"),
        repeated: field("repeated_password"),
    };
    match provider.change_password(&visit.browser, attempt).await {
        Ok(PasswordOutcome::Changed(session)) => {
            let mut response = back(&provider, &visit, Done::Password);
            set_session(provider.issuer(), &mut response, &session);
            response
        }
        Ok(PasswordOutcome::Again(user, notice)) => form(&provider, &visit, &user, Some(notice)),
        Ok(PasswordOutcome::SignedOut) => to_account(&provider),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

fn form(provider: &Provider, visit: &Visit, user: &EndUser, notice: Option<PasswordNotice>) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = PasswordPage {
        base: provider.issuer().path(),
        who: who(user),
        username: &user.username,
        message: notice.map(said),
        fault: notice.and_then(at_fault),
        csrf_token: &csrf_token,
    };
    let status = match notice {
        None => StatusCode::OK,
        Some(PasswordNotice::NotCurrent) => StatusCode::FORBIDDEN,
        Some(PasswordNotice::NotRepeated | PasswordNotice::Unfit(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(PasswordNotice::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        Some(PasswordNotice::Wait(_)) => StatusCode::TOO_MANY_REQUESTS,
    };
    let retry_after = match notice {
        Some(PasswordNotice::Busy) => Some(2),
        // RFC 6585 section 4.
        Some(PasswordNotice::Wait(wait)) => Some(whole_seconds(wait)),
        _ => None,
    };
    let mut response = page(provider.issuer(), status, FormAction::Here, &template);
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

fn said(notice: PasswordNotice) -> Cow<'static, str> {
    let text = match notice {
        PasswordNotice::NotCurrent => "The current password is not right. Please try again.",
        PasswordNotice::NotRepeated => "The two new passwords differ. Please type them again.",
        PasswordNotice::Unfit(PasswordRuleError::TooShort) => {
            "The new password is shorter than 8 characters. Please choose a longer one."
        }
        PasswordNotice::Unfit(PasswordRuleError::TooLong) => {
            "The new password is longer than 128 characters. Please choose a shorter one."
        }
        PasswordNotice::Unfit(PasswordRuleError::Common) => {
            "The new password is one of the most common ones. Please choose one that is harder to guess."
        }
        PasswordNotice::Busy => {
            "Many passwords are being checked right now, and nothing is changed. Please try again in a moment."
        }
        PasswordNotice::Wait(wait) => {
            let wait = in_words(wait);
            return format!("Too many passwords were wrong. Please try again in {wait}.").into();
        }
    };
    text.into()
}

fn at_fault(notice: PasswordNotice) -> Option<Fault> {
    match notice {
        PasswordNotice::NotCurrent => Some(Fault::Current),
        PasswordNotice::NotRepeated | PasswordNotice::Unfit(_) => Some(Fault::New),
        PasswordNotice::Busy | PasswordNotice::Wait(_) => None,
    }
}
