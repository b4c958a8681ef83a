//! Error pages: what happened, what to do, and what to tell the administrator. Nothing of the request is repeated on them.

use std::time::Duration;

use askama::Template;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::page::{FormAction, bare_page, page};
use super::posted::PostedRejection;
use super::visit::Visit;
use crate::http::boundary::Cause;
use crate::http::fault as http_fault;
use crate::http::request_id::RequestId;
use crate::http::wait::{in_words, whole_seconds};
use crate::oidc::authorization_request::validate::Displayable;
use crate::provider::Provider;
use crate::provider::fault::Fault;
use crate::provider::interaction::{BrowserError, ClientFacts, Refusal};
use crate::provider::resent::Endpoint;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    description: String,
    advice: Option<Advice>,
    request_id: &'a str,
}

/// What an administrator can look at.
struct Advice {
    text: &'static str,
    command: Option<String>,
}

/// An error page before it has its request id.
struct Text {
    status: StatusCode,
    title: &'static str,
    description: String,
    advice: Option<Advice>,
}

impl Text {
    fn new(status: StatusCode, title: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            title,
            description: description.into(),
            advice: None,
        }
    }

    fn advise(mut self, text: &'static str, command: Option<String>) -> Self {
        self.advice = Some(Advice { text, command });
        self
    }

    fn page(self, request_id: &RequestId) -> (StatusCode, ErrorPage<'_>) {
        let page = ErrorPage {
            title: self.title,
            description: self.description,
            advice: self.advice,
            request_id: request_id.as_str(),
        };
        (self.status, page)
    }

    fn respond(self, provider: &Provider, visit: &Visit, cause: Cause) -> Response {
        let (status, template) = self.page(&visit.request_id);
        let mut response = page(provider.issuer(), status, FormAction::Nowhere, &template);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(cause);
        response
    }
}

/// The page for what a use case answered.
pub(super) fn of(provider: &Provider, visit: &Visit, error: &BrowserError) -> Response {
    let text = match error {
        BrowserError::Refused(refusal, client) => refused(*refusal, client.as_deref()),
        BrowserError::Fault(fault) => failed(fault),
    };
    text.respond(provider, visit, Cause::of(error))
}

/// The page for a form that is not accepted.
pub(super) fn posted(provider: &Provider, visit: &Visit, rejection: &PostedRejection) -> Response {
    let text = match rejection {
        PostedRejection::Form(rejection) => Text::new(
            rejection.status(),
            "The form cannot be read",
            "Go back to the app that you want to use and sign in again.",
        ),
        PostedRejection::Origin | PostedRejection::Token => Text::new(
            StatusCode::FORBIDDEN,
            "The form cannot be accepted",
            "It did not come from the page that this browser was shown, or this browser refuses cookies. Go back to the \
             app that you want to use and sign in again.",
        ),
    };
    text.respond(provider, visit, Cause::new(rejection.to_string()))
}

/// The page for an app's request whose parameters cannot be read.
pub(super) fn malformed(
    provider: &Provider,
    visit: &Visit,
    endpoint: Endpoint,
    status: StatusCode,
    cause: String,
) -> Response {
    let refusal = match endpoint {
        Endpoint::Authorization => Refusal::Request(Displayable::Malformed),
        Endpoint::EndSession => Refusal::SignOutMalformed,
    };
    let mut text = refused(refusal, None);
    text.status = status;
    text.respond(provider, visit, Cause::new(cause))
}

/// The page for a network that asks too often.
pub(super) fn too_many_requests(provider: &Provider, visit: &Visit, wait: Duration) -> Response {
    let text = Text::new(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many requests",
        format!(
            "They come from your network faster than they are answered. Please try again in {}.",
            in_words(wait)
        ),
    );
    let mut response = text.respond(provider, visit, Cause::new("the network asks too often"));
    // RFC 6585 section 4.
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    response
}

/// The page when a handler panicked.
pub fn server_error(request_id: &RequestId) -> Response {
    let (status, template) = server_error_text().page(request_id);
    bare_page(status, FormAction::Nowhere, &template)
}

fn server_error_text() -> Text {
    Text::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "It is not your fault, and trying again may help.",
    )
    .advise(
        "The log of claviger has the reason under the request id below.",
        None,
    )
}

fn failed(fault: &Fault) -> Text {
    if !fault.is_temporary() {
        return server_error_text();
    }
    let text = Text::new(
        http_fault::status(fault),
        "Sign-in is not available right now",
        "Please try again in a moment.",
    );
    match fault {
        Fault::NotProvisioned => text.advise(
            "claviger has not registered the first complete list of apps and users yet; it waits for the Kubernetes API.",
            None,
        ),
        _ => text.advise("The log of claviger has the reason under the request id below.", None),
    }
}

fn refused(refusal: Refusal, client: Option<&ClientFacts>) -> Text {
    match refusal {
        Refusal::Request(reason) => bad_request(reason, client),
        Refusal::ClientRefused => Text::new(
            StatusCode::BAD_REQUEST,
            "Sign-in is switched off",
            format!("{} does not take part in sign-in at present.", name(client)),
        )
        .advise(
            "The app is suspended, or its OidcClient was deleted.",
            show(client, "{.spec.suspend}"),
        ),
        Refusal::SignOutMalformed => Text::new(
            StatusCode::BAD_REQUEST,
            NO_SIGN_OUT,
            "The app that sent you here made a mistake: its request cannot be read.",
        ),
        Refusal::SignOutRepeats(name) => Text::new(
            StatusCode::BAD_REQUEST,
            NO_SIGN_OUT,
            format!("The app that sent you here made a mistake: the parameter {name} is repeated."),
        ),
        Refusal::InteractionGone => Text::new(
            StatusCode::BAD_REQUEST,
            "This page is out of date",
            "It was answered already, or it was open for too long. Go back to the app that you want to use and sign in \
             again.",
        ),
        Refusal::OtherBrowser => Text::new(
            StatusCode::FORBIDDEN,
            "This sign-in began elsewhere",
            "It belongs to another browser or to an earlier sign-in. Go back to the app that you want to use and sign in \
             again.",
        ),
    }
}

const NO_SIGN_OUT: &str = "This app cannot sign you out";

fn bad_request(reason: Displayable, client: Option<&ClientFacts>) -> Text {
    const TITLE: &str = "This app cannot sign you in";
    match reason {
        Displayable::ClientUnknown => Text::new(
            StatusCode::BAD_REQUEST,
            TITLE,
            "The app that sent you here is not registered.",
        )
        .advise(
            "The client_id that the app sent belongs to no OidcClient. These are registered:",
            Some("kubectl get oidcclients --all-namespaces".to_owned()),
        ),
        Displayable::RedirectUriUnregistered => Text::new(
            StatusCode::BAD_REQUEST,
            TITLE,
            format!(
                "{} asked to send you to an address that is not registered for it.",
                name(client)
            ),
        )
        .advise(
            "The redirect_uri that the app sent must be one of these, character by character:",
            show(client, "{.spec.redirectUris}"),
        ),
        Displayable::RedirectUriMissing => Text::new(
            StatusCode::BAD_REQUEST,
            TITLE,
            format!(
                "{} did not say where to send you after the sign-in.",
                name(client)
            ),
        )
        .advise(
            "The app sent no redirect_uri; it must send one of these:",
            show(client, "{.spec.redirectUris}"),
        ),
        Displayable::PushedRequestGone => Text::new(
            StatusCode::BAD_REQUEST,
            "This page is out of date",
            "The link that brought you here was used already, or it is more than a minute old. Go back to the app that you \
             want to use and sign in again.",
        ),
        Displayable::Malformed
        | Displayable::RequestBesideRequestUri
        | Displayable::Repeated(_)
        | Displayable::ClientIdMissing
        | Displayable::RequestObject(_) => Text::new(
            StatusCode::BAD_REQUEST,
            TITLE,
            format!("The app that sent you here made a mistake: {reason}."),
        ),
    }
}

fn name(client: Option<&ClientFacts>) -> &str {
    client.map_or("The app", |client| &client.name)
}

/// Names of resources are DNS names, so nothing in the command needs quoting.
fn show(client: Option<&ClientFacts>, path: &str) -> Option<String> {
    client.map(|client| {
        let resource = &client.resource;
        format!(
            "kubectl get oidcclient {} -n {} -o jsonpath='{path}'",
            resource.name, resource.namespace
        )
    })
}
