//! What may happen once, asked for many times at one moment.

use serde_json::json;
use testbed::browser::Browser;
use testbed::relying_party::{RelyingParty, Tokens};

use crate::harness::{REDIRECT_URI, Served, StoreKind, World, code, refused, tokens};
use crate::wire::{self, Reply};

/// How many come at once.
const CROWD: usize = 64;

/// A code is good once, however many redeem it at one moment: one gets tokens, everybody else `invalid_grant`, and since
/// a thief may be among them, what the one got is revoked.
#[tokio::test]
async fn rule_26_a_code_redeemed_64_times_at_once_on_sled() {
    a_code_redeemed_64_times_at_once(StoreKind::Sled).await;
}

/// The same in memory.
#[tokio::test]
async fn rule_26_a_code_redeemed_64_times_at_once_in_memory() {
    a_code_redeemed_64_times_at_once(StoreKind::Memory).await;
}

async fn a_code_redeemed_64_times_at_once(store: StoreKind) {
    let served = World::shared().serve(store).await;
    let app = served.app("shop", json!({})).await;
    let (request, code) = code(&app, &Browser::new().unwrap()).await;
    let port = served.port();
    let redemption = wire::token(
        port,
        &app,
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", &request.code_verifier),
        ],
    );
    let replies = wire::at_once(port, vec![redemption; CROWD]).await;
    let winner = the_one_that_succeeded(&replies);
    is_revoked(&served, &app, &winner).await;
}

/// A refresh token is good once: of two uses at one moment one gets a successor, and the other ends the family.
#[tokio::test]
async fn rule_37_a_refresh_token_rotated_twice_at_once_on_sled() {
    a_refresh_token_rotated_at_once(StoreKind::Sled).await;
}

/// The same in memory.
#[tokio::test]
async fn rule_37_a_refresh_token_rotated_twice_at_once_in_memory() {
    a_refresh_token_rotated_at_once(StoreKind::Memory).await;
}

async fn a_refresh_token_rotated_at_once(store: StoreKind) {
    let served = World::shared().serve(store).await;
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    let port = served.port();
    for crowd in [2, 2, 2, CROWD] {
        let refresh_token = tokens(&app, &browser).await.refresh_token.unwrap();
        let rotation = wire::token(
            port,
            &app,
            &[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)],
        );
        let replies = wire::at_once(port, vec![rotation; crowd]).await;
        let winner = the_one_that_succeeded(&replies);
        assert_ne!(winner.refresh_token.as_deref(), Some(refresh_token.as_str()));
        is_revoked(&served, &app, &winner).await;
    }
}

/// One success, and `invalid_grant` for all others.
fn the_one_that_succeeded(replies: &[Reply]) -> Tokens {
    let (winners, losers): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(winners.len(), 1, "{replies:?}");
    for loser in losers {
        assert_eq!(loser.status, 400, "{loser:?}");
        assert_eq!(loser.json()["error"], "invalid_grant");
        assert_eq!(loser.header("cache-control"), "no-store");
    }
    serde_json::from_value(winners[0].json()).unwrap()
}

/// Neither token is good for anything any more.
async fn is_revoked(served: &Served, app: &RelyingParty, tokens: &Tokens) {
    let port = served.port();
    let bearer = format!("Bearer {}", tokens.access_token);
    let reply = wire::send(
        port,
        &wire::get(port, "/api/userinfo", &[("Authorization", &bearer)]),
    )
    .await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let successor = tokens.refresh_token.as_deref().unwrap();
    assert_eq!(refused(app.refresh(successor).await.unwrap()), "invalid_grant");
}
