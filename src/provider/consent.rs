//! Consent: which app asks for what, and the person's answer.

use super::Provider;
use super::audit::{self, Event};
use super::browser::Browser;
use super::device::DeviceEnd;
use super::fault::Fault;
use super::interaction::{BrowserError, ClientFacts, Interaction, Refusal, SignedIn, Stage, Step};
use crate::oidc::consent::Consent;
use crate::oidc::end_user::EndUser;
use crate::oidc::error::{Error, ErrorCode};
use crate::oidc::opaque_token::OpaqueToken;
use crate::store::records::InteractionRecord;

/// Everything on the consent page.
pub struct ConsentForm {
    /// The app.
    pub client: ClientFacts,
    /// Who is asked.
    pub user: EndUser,
    /// What the app wants.
    pub asked: Consent,
    /// The code that the device shows, if one asks.
    pub user_code: Option<String>,
    /// Where the form leads in the end, if that is not a page of ours.
    pub redirect_uri: Option<String>,
}

/// What the consent page comes to.
pub enum ConsentPage {
    /// The person is asked.
    Ask(Box<ConsentForm>),
    /// There is nothing to ask, or something else comes first.
    Elsewhere(Step),
}

/// The person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The app gets what it asked for.
    Allow,
    /// The app gets nothing.
    Deny,
}

impl Provider {
    /// What to show for an interaction.
    pub async fn consent_page(
        &self,
        handle: OpaqueToken,
        browser: &Browser,
    ) -> Result<ConsentPage, BrowserError> {
        let row = self.interaction_of(&handle, browser).await?;
        let request = row.request.clone();
        let stage = self.stage_of(row, handle, browser, false).await?;
        let user = match &stage.stage {
            Stage::SignedIn(signed_in) => Some(signed_in.user.user.clone()),
            Stage::Anonymous { .. } => None,
        };
        let step = self.advance(browser, stage).await?;
        match (step, user) {
            (Step::AskConsent(_), Some(user)) => {
                let client = self.client_of(&request).await?;
                Ok(ConsentPage::Ask(Box::new(ConsentForm {
                    client: (&client).into(),
                    user,
                    redirect_uri: request.leads_to().map(str::to_owned),
                    asked: request.asked(),
                    user_code: request.device.and_then(|device| device.user_code),
                })))
            }
            (step, _) => Ok(ConsentPage::Elsewhere(step)),
        }
    }

    /// Takes the person's answer.
    pub async fn answer_consent(
        &self,
        handle: OpaqueToken,
        answer: Answer,
        browser: &Browser,
    ) -> Result<Step, BrowserError> {
        let row = self.interaction_of(&handle, browser).await?;
        if answer == Answer::Deny {
            self.store
                .end_interaction(&row.hash)
                .await
                .map_err(Fault::store("end an interaction"))?;
            // The answer goes to the redirect URI only if that is still registered.
            self.client_of(&row.request).await?;
            audit::record(&Event {
                name: "consent_denied",
                client_id: Some(&row.request.client_id),
                ..Event::default()
            });
            let error = Error::new(ErrorCode::AccessDenied, "the person did not allow the request");
            return self.answer_with(&row.request, &error, DeviceEnd::Denied).await;
        }
        let interaction = self.stage_of(row, handle, browser, true).await?;
        self.advance(browser, interaction).await
    }

    /// The row behind a handle, for the browser whose session it belongs to.
    async fn interaction_of(
        &self,
        handle: &OpaqueToken,
        browser: &Browser,
    ) -> Result<InteractionRecord, BrowserError> {
        let row = self
            .store
            .interaction(&handle.hash())
            .await
            .map_err(Fault::store("read an interaction"))?
            .ok_or(BrowserError::Refused(Refusal::InteractionGone, None))?;
        let session = browser.session.as_ref().map(OpaqueToken::hash);
        if session.is_some_and(|session| session.matches(&row.session)) {
            Ok(row)
        } else {
            Err(BrowserError::Refused(Refusal::OtherBrowser, None))
        }
    }

    /// The interaction as it stands. A session that ended meanwhile means to sign in again.
    async fn stage_of(
        &self,
        row: InteractionRecord,
        handle: OpaqueToken,
        browser: &Browser,
        allowed_here: bool,
    ) -> Result<Interaction, BrowserError> {
        let stage = match self.session(browser).await? {
            Some((session, user)) => Stage::SignedIn(Box::new(SignedIn {
                session,
                user,
                authenticated_here: row.authenticated_here,
                account_chosen: row.account_chosen,
                allowed_here,
                handle: Some(handle),
            })),
            None => Stage::ANONYMOUS,
        };
        Ok(Interaction {
            request: row.request,
            started_at: row.started_at,
            stage,
        })
    }
}
