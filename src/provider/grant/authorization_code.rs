//! `grant_type=authorization_code` (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::pkce;
use crate::oidc::thumbprint::Thumbprint;
use crate::provider::Provider;
use crate::provider::answer::{Failure, refused_because};
use crate::provider::audit;
use crate::provider::client_request::{required, single};
use crate::provider::fault::Fault;
use crate::store::RedeemCode;
use crate::store::records::CodeBinding;

use super::{Authorization, first_refresh_token, record_ended};

/// Redeems the code. It is spent before anything is minted from it: a crash in between costs a new sign-in, the other
/// order would cost the single use (RFC 6749 section 4.1.2).
pub(in crate::provider) async fn authorize(
    provider: &Provider,
    client: &Client,
    form: &Parameters,
    jkt: Option<&Thumbprint>,
) -> Result<Authorization, Failure> {
    let code = required(form, "code")?;
    let redirect_uri = required(form, "redirect_uri")?;
    let code_challenge = match single(form, "code_verifier")? {
        None => None,
        Some(verifier) => {
            Some(pkce::code_challenge(verifier).ok_or_else(|| invalid("code_verifier is not a legal one"))?)
        }
    };
    let code = OpaqueToken::parse(TokenKind::AuthorizationCode, code)
        .ok_or_else(|| invalid("what was sent does not look like a code of ours"))?;
    let binding = CodeBinding {
        client_uid: client.uid.clone(),
        redirect_uri: redirect_uri.to_owned(),
        code_challenge,
        dpop_jkt: jkt.cloned(),
    };
    let (refresh_token, stored) = first_refresh_token(provider, client, jkt).unzip();
    let redeemed = provider
        .store
        .redeem_authorization_code(&code.hash(), &binding, stored)
        .await
        .map_err(Fault::store("redeem an authorization code"))?;
    match redeemed {
        RedeemCode::Fresh(redeemed, ended) => {
            record_ended(client, &redeemed.grant, &ended);
            let nonce = redeemed.grant.nonce.clone();
            Ok(Authorization::of_redeemed(*redeemed, nonce, refresh_token))
        }
        RedeemCode::Replayed(grant) => {
            audit::record(&audit::Event {
                name: "code_replayed_grant_revoked",
                client_id: Some(&client.client_id),
                grant: Some(&grant),
                ..audit::Event::default()
            });
            Err(invalid("the code was redeemed before; its grant is revoked"))
        }
        RedeemCode::Mismatch => Err(invalid(
            "the code was issued to another client, redirect_uri, code_challenge or dpop_jkt",
        )),
        RedeemCode::Unknown => Err(invalid("no such code, or it expired")),
        RedeemCode::Refused => Err(invalid("client, user, session or grant ended meanwhile")),
    }
}

/// One text for every reason: which of them it was is nothing that a thief of codes should learn.
fn invalid(reason: &'static str) -> Failure {
    refused_because(
        ErrorCode::InvalidGrant,
        "the authorization code is not valid for this request",
        reason,
    )
}
