//! What comes of a step: what the browser is to do next, or why it gets a page instead.

use std::time::Duration;

use thiserror::Error as ThisError;

use crate::oidc::authorization_request::validate::Displayable;
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::opaque_token::OpaqueToken;
use crate::provider::device::DeviceEnd;
use crate::provider::fault::Fault;
use crate::provider::select_account::SelectAccountForm;
use crate::store::records::{ClientRecord, ResourceRef};

/// What the browser is to do next.
pub enum Step {
    /// Show the sign-in form.
    SignIn(Box<SignInForm>),
    /// Ask which account is meant.
    SelectAccount(Box<SelectAccountForm>),
    /// Go to the consent page of the interaction with this handle.
    AskConsent(OpaqueToken),
    /// Go to the person's account.
    Account,
    /// Go back to the app.
    Respond(AuthorizationResponse),
    /// Go back to the device.
    Device(DeviceEnd),
}

/// Everything on the sign-in form.
pub struct SignInForm {
    /// The app; none when the person wants to see their account.
    pub client: Option<ClientFacts>,
    /// Where the form leads in the end, if that is not a page of ours.
    pub redirect_uri: Option<String>,
    /// The interaction, for the form to carry.
    pub sealed: String,
    /// What stands in the username field.
    pub username: String,
    /// Why the form is shown again.
    pub notice: Option<Notice>,
}

/// Why a sign-in form is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Unknown user, wrong password, disabled user: nobody can tell which.
    Refused,
    /// Too many sign-ins wait; try again in a moment.
    Busy,
    /// Too many sign-ins have failed; try again after this time.
    Wait(Duration),
}

/// What pages say about an app.
#[derive(Debug, Clone)]
pub struct ClientFacts {
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// Its resource, for the `kubectl` line of an error page.
    pub resource: ResourceRef,
}

impl From<&ClientRecord> for ClientFacts {
    fn from(record: &ClientRecord) -> Self {
        Self {
            name: record.client.client_name.clone(),
            description: record.client.description.clone(),
            resource: record.resource.clone(),
        }
    }
}

/// Why a page is shown instead of going on.
#[derive(Debug, ThisError)]
pub enum BrowserError {
    /// The request cannot be answered, and must not be answered by a redirect. With the client, if one is known.
    #[error("{0}")]
    Refused(Refusal, Option<Box<ClientFacts>>),
    /// We cannot answer it.
    #[error("{0}")]
    Fault(#[source] Fault),
}

impl From<Fault> for BrowserError {
    // Not a blanket conversion that loses the step: a fault names it already.
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Why a request is refused on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum Refusal {
    /// Client or redirect URI are not known to be good.
    #[error("{0}")]
    Request(Displayable),
    /// The client is suspended or its resource is gone.
    #[error("the client is suspended or gone")]
    ClientRefused,
    /// A request to sign out cannot be read.
    #[error("the request to sign out cannot be read")]
    SignOutMalformed,
    /// A request to sign out names this parameter more than once.
    #[error("the parameter {0} of the request to sign out is repeated")]
    SignOutRepeats(&'static str),
    /// The interaction is over, too old, or was never one of ours.
    #[error("the interaction is over or expired")]
    InteractionGone,
    /// The interaction was begun in another browser.
    #[error("the interaction was begun in another browser")]
    OtherBrowser,
}
