//! The end of the way: a grant with its authorization code, or for a device to fetch.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::{BrowserError, Interaction, Refusal, SignedIn, Stage, Step};
use crate::clock::later;
use crate::oidc::authorization_request::AuthorizationRequest;
use crate::oidc::authorization_response::AuthorizationResponse;
use crate::oidc::client::{Client, ConsentPolicy};
use crate::oidc::consent::Consent;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::GrantId;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::oidc::scope::OFFLINE_ACCESS;
use crate::provider::audit::{self, Event};
use crate::provider::browser::Browser;
use crate::provider::device::DeviceEnd;
use crate::provider::fault::Fault;
use crate::provider::{AUTHORIZATION_CODE_LIFETIME, DEVICE_CODE_LIFETIME, Provider};
use crate::random;
use crate::store::IssueCode;
use crate::store::records::{AuthorizationCodeRecord, ClientRecord, CodeBinding, GrantRecord};

impl Provider {
    /// Stores grant and code, which consumes the interaction's row, and answers the app or the device.
    pub(super) async fn issue(
        &self,
        browser: &Browser,
        request: AuthorizationRequest,
        started_at: Timestamp,
        signed_in: SignedIn,
        client: &ClientRecord,
    ) -> Result<Step, BrowserError> {
        let now = self.clock.now();
        let grant = self.new_grant(&request, &signed_in, &client.client, now)?;
        // What is asked every time is not remembered: it must not count later, when the policy has become `Remember`.
        let remember = (signed_in.allowed_here && client.client.consent == ConsentPolicy::Remember)
            .then(|| request.asked());
        let row = signed_in.handle.as_ref().map(OpaqueToken::hash);
        let grant_id = grant.id.clone();
        let (issued, step) = match (&request.device, row) {
            (None, row) => self.issue_code(&request, row, grant, remember).await?,
            (Some(device), Some(row)) => {
                let approved = self
                    .store
                    .approve_device(row, &device.code, grant, remember)
                    .await
                    .map_err(Fault::store("store what a device may fetch"))?;
                (approved, Step::Device(DeviceEnd::Allowed))
            }
            // Nobody is spared the question, which is what the row is for.
            (Some(_), None) => return self.ask_consent(request, started_at, signed_in).await,
        };
        match issued {
            IssueCode::Issued => {
                audit::record(&Event {
                    name: "grant",
                    client_id: Some(&request.client_id),
                    subject: Some(&signed_in.user.user.subject),
                    grant: Some(&grant_id),
                });
                Ok(step)
            }
            IssueCode::InteractionGone => Err(BrowserError::Refused(Refusal::InteractionGone, None)),
            IssueCode::ClientRefused => Err(BrowserError::Refused(
                Refusal::ClientRefused,
                Some(Box::new(client.into())),
            )),
            // Signed out or disabled since the session was read.
            IssueCode::SessionGone | IssueCode::UserRefused => {
                let interaction = Interaction {
                    request,
                    started_at,
                    stage: Stage::ANONYMOUS,
                };
                Box::pin(self.advance(browser, interaction)).await
            }
        }
    }

    /// Stores grant and code; the step takes the code to the app.
    async fn issue_code(
        &self,
        request: &AuthorizationRequest,
        row: Option<TokenHash>,
        grant: GrantRecord,
        remember: Option<Consent>,
    ) -> Result<(IssueCode, Step), Fault> {
        let code = OpaqueToken::generate(TokenKind::AuthorizationCode, &*self.random);
        let record = AuthorizationCodeRecord {
            hash: code.hash(),
            grant_id: grant.id.clone(),
            binding: CodeBinding {
                client_uid: request.client_uid.clone(),
                redirect_uri: request.redirect_uri.clone(),
                code_challenge: request.code_challenge.clone(),
                dpop_jkt: request.dpop_jkt.clone(),
            },
            expires_at: later(self.clock.now(), AUTHORIZATION_CODE_LIFETIME),
            redeemed_at: None,
        };
        let issued = self
            .store
            .issue_authorization_code(row, grant, record, remember)
            .await
            .map_err(Fault::store("store an authorization code"))?;
        let response = AuthorizationResponse::code(request.into(), &self.issuer, &code);
        Ok((issued, Step::Respond(response)))
    }

    fn new_grant(
        &self,
        request: &AuthorizationRequest,
        signed_in: &SignedIn,
        client: &Client,
        now: Timestamp,
    ) -> Result<GrantRecord, Fault> {
        let lifetimes = &client.lifetimes;
        let lifetime = if client.may_use(GrantType::RefreshToken) {
            lifetimes.refresh_token
        } else {
            let fetched_within = match request.device {
                None => AUTHORIZATION_CODE_LIFETIME,
                Some(_) => DEVICE_CODE_LIFETIME,
            };
            fetched_within.saturating_add(lifetimes.access_token)
        };
        let subject = &signed_in.user.user.subject;
        Ok(GrantRecord {
            id: GrantId::new(URL_SAFE_NO_PAD.encode(random::bytes::<16>(&*self.random))),
            client_uid: client.uid.clone(),
            client_id: client.client_id.clone(),
            user_uid: signed_in.user.user.uid.clone(),
            subject: subject.clone(),
            pairwise_subject: self.pairwise_sub_for(client, subject)?,
            scope: request.scope.clone(),
            resources: request.resources.clone(),
            session: signed_in.session.hash,
            offline: request.scope.contains(OFFLINE_ACCESS),
            authentication: signed_in.session.authentication.clone(),
            auth_time_requested: request.auth_time_requested,
            nonce: request.nonce.clone(),
            claims: request.claims.clone(),
            created_at: now,
            expires_at: later(now, lifetime),
            revoked_at: None,
        })
    }
}
