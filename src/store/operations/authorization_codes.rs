//! Authorization codes: issue and single redemption (RFC 6749 section 4.1.2).

use crate::clock::Timestamp;
use crate::oidc::consent::Consent;
use crate::oidc::opaque_token::TokenHash;
use crate::store::key_value::tables::{CODES, CODES_OF_GRANT, StoredCode};
use crate::store::key_value::{Read, Transaction};
use crate::store::operations::{
    clients, epoch, expiry, grants, interactions, participants, redeemed_grants, refresh_tokens, sessions,
    users,
};
use crate::store::records::{AuthorizationCodeRecord, CodeBinding, GrantRecord, NewRefreshToken};
use crate::store::{IssueCode, RedeemCode, StoreError};

pub(in crate::store) fn issue(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    interaction: Option<TokenHash>,
    grant: &GrantRecord,
    code: AuthorizationCodeRecord,
    remember: Option<Consent>,
) -> Result<IssueCode, StoreError> {
    if let Some(refusal) = refusal(transaction, now, interaction, grant)? {
        return Ok(refusal);
    }
    if let Some(hash) = interaction {
        interactions::end(transaction, &hash)?;
    }
    if let Some(allowed) = remember {
        grants::remember_consent(transaction, &grant.user_uid, &grant.client_uid, &allowed)?;
    }
    grants::begin(transaction, grant)?;
    let epoch = epoch::current(transaction)?;
    let hash = code.hash;
    CODES_OF_GRANT.put(transaction, code.grant_id.as_str().as_bytes(), hash.as_bytes());
    expiry::Subject::AuthorizationCode(hash).look_at(transaction, code.expires_at);
    CODES.put(transaction, &[hash.as_bytes()], &StoredCode { epoch, code })?;
    Ok(IssueCode::Issued)
}

/// Why nothing may be issued, if so.
pub(super) fn refusal(
    view: &dyn Read,
    now: Timestamp,
    interaction: Option<TokenHash>,
    grant: &GrantRecord,
) -> Result<Option<IssueCode>, StoreError> {
    if let Some(hash) = interaction {
        // An interaction of another session or person finishes nothing here.
        let belongs = interactions::live(view, now, &hash)?.is_some_and(|interaction| {
            interaction.session == grant.session && interaction.user_uid == grant.user_uid
        });
        if !belongs {
            return Ok(Some(IssueCode::InteractionGone));
        }
    }
    let client = clients::by_uid(view, &grant.client_uid)?;
    if !client.is_some_and(|record| record.is_live() && record.client.client_id == grant.client_id) {
        return Ok(Some(IssueCode::ClientRefused));
    }
    if users::live(view, &grant.user_uid)?.is_none() {
        return Ok(Some(IssueCode::UserRefused));
    }
    let session = sessions::live(view, now, &grant.session)?;
    if session.is_none_or(|session| session.user_uid != grant.user_uid) {
        return Ok(Some(IssueCode::SessionGone));
    }
    Ok(None)
}

pub(in crate::store) fn redeem(
    transaction: &mut dyn Transaction,
    now: Timestamp,
    hash: &TokenHash,
    binding: &CodeBinding,
    refresh_token: Option<NewRefreshToken>,
) -> Result<RedeemCode, StoreError> {
    let Some(mut stored) = by_key(transaction, hash.as_bytes())? else {
        return Ok(RedeemCode::Unknown);
    };
    let Some(grant) = grants::unexpired(transaction, now, &stored.code.grant_id)? else {
        return Ok(RedeemCode::Unknown);
    };
    let spent = stored.code.redeemed_at.is_some();
    let dead = stored.code.expires_at <= now || stored.epoch < epoch::oldest_live(transaction)?;
    if !spent && dead {
        return Ok(RedeemCode::Unknown);
    }
    // RFC 6749 section 4.1.3, RFC 7636 section 4.6 and RFC 9449 section 10. Before the state, so that whoever does not hold all of it can
    // neither burn the code nor revoke what came of it.
    if !stored.code.binding.is_met_by(binding) {
        return Ok(RedeemCode::Mismatch);
    }
    // RFC 6749 section 4.1.2: a second use is denied and should revoke what the first one gave.
    if spent {
        grants::revoke(transaction, now, &grant.id)?;
        return Ok(RedeemCode::Replayed(grant.id));
    }
    // Offline or not: whoever signs out before an app has finished its sign-in is not signed in there afterwards, by a session
    // of which nobody would ever tell the app that it ended.
    let Some(redeemed) = grants::if_allowed_in_session(transaction, now, grant)? else {
        return Ok(RedeemCode::Refused);
    };
    let grant = &redeemed.grant;
    stored.code.redeemed_at = Some(now);
    CODES.put(transaction, &[hash.as_bytes()], &stored)?;
    grants::outlive_session(transaction, grant);
    let ended = redeemed_grants::note(transaction, grant)?;
    participants::note(transaction, now, grant)?;
    if let Some(token) = refresh_token {
        refresh_tokens::begin(transaction, now, grant, &token)?;
    }
    Ok(RedeemCode::Fresh(Box::new(redeemed), ended))
}

pub(in crate::store) fn by_key(view: &dyn Read, hash: &[u8]) -> Result<Option<StoredCode>, StoreError> {
    CODES.get(view, &[hash])
}
