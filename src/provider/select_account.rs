//! `prompt=select_account` (OpenID Connect Core section 3.1.2.1): the person goes on with the account that is signed in, or
//! uses another.
//!
//! A browser holds one session, so there is one account to choose or not to. `account_selection_required` is therefore
//! never an answer: it is about a choice among several, and `prompt=none` excludes `select_account`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Provider;
use super::browser::Browser;
use super::interaction::{BrowserError, ClientFacts, Interaction, SignedIn, Stage, Step};
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::end_user::EndUser;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::ClientRecord;

const PURPOSE: &str = "browser/select-account";

/// Everything on the page that asks.
pub struct SelectAccountForm {
    /// The app.
    pub client: ClientFacts,
    /// Who is signed in.
    pub user: EndUser,
    /// Where the form leads in the end, if that is not a page of ours.
    pub redirect_uri: Option<String>,
    /// The interaction, for the form to carry.
    pub sealed: String,
}

/// What the person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// To go on with the account that is signed in.
    Continue,
    /// To use another.
    Another,
}

/// What was asked, and about which session.
#[derive(Serialize, Deserialize)]
struct Question {
    request: Box<AuthorizationRequest>,
    started_at: Timestamp,
    session: TokenHash,
}

impl Provider {
    /// The question goes into the form, sealed: there is nothing to store yet.
    pub(super) fn ask_for_account(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
        started_at: Timestamp,
        signed_in: SignedIn,
        client: &ClientRecord,
    ) -> Result<Step, BrowserError> {
        let redirect_uri = request.leads_to().map(str::to_owned);
        let question = Question {
            request: Box::new(request),
            started_at,
            session: signed_in.session.hash,
        };
        Ok(Step::SelectAccount(Box::new(SelectAccountForm {
            client: client.into(),
            user: signed_in.user.user,
            redirect_uri,
            sealed: self.seal_in_form(PURPOSE, browser, &question)?,
        })))
    }

    /// Takes the person's choice, and goes on with the interaction.
    pub async fn choose_account(
        &self,
        sealed: &str,
        choice: Choice,
        browser: &Browser,
    ) -> Result<Step, BrowserError> {
        let question: Question = self.open_from_form(PURPOSE, browser, sealed)?;
        self.require_provisioned().await?;
        let stage = match (choice, self.session(browser).await?) {
            // Whatever the request says about who it may be: the person wants to be somebody else.
            (Choice::Another, _) => Stage::Anonymous {
                username: Some(String::new()),
                notice: None,
            },
            (Choice::Continue, None) => Stage::ANONYMOUS,
            (Choice::Continue, Some((session, user))) => Stage::SignedIn(Box::new(SignedIn {
                // Somebody else may have signed in since the page was shown.
                account_chosen: session.hash.matches(&question.session),
                session,
                user,
                authenticated_here: false,
                allowed_here: false,
                handle: None,
            })),
        };
        let interaction = Interaction {
            request: *question.request,
            started_at: question.started_at,
            stage,
        };
        self.advance(browser, interaction).await
    }
}
