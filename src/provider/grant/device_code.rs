//! `grant_type=urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 section 3.4).

use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::thumbprint::Thumbprint;
use crate::provider::Provider;
use crate::provider::answer::{Failure, refused, refused_because};
use crate::provider::client_request::required;
use crate::provider::fault::Fault;
use crate::store::RedeemDeviceCode;

use super::{Authorization, first_refresh_token, record_ended};

/// Redeems the code, if a person has allowed it. It is spent before anything is minted from it. A second use is refused and
/// revokes nothing: a device asks over and over, and does so once more when an answer was lost.
pub(in crate::provider) async fn authorize(
    provider: &Provider,
    client: &Client,
    form: &Parameters,
    jkt: Option<&Thumbprint>,
) -> Result<Authorization, Failure> {
    let code = OpaqueToken::parse(TokenKind::DeviceCode, required(form, "device_code")?)
        .ok_or_else(|| invalid("what was sent does not look like a device code of ours"))?;
    let (refresh_token, stored) = first_refresh_token(provider, client, jkt).unzip();
    let redeemed = provider
        .store
        .redeem_device_code(&code.hash(), &client.uid, stored)
        .await
        .map_err(Fault::store("redeem a device code"))?;
    match redeemed {
        RedeemDeviceCode::Fresh(redeemed, ended) => {
            record_ended(client, &redeemed.grant, &ended);
            Ok(Authorization::of_redeemed(*redeemed, None, refresh_token))
        }
        RedeemDeviceCode::Pending => Err(refused(
            ErrorCode::AuthorizationPending,
            "nobody has answered yet; ask again after the interval",
        )),
        RedeemDeviceCode::SlowDown => Err(refused(
            ErrorCode::SlowDown,
            "nobody has answered yet; wait for five seconds more each time from now on",
        )),
        RedeemDeviceCode::Denied => Err(refused(
            ErrorCode::AccessDenied,
            "the person did not allow the request, or may not use this client",
        )),
        RedeemDeviceCode::Expired => Err(refused(
            ErrorCode::ExpiredToken,
            "the device code has expired; begin anew",
        )),
        RedeemDeviceCode::Mismatch => Err(invalid("the device code was issued to another client")),
        RedeemDeviceCode::Unknown => Err(invalid("no such device code, or it was redeemed before")),
        RedeemDeviceCode::Refused => Err(invalid("client, user, session or grant ended meanwhile")),
    }
}

/// One text for every reason: which of them it was is nothing that a thief of codes should learn.
fn invalid(reason: &'static str) -> Failure {
    refused_because(
        ErrorCode::InvalidGrant,
        "the device code is not valid for this request",
        reason,
    )
}
