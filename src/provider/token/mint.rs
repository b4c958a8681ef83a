//! The last step of the pipeline: access token and ID token.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::clock::{Timestamp, later};
use crate::oidc::access_token::{self, AccessTokenClaims, Basis, Confirmation, TokenType};
use crate::oidc::audience::Audience;
use crate::oidc::claims;
use crate::oidc::client::{AccessTokenFormat, Client};
use crate::oidc::id_token::{self, IdTokenClaims};
use crate::oidc::jws;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::scope::{OPENID, ScopeSet};
use crate::oidc::session_id::sid;
use crate::oidc::thumbprint::Thumbprint;
use crate::provider::Provider;
use crate::provider::answer::Failure;
use crate::provider::audit;
use crate::provider::fault::Fault;
use crate::provider::grant::{Authorization, Holder, Person};
use crate::random;
use crate::store::records::AccessTokenRecord;

use super::TokenResponse;

impl Provider {
    /// Mints what `authorization` allows; the refresh token, which is stored already, is not part of it.
    pub(super) async fn mint(
        &self,
        client: &Client,
        authorization: &Authorization,
        jkt: Option<&Thumbprint>,
    ) -> Result<TokenResponse, Failure> {
        let now = self.clock.now();
        let cnf = jkt.cloned().map(|jkt| Confirmation { jkt });
        let token_type = TokenType::of(cnf.as_ref());
        let (access_token, access_expires_at) =
            self.mint_access_token(client, authorization, cnf, now).await?;
        let id_token = match &authorization.holder {
            // It names the session, whose end the client may have to be told: whatever gives a grant to its client has noted it
            // among those of the session (`participants::note` in the store's operations).
            Holder::Person(person) if authorization.scope.contains(OPENID) => {
                let scope = &authorization.scope;
                Some(self.mint_id_token(client, person, scope, &access_token, now)?)
            }
            Holder::Person(_) | Holder::Client => None,
        };
        let lifetime = access_expires_at.as_second().saturating_sub(now.as_second());
        Ok(TokenResponse {
            access_token,
            token_type,
            expires_in: Duration::from_secs(lifetime.try_into().unwrap_or(0)),
            refresh_token: None,
            id_token,
            scope: authorization.scope.to_string(),
        })
    }

    /// The token, and when it expires.
    async fn mint_access_token(
        &self,
        client: &Client,
        authorization: &Authorization,
        cnf: Option<Confirmation>,
        now: Timestamp,
    ) -> Result<(Zeroizing<String>, Timestamp), Failure> {
        let expires_at = later(now, client.lifetimes.access_token);
        let (subject, basis, expires_at) = match &authorization.holder {
            // A token that outlives its grant would be good at resource servers and dead here.
            Holder::Person(person) => (
                person.grant.sub().as_str(),
                Basis::Grant(person.grant.id.clone()),
                expires_at.min(person.grant.expires_at),
            ),
            // RFC 9068 section 2.2. No person has it: the store refuses subjects that are client ids (section 5).
            Holder::Client => (
                client.client_id.as_str(),
                Basis::Client(client.uid.clone()),
                expires_at,
            ),
        };
        let unique = URL_SAFE_NO_PAD.encode(random::bytes::<16>(&*self.random));
        let claims = AccessTokenClaims {
            iss: self.issuer.as_str().to_owned().into(),
            sub: subject.to_owned().into(),
            aud: Audience::of(&authorization.resources, self.issuer.as_str()),
            exp: expires_at.as_second(),
            iat: now.as_second(),
            jti: access_token::jti(&basis, &unique).into(),
            client_id: client.client_id.as_str().to_owned().into(),
            scope: authorization.scope.to_string().into(),
            auth_time: authorization
                .person()
                .map(|person| person.grant.authentication.at.as_second()),
            groups: None,
            cnf,
        };
        let token = match client.access_token_format {
            AccessTokenFormat::Jwt => self.sign_access_token(client, claims, authorization, now)?,
            AccessTokenFormat::Opaque => self.keep_access_token(client, claims).await?,
        };
        Ok((token, expires_at))
    }

    fn sign_access_token(
        &self,
        client: &Client,
        claims: AccessTokenClaims<'static>,
        authorization: &Authorization,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Failure> {
        let claims = AccessTokenClaims {
            groups: groups_of(client, authorization).map(Cow::Borrowed),
            ..claims
        };
        let token = self
            .keyring
            .current()
            .sign(
                client.token_signing().access_token,
                access_token::TYP,
                &claims,
                now,
            )
            .map_err(Fault::keyring("sign an access token"))?;
        if token.len() > jws::MAX_BYTES {
            return Err(Fault::TokenTooLong(token.len()).into());
        }
        Ok(Zeroizing::new(token))
    }

    /// Stores what an opaque token stands for.
    async fn keep_access_token(
        &self,
        client: &Client,
        claims: AccessTokenClaims<'static>,
    ) -> Result<Zeroizing<String>, Failure> {
        let token = OpaqueToken::generate(TokenKind::AccessToken, &*self.random);
        self.store
            .begin_access_token(AccessTokenRecord {
                hash: token.hash(),
                client_uid: Some(client.uid.clone()),
                claims,
            })
            .await
            .map_err(Fault::store("store an access token"))?;
        Ok(Zeroizing::new(token.expose().to_owned()))
    }

    fn mint_id_token(
        &self,
        client: &Client,
        Person { grant, user, nonce }: &Person,
        scope: &ScopeSet,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Failure> {
        let algorithm = client.token_signing().id_token;
        let by_scope = claims::of_scope_in_id_token(scope);
        // What the client may ask for may have become less since.
        let by_name = grant.claims.within(&client.scopes).id_token.into_iter();
        let claims = IdTokenClaims {
            iss: self.issuer.as_str(),
            sub: grant.sub().as_str(),
            aud: client.client_id.as_str(),
            exp: later(now, client.lifetimes.id_token).as_second(),
            iat: now.as_second(),
            auth_time: grant
                .auth_time_requested
                .then(|| grant.authentication.at.as_second()),
            nonce: nonce.as_deref(),
            sid: &sid(&grant.session, &client.uid),
            acr: grant.authentication.acr(),
            amr: grant.authentication.amr(),
            at_hash: id_token::at_hash(algorithm, access_token),
            person: claims::values(&user.into(), by_scope.chain(by_name)),
        };
        let token = self
            .keyring
            .current()
            .sign(algorithm, id_token::TYP, &claims, now)
            .map_err(Fault::keyring("sign an ID token"))?;
        Ok(Zeroizing::new(token))
    }
}

/// The person's groups, with the scope of that name. None, as without it, where there are too many of them for a token: an API
/// that needs them asks for them by introspection.
fn groups_of<'a>(client: &Client, authorization: &'a Authorization) -> Option<&'a [String]> {
    let person = authorization.person()?;
    let groups = claims::groups(&person.user.user, &authorization.scope)?;
    if access_token::have_room(groups) {
        return Some(groups);
    }
    audit::record(&audit::Event {
        name: "groups_left_out",
        client_id: Some(&client.client_id),
        subject: Some(&person.user.user.subject),
        grant: Some(&person.grant.id),
    });
    None
}
