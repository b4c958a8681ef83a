//! A person's way from the authorization request to the redirect.
//!
//! An `Interaction` is at one `Stage`; `decide` says, from values alone, what the request still needs, and
//! `Provider::advance` is the one dispatcher that every step returns to: a step changes the stage and calls it, and never
//! another step. So no way through (a second tab, the back button, an old link) skips a check.
//!
//! Before anybody has signed in nothing is stored: the interaction travels in the sign-in form, sealed, and bound to one
//! browser by the hash of its nonce; so does the errand of a person who signs in for their account alone. From the sign-in on, or when a person who is signed in already must be asked
//! something, a row of the store holds it, bound to the session.

mod decision;
mod issue;
mod sealed;
mod step;

use jiff::Timestamp;

use super::audit::{self, Event};
use super::browser::Browser;
use super::device::DeviceEnd;
use super::fault::Fault;
use super::{INTERACTION_LIFETIME, Provider};
use crate::clock::later;
use crate::oidc::audience;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_request::validate::{Displayable, is_registered};
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::consent::Consent;
use crate::oidc::error::Error;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::Subject;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::store::records::{ClientRecord, InteractionRecord, SessionRecord, UserRecord};
use decision::{Decision, decide};
pub(super) use sealed::Errand;
pub use step::{BrowserError, ClientFacts, Notice, Refusal, SignInForm, Step};

/// A request on its way to an answer.
pub(super) struct Interaction {
    pub(super) request: AuthorizationRequest,
    /// When the request arrived.
    pub(super) started_at: Timestamp,
    pub(super) stage: Stage,
}

/// How far an interaction has come.
pub(super) enum Stage {
    /// Nobody is known to sit there.
    Anonymous {
        /// What was typed before.
        username: Option<String>,
        /// What to say.
        notice: Option<Notice>,
    },
    /// Somebody has a live session in this browser.
    SignedIn(Box<SignedIn>),
}

impl Stage {
    pub(super) const ANONYMOUS: Self = Self::Anonymous {
        username: None,
        notice: None,
    };

    fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Anonymous { .. } => None,
            Self::SignedIn(signed_in) => Some(&signed_in.user.user.subject),
        }
    }
}

/// A person with a session.
pub(super) struct SignedIn {
    pub(super) session: SessionRecord,
    pub(super) user: UserRecord,
    /// Whether the authentication happened in this interaction.
    pub(super) authenticated_here: bool,
    /// Whether the person chose, in this interaction, to go on with the account of the session.
    pub(super) account_chosen: bool,
    /// Whether the person allowed the request in this interaction.
    pub(super) allowed_here: bool,
    /// The row, once there is one.
    pub(super) handle: Option<OpaqueToken>,
}

impl Provider {
    /// The dispatcher.
    pub(super) async fn advance(
        &self,
        browser: &Browser,
        interaction: Interaction,
    ) -> Result<Step, BrowserError> {
        let client = self.client_of(&interaction.request).await?;
        let consented = match &interaction.stage {
            Stage::Anonymous { .. } => Consent::default(),
            Stage::SignedIn(signed_in) => self
                .store
                .consent(&signed_in.user.user.uid, &client.client.uid)
                .await
                .map_err(Fault::store("read what a person has consented to"))?,
        };
        let sub = match interaction.stage.subject() {
            None => None,
            Some(subject) => Some(self.sub_for(&client.client, subject)?),
        };
        let now = self.clock.now();
        let resources = &interaction.request.resources;
        let audiences = self.audiences_of(&client.client, resources).await?;
        let decision = if audiences == *resources {
            decide(&interaction, &client.client, &consented, sub.as_ref(), now)
        } else {
            Decision::Refuse(audience::invalid_target())
        };
        let Interaction {
            request,
            started_at,
            stage,
        } = interaction;
        match (decision, stage) {
            (Decision::Refuse(error), stage) => self.refuse(&request, &stage, &error).await,
            (Decision::AskConsent, Stage::SignedIn(signed_in)) => {
                self.ask_consent(request, started_at, *signed_in).await
            }
            (Decision::SelectAccount, Stage::SignedIn(signed_in)) => {
                self.ask_for_account(browser, request, started_at, *signed_in, &client)
            }
            (Decision::Issue, Stage::SignedIn(signed_in)) => {
                self.issue(browser, request, started_at, *signed_in, &client)
                    .await
            }
            (_, stage) => self.ask_to_sign_in(browser, request, started_at, stage, &client),
        }
    }

    /// The client of a request as it is registered now: it may have been suspended, deleted or changed since the request
    /// arrived.
    pub(super) async fn client_of(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<ClientRecord, BrowserError> {
        let record = self
            .store
            .client(&request.client_id)
            .await
            .map_err(Fault::store("read the client of a request"))?;
        let refuse = |refusal, record: Option<&ClientRecord>| {
            Err(BrowserError::Refused(
                refusal,
                record.map(|record| Box::new(record.into())),
            ))
        };
        match record {
            None => refuse(Refusal::Request(Displayable::ClientUnknown), None),
            // Made again under the same name: another client, which did not ask for this.
            Some(record) if record.client.uid != request.client_uid => {
                refuse(Refusal::Request(Displayable::ClientUnknown), None)
            }
            Some(record) if !record.is_live() => refuse(Refusal::ClientRefused, Some(&record)),
            Some(record) if request.device.is_some() => {
                if record.client.may_use(GrantType::DeviceCode) {
                    Ok(record)
                } else {
                    refuse(Refusal::ClientRefused, Some(&record))
                }
            }
            Some(record) if !is_registered(&request.redirect_uri, &record.client) => {
                let refusal = Refusal::Request(Displayable::RedirectUriUnregistered);
                refuse(refusal, Some(&record))
            }
            Some(record) => Ok(record),
        }
    }

    async fn refuse(
        &self,
        request: &AuthorizationRequest,
        stage: &Stage,
        error: &Error,
    ) -> Result<Step, BrowserError> {
        if let Stage::SignedIn(signed_in) = stage
            && let Some(handle) = &signed_in.handle
        {
            self.store
                .end_interaction(&handle.hash())
                .await
                .map_err(Fault::store("end an interaction"))?;
        }
        audit::record(&Event {
            name: "authorization_refused",
            client_id: Some(&request.client_id),
            subject: stage.subject(),
            ..Event::default()
        });
        self.answer_with(request, error, DeviceEnd::Refused).await
    }

    /// Tells whoever waits for an answer that there is none: the app at its redirect URI, or the device when it asks next,
    /// and its person at once.
    pub(super) async fn answer_with(
        &self,
        request: &AuthorizationRequest,
        error: &Error,
        at_device: DeviceEnd,
    ) -> Result<Step, BrowserError> {
        let Some(device) = &request.device else {
            let response = AuthorizationResponse::error(request.into(), &self.issuer, error);
            return Ok(Step::Respond(response));
        };
        self.store
            .deny_device(&device.code)
            .await
            .map_err(Fault::store("tell a device that it is denied"))?;
        Ok(Step::Device(at_device))
    }

    async fn ask_consent(
        &self,
        request: AuthorizationRequest,
        started_at: Timestamp,
        signed_in: SignedIn,
    ) -> Result<Step, BrowserError> {
        if let Some(handle) = signed_in.handle {
            return Ok(Step::AskConsent(handle));
        }
        let handle = OpaqueToken::generate(TokenKind::Interaction, &*self.random);
        let row = InteractionRecord {
            hash: handle.hash(),
            session: signed_in.session.hash,
            user_uid: signed_in.user.user.uid,
            request,
            started_at,
            authenticated_here: signed_in.authenticated_here,
            account_chosen: signed_in.account_chosen,
            expires_at: later(self.clock.now(), INTERACTION_LIFETIME),
        };
        self.store
            .begin_interaction(row)
            .await
            .map_err(Fault::store("begin an interaction"))?;
        Ok(Step::AskConsent(handle))
    }

    /// The interaction goes into the form, sealed: nothing is stored for whoever has not signed in.
    fn ask_to_sign_in(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
        started_at: Timestamp,
        stage: Stage,
        client: &ClientRecord,
    ) -> Result<Step, BrowserError> {
        let (typed, notice) = match stage {
            Stage::Anonymous { username, notice } => (username, notice),
            // The same person again, most likely, unless the app has named somebody else.
            Stage::SignedIn(signed_in)
                if request
                    .may_be_answered_by(&self.sub_for(&client.client, &signed_in.user.user.subject)?) =>
            {
                (Some(signed_in.user.user.username), None)
            }
            Stage::SignedIn(_) => (None, None),
        };
        let username = typed.or_else(|| request.login_hint.clone()).unwrap_or_default();
        Ok(Step::SignIn(Box::new(SignInForm {
            client: Some(client.into()),
            redirect_uri: request.leads_to().map(str::to_owned),
            sealed: self.seal_errand(browser, &Errand::App(Box::new(request), started_at))?,
            username,
            notice,
        })))
    }
}
