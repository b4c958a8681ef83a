//! kill -9 and a start on the same folder: what was acknowledged holds.

use serde_json::json;
use testbed::browser::{Arrival, Browser};

use crate::harness::{REDIRECT_URI, SCOPE, StoreKind, World, code, refused, tokens};

/// A spent code stays spent, a spent refresh token stays spent, and what was revoked stays revoked, although nobody
/// had time to say goodbye.
#[tokio::test]
async fn rule_26_nothing_spent_comes_back_after_a_crash() {
    let mut served = World::shared().serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();

    let (redeemed_request, redeemed_code) = code(&app, &browser).await;
    let redeemed = app
        .redeem(&redeemed_request, &redeemed_code)
        .await
        .unwrap()
        .unwrap();
    let rotated = tokens(&app, &browser).await.refresh_token.unwrap();
    let successor = app.refresh(&rotated).await.unwrap().unwrap();
    let revoked = tokens(&app, &browser).await.refresh_token.unwrap();
    let revoked = {
        let successor = app.refresh(&revoked).await.unwrap().unwrap();
        assert_eq!(refused(app.refresh(&revoked).await.unwrap()), "invalid_grant");
        successor
    };
    let (open_request, open_code) = code(&app, &browser).await;

    served.claviger.kill9();
    served.claviger.restart().await.unwrap();

    // Revoked before the crash.
    let token = revoked.refresh_token.as_deref().unwrap();
    assert_eq!(refused(app.refresh(token).await.unwrap()), "invalid_grant");
    let claims = app.userinfo(&revoked.access_token, "anybody").await.unwrap_err();
    assert!(format!("{claims:#}").contains("401"), "{claims:#}");
    // A code that nobody had redeemed may have been spent a moment before the crash, so it is dead.
    assert_eq!(
        refused(app.redeem(&open_request, &open_code).await.unwrap()),
        "invalid_grant"
    );
    // What was live is live, until the code comes again.
    let still = app
        .refresh(redeemed.refresh_token.as_deref().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        refused(app.redeem(&redeemed_request, &redeemed_code).await.unwrap()),
        "invalid_grant"
    );
    let token = still.refresh_token.as_deref().unwrap();
    assert_eq!(refused(app.refresh(token).await.unwrap()), "invalid_grant");
    // And the same for a refresh token that was rotated away.
    assert_eq!(refused(app.refresh(&rotated).await.unwrap()), "invalid_grant");
    let token = successor.refresh_token.as_deref().unwrap();
    assert_eq!(refused(app.refresh(token).await.unwrap()), "invalid_grant");
}

/// A restart signs nobody out: the session's cookie is good after a crash and after an orderly stop, so that an app is
/// answered without a page (`prompt=none`).
#[tokio::test]
async fn rule_63_a_restart_signs_nobody_out() {
    let mut served = World::shared().serve(StoreKind::Sled).await;
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    let first = tokens(&app, &browser).await;
    let subject = app.verify_id_token(&first, None).await.unwrap()["sub"].clone();
    for crash in [true, false] {
        if crash {
            served.claviger.kill9();
        } else {
            assert!(served.claviger.stop().success());
        }
        served.claviger.restart().await.unwrap();
        let request = app.authorization_request(SCOPE, &[("prompt", "none")]).unwrap();
        let answer = browser.get(&request.url).await.unwrap();
        let Arrival::Callback(callback) = browser.follow(answer, REDIRECT_URI).await.unwrap() else {
            panic!("prompt=none showed a page");
        };
        let code = app.code(&request, &callback).unwrap();
        let fresh = app.redeem(&request, &code).await.unwrap().unwrap();
        let claims = app.verify_id_token(&fresh, Some(&request.nonce)).await.unwrap();
        assert_eq!(claims["sub"], subject);
    }
    // Somebody else's browser is not signed in by it.
    let request = app.authorization_request(SCOPE, &[("prompt", "none")]).unwrap();
    let stranger = Browser::new().unwrap();
    let answer = stranger.get(&request.url).await.unwrap();
    let Arrival::Callback(callback) = stranger.follow(answer, REDIRECT_URI).await.unwrap() else {
        panic!("prompt=none showed a page");
    };
    assert!(
        callback
            .query_pairs()
            .any(|pair| pair == ("error".into(), "login_required".into())),
        "{callback}"
    );
}
