//! Grants and consents.

use std::time::Duration;

use claviger::oidc::identifier::GrantId;
use claviger::oidc::scope::ScopeSet;

use crate::bench::{Bench, CLIENT, GRANT, REFRESH, USER, uid};
use crate::fixtures;

/// A live grant comes with its user as registered now.
pub(crate) async fn a_live_grant_comes_with_the_user_of_now(bench: &Bench) {
    let grant = bench.redeemed(false).await;
    let mut registration = fixtures::user_registration(USER);
    registration.user.groups = vec!["admins".to_owned()];
    bench.store.register_user(registration).await.unwrap();
    let live = bench.store.live_grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(live.grant, grant);
    assert_eq!(live.user.user.groups, ["admins"]);
    assert!(
        bench
            .store
            .live_grant(&GrantId::new("other"))
            .await
            .unwrap()
            .is_none()
    );
}

/// What hangs on a revoked grant is dead.
pub(crate) async fn a_revoked_grant_is_dead(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    bench.store.revoke_grant(&grant.id).await.unwrap();
    bench.store.revoke_grant(&GrantId::new("other")).await.unwrap();
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "refused");
    let (_, kept) = bench
        .store
        .refresh_token(&fixtures::hash(REFRESH))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.revoked_at, Some(bench.now()));
}

/// A code that was not redeemed is dead when its grant is revoked.
pub(crate) async fn a_code_of_a_revoked_grant_is_refused(bench: &Bench) {
    bench.issued(false).await;
    bench.store.revoke_grant(&GrantId::new(GRANT)).await.unwrap();
    assert_eq!(bench.redeem().await, "refused");
}

/// A grant ends at its end, with everything on it.
pub(crate) async fn a_grant_ends_at_its_end(bench: &Bench) {
    let grant = bench.redeemed(true).await;
    for at in [grant.expires_at, bench.now()] {
        bench.clock.set(at);
        let live = at < grant.expires_at;
        assert_eq!(bench.grant_is_live().await, live);
        let token = bench.store.refresh_token(&fixtures::hash(REFRESH)).await.unwrap();
        assert_eq!(token.is_some(), live);
    }
}

/// Consents add up, per user and client.
pub(crate) async fn consents_add_up(bench: &Bench) {
    let session = bench.signed_in().await;
    for (number, scopes) in ["openid", "profile email"].into_iter().enumerate() {
        let grant = fixtures::grant(&format!("grant {number}"), &session, CLIENT, bench.now());
        let code = fixtures::authorization_code(&format!("code {number}"), &grant, CLIENT, bench.now());
        let remember = Some(ScopeSet::parse(scopes));
        bench
            .store
            .issue_authorization_code(None, grant, code, remember)
            .await
            .unwrap();
    }
    let consented = async |user: &str, client: &str| {
        let scopes = bench
            .store
            .consented_scopes(&uid(user), &uid(client))
            .await
            .unwrap();
        scopes.to_string()
    };
    assert_eq!(consented(USER, CLIENT).await, "email openid profile");
    assert_eq!(consented(USER, "other").await, "");
    assert_eq!(consented("bob", CLIENT).await, "");
    bench.advance(Duration::from_hours(24 * 365));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(consented(USER, CLIENT).await, "email openid profile");
}
