//! The end of the session at claviger: by the person, or asked for by an app (OpenID Connect RP-Initiated Logout).
//!
//! Decisions where the specification leaves the choice:
//! - the person is not asked when the app brings an ID token of this very session (section 2 has a provider ask "if the
//!   supplied ID Token does not belong to the current OP session with the RP"); in every other case they are;
//! - whatever is wrong with a request (a hint that is not ours, a `client_id` that is not the hint's, a
//!   `post_logout_redirect_uri` that is not registered), the person can still sign out, and stays here;
//! - a bare `client_id` leads back to its app where the person has confirmed it, on a page that names the app. Section 2 has
//!   the parameter for this very use (a `post_logout_redirect_uri` without a hint), and section 3 asks for "other means of
//!   confirming the legitimacy of the post-logout redirection target" then: the URI is one that this client registered, and
//!   a person has said yes to that client. Many apps keep no ID token, and their people would be stranded here;
//! - where nobody is signed in, only a hint leads back to the app: there is nobody who could confirm a bare `client_id`;
//! - `logout_hint` and `ui_locales` have no effect.

use serde::{Deserialize, Serialize};

use super::Provider;
use super::audit::{self, Event};
use super::browser::Browser;
use super::fault::Fault;
use super::id_token_hint::IdTokenHint;
use super::interaction::{BrowserError, ClientFacts, Refusal};
use crate::oidc::authorization_request::validate::MAX_STATE_BYTES;
use crate::oidc::end_user::EndUser;
use crate::oidc::identifier::ClientId;
use crate::oidc::parameters::Parameters;
use crate::oidc::redirect_uri;
use crate::oidc::session_id::sid;
use crate::store::records::{ClientRecord, SessionRecord, UserRecord};

/// What the endpoint reads (RP-Initiated Logout section 2).
const PARAMETERS: [&str; 6] = [
    "id_token_hint",
    "logout_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "ui_locales",
];

const PURPOSE: &str = "browser/sign-out";

/// What comes of a request to sign out.
pub enum SignOut {
    /// The person is asked.
    Ask(Box<SignOutForm>),
    /// Nobody is signed in any more, or nobody was.
    Done {
        /// Where the app wants the browser, if it may.
        location: Option<String>,
        /// Whether this ended a session.
        ended: bool,
    },
}

/// Everything on the page that asks.
pub struct SignOutForm {
    /// Who is signed in.
    pub user: EndUser,
    /// The app that asks, if one does.
    pub client: Option<ClientFacts>,
    /// Where the form leads in the end, if that is not a page of ours.
    pub redirect_uri: Option<String>,
    /// The request, for the form to carry.
    pub sealed: String,
}

/// What an app asks for, as far as it may.
struct Asked {
    client: Option<ClientRecord>,
    hint: Option<IdTokenHint>,
    target: Option<Target>,
}

/// Where the browser is to go afterwards. The URI is registered for the client.
#[derive(Serialize, Deserialize)]
struct Target {
    client_id: ClientId,
    uri: String,
    state: Option<String>,
}

impl Target {
    fn location(&self) -> String {
        match &self.state {
            None => self.uri.clone(),
            Some(state) => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("state", state);
                redirect_uri::with_query(&self.uri, &query.finish())
            }
        }
    }
}

impl Provider {
    /// Answers a request to the end session endpoint; without parameters it is the person's own.
    pub async fn end_session(
        &self,
        parameters: &Parameters,
        browser: &Browser,
    ) -> Result<SignOut, BrowserError> {
        if let Some(name) = parameters.first_repeated(&PARAMETERS) {
            return Err(BrowserError::Refused(Refusal::SignOutRepeats(name), None));
        }
        let asked = self.read_sign_out(parameters).await?;
        let Some((session, user)) = self.session(browser).await? else {
            return Ok(SignOut::Done {
                location: asked
                    .target
                    .filter(|_| asked.hint.is_some())
                    .map(|target| target.location()),
                ended: false,
            });
        };
        if asked.is_about(&session) {
            self.end_this_session(
                &session,
                &user,
                asked.client.as_ref().map(|record| &record.client.client_id),
            )
            .await?;
            return Ok(SignOut::Done {
                location: asked.target.map(|target| target.location()),
                ended: true,
            });
        }
        Ok(SignOut::Ask(Box::new(SignOutForm {
            user: user.user,
            client: asked.client.as_ref().map(ClientFacts::from),
            redirect_uri: asked.target.as_ref().map(|target| target.uri.clone()),
            sealed: self.seal_in_form(PURPOSE, browser, &asked.target)?,
        })))
    }

    /// Ends the session of this browser after the person has confirmed it, and the grants that hang on it. There may be
    /// none any more. Gives where the app wants the browser, if that is still registered.
    pub async fn confirm_sign_out(
        &self,
        sealed: &str,
        browser: &Browser,
    ) -> Result<Option<String>, BrowserError> {
        // Whoever confirms is signed out, though the form be too old to lead anywhere.
        let target: Option<Target> = self.open_from_form(PURPOSE, browser, sealed).ok().flatten();
        if let Some((session, user)) = self.session(browser).await? {
            self.end_this_session(&session, &user, target.as_ref().map(|target| &target.client_id))
                .await?;
        }
        let Some(target) = target else { return Ok(None) };
        let client = self.live_client(&target.client_id).await?;
        let is_registered = client.is_some_and(|client| may_lead_to(&client, &target.uri));
        Ok(is_registered.then(|| target.location()))
    }

    async fn read_sign_out(&self, parameters: &Parameters) -> Result<Asked, BrowserError> {
        let value = |name| parameters.single(name).ok().flatten();
        let hint = value("id_token_hint").map(|hint| self.verify_id_token_hint(hint));
        let named = value("client_id").map(ClientId::new);
        let client_id = match (&hint, named) {
            // Section 2: they must agree.
            (Some(Some(hint)), Some(named)) if hint.aud != named => None,
            (Some(Some(hint)), _) => Some(hint.aud.clone()),
            (Some(None), _) => None,
            (None, named) => named,
        };
        let client = match &client_id {
            Some(client_id) => self.live_client(client_id).await?,
            None => None,
        };
        let target = client.as_ref().and_then(|client| {
            let uri = value("post_logout_redirect_uri").filter(|uri| may_lead_to(client, uri))?;
            Some(Target {
                client_id: client.client.client_id.clone(),
                uri: uri.to_owned(),
                state: value("state")
                    .filter(|state| state.len() <= MAX_STATE_BYTES)
                    .map(str::to_owned),
            })
        });
        Ok(Asked {
            hint: hint.flatten().filter(|_| client.is_some()),
            client,
            target,
        })
    }

    async fn live_client(&self, client_id: &ClientId) -> Result<Option<ClientRecord>, Fault> {
        self.require_provisioned().await?;
        let record = self
            .store
            .client(client_id)
            .await
            .map_err(Fault::store("read the client of a request to sign out"))?;
        Ok(record.filter(ClientRecord::is_live))
    }

    async fn end_this_session(
        &self,
        session: &SessionRecord,
        user: &UserRecord,
        client_id: Option<&ClientId>,
    ) -> Result<(), Fault> {
        self.store
            .end_session(&session.hash)
            .await
            .map_err(Fault::store("end a session"))?;
        audit::record(&Event {
            name: "sign_out",
            client_id,
            subject: Some(&user.user.subject),
            ..Event::default()
        });
        Ok(())
    }
}

impl Asked {
    /// Whether the app has proved that it is about this very session.
    fn is_about(&self, session: &SessionRecord) -> bool {
        let (Some(hint), Some(record)) = (&self.hint, &self.client) else {
            return false;
        };
        hint.sid.as_deref() == Some(sid(&session.hash, &record.client.uid).as_str())
    }
}

/// Section 3: compared byte for byte, without the freedom that redirect URIs have in a loopback port.
fn may_lead_to(record: &ClientRecord, uri: &str) -> bool {
    record
        .client
        .post_logout_redirect_uris
        .iter()
        .any(|registered| registered == uri)
}
