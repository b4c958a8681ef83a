//! `grant_type=refresh_token` (RFC 6749 section 6) with rotation (RFC 9700 section 4.14.2).

use crate::clock::later;
use crate::oidc::audience;
use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::scope::ScopeSet;
use crate::oidc::thumbprint::Thumbprint;
use crate::provider::Provider;
use crate::provider::answer::{Failure, refused, refused_because};
use crate::provider::audit;
use crate::provider::client_request::{required, single};
use crate::provider::fault::Fault;
use crate::store::RotateRefreshToken;
use crate::store::records::NewRefreshToken;

use super::{Authorization, key_of_refresh_token};

/// Rotates the token, after whatever would refuse the request without the token's fault.
pub(in crate::provider) async fn authorize(
    provider: &Provider,
    client: &Client,
    form: &Parameters,
    jkt: Option<&Thumbprint>,
) -> Result<Authorization, Failure> {
    let presented = required(form, "refresh_token")?;
    let presented = OpaqueToken::parse(TokenKind::RefreshToken, presented)
        .ok_or_else(|| invalid("what was sent does not look like a refresh token of ours"))?;
    let scope = single(form, "scope")?.map(ScopeSet::parse);
    let resources = audience::requested(form);
    let request = Narrower {
        scope: scope.as_ref(),
        resources,
        jkt,
    };
    refuse_before_spending(provider, client, &presented, request).await?;

    let (used, successor) = spend(provider, client, &presented, jkt).await?;
    match used {
        RotateRefreshToken::Rotated(redeemed) => {
            // OpenID Connect Core section 12.2: an ID token after a refresh should have no nonce.
            let all = Authorization::of_redeemed(*redeemed, None, successor);
            Ok(match scope {
                Some(scope) => Authorization { scope, ..all },
                None => all,
            })
        }
        RotateRefreshToken::Reused(grant) => {
            audit::record(&audit::Event {
                name: "refresh_token_reused_grant_revoked",
                client_id: Some(&client.client_id),
                grant: Some(&grant),
                ..audit::Event::default()
            });
            Err(invalid("the token was used before; its grant is revoked"))
        }
        RotateRefreshToken::Mismatch => Err(invalid(
            "the token belongs to another client, or is bound to another key",
        )),
        RotateRefreshToken::Unknown => Err(invalid("no such token, or it expired")),
        RotateRefreshToken::Refused => Err(invalid("client, user, session or grant ended meanwhile")),
    }
}

/// Rotates the token: what came of it, and its successor. A client whose tokens do not rotate goes on with the one that it
/// has.
async fn spend(
    provider: &Provider,
    client: &Client,
    presented: &OpaqueToken,
    jkt: Option<&Thumbprint>,
) -> Result<(RotateRefreshToken, Option<OpaqueToken>), Fault> {
    let (hash, store) = (presented.hash(), &provider.store);
    let expires_at = later(provider.clock.now(), client.lifetimes.refresh_token_idle);
    if !client.rotates_refresh_tokens() {
        let used = store.use_refresh_token(&hash, &client.uid, jkt, expires_at).await;
        return Ok((used.map_err(Fault::store("use a refresh token"))?, None));
    }
    let successor = OpaqueToken::generate(TokenKind::RefreshToken, &*provider.random);
    let stored = NewRefreshToken {
        hash: successor.hash(),
        expires_at,
        dpop_jkt: key_of_refresh_token(client, jkt),
    };
    let rotated = store
        .rotate_refresh_token(&hash, &client.uid, jkt, stored)
        .await
        .map_err(Fault::store("rotate a refresh token"))?;
    Ok((rotated, Some(successor)))
}

/// What a request asks for of what was granted, and the key that it proves.
struct Narrower<'a> {
    scope: Option<&'a ScopeSet>,
    resources: Vec<String>,
    jkt: Option<&'a Thumbprint>,
}

/// A wider scope, another resource and a person whom the client no longer admits are refused without spending the token, so that the app
/// can ask again. Reads only when there is something to check; whether the token is good is for the rotation to say, so
/// tokens that are unknown, spent or somebody else's pass here.
async fn refuse_before_spending(
    provider: &Provider,
    client: &Client,
    presented: &OpaqueToken,
    Narrower {
        scope,
        resources,
        jkt,
    }: Narrower<'_>,
) -> Result<(), Failure> {
    if scope.is_none() && resources.is_empty() && client.access.is_open() {
        return Ok(());
    }
    let found = provider
        .store
        .refresh_token(&presented.hash())
        .await
        .map_err(Fault::store("look up a refresh token"))?;
    let Some((record, grant)) = found else {
        return Ok(());
    };
    if record.spent_at.is_some() || grant.client_uid != client.uid || !record.is_for_key(jkt) {
        return Ok(());
    }
    // RFC 6749 section 6: nothing that was not granted originally.
    if scope.is_some_and(|scope| !scope.is_subset(&grant.scope)) {
        return Err(refused(
            ErrorCode::InvalidScope,
            "scope is wider than what was granted",
        ));
    }
    if !resources.is_empty() {
        let registered = provider.audiences_of(client, &resources).await?;
        audience::narrow(resources, &grant.resources, &registered).map_err(Failure::from)?;
    }
    if client.access.is_open() {
        return Ok(());
    }
    let live = provider
        .store
        .live_grant(&grant.id)
        .await
        .map_err(Fault::store("look up a grant"))?;
    match live {
        Some(live) if !client.access.allows(&live.user.user) => {
            Err(invalid("the client does not admit this person any more"))
        }
        _ => Ok(()),
    }
}

fn invalid(reason: &'static str) -> Failure {
    refused_because(
        ErrorCode::InvalidGrant,
        "the refresh token is not valid for this request",
        reason,
    )
}
