//! Apps are told that a session ended, whatever happens to claviger meanwhile.

use std::net::SocketAddr;

use serde_json::json;
use testbed::browser::Browser;
use testbed::certificates::Authority;
use testbed::folder::Folder;
use testbed::poll;
use testbed::ports;
use testbed::tls_receiver::{Answer, TlsReceiver};

use crate::harness::{PATIENCE, StoreKind, World, tokens};
use crate::ledger::sign_out;

/// The person signs out while the app is away, and claviger is killed: the next process tells the app, once it is back, with a
/// token that the published keys verify. The app's CA and its address inside are the administrator's to allow.
#[tokio::test]
async fn rule_73_a_kill_loses_no_notice() {
    let authority = Authority::new().unwrap();
    let folder = Folder::new("back-channel").unwrap();
    let ca = folder.write("ca.crt", authority.pem()).unwrap();
    let mut served = World::shared()
        .serve_with(StoreKind::Sled, |options| {
            options.arguments.push("--allow-egress=127.0.0.0/8".to_owned());
            options.arguments.push(format!("--extra-ca={}", ca.display()));
        })
        .await;
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let uri = format!("https://{address}/backchannel-logout");
    let app = served
        .app(
            "told",
            json!({ "backchannelLogoutUri": uri, "backchannelLogoutSessionRequired": true }),
        )
        .await;
    let browser = Browser::new().unwrap();
    let signed_in = tokens(&app, &browser).await;
    let id_token = app.verify_id_token(&signed_in, None).await.unwrap();
    assert!(sign_out(&app, &browser).await);
    poll::until("the first attempt", PATIENCE, async || {
        Ok(served
            .claviger
            .log()
            .contains("logout_token_not_accepted")
            .then_some(()))
    })
    .await
    .unwrap();
    served.claviger.kill9();
    let pair = authority.issue(&["127.0.0.1"]).unwrap();
    let mut receiver = TlsReceiver::start_at(address, &pair, Answer::Status(200))
        .await
        .unwrap();
    served.claviger.restart().await.unwrap();
    let posted = receiver.next().await.unwrap();
    let token = posted.field("logout_token").unwrap();
    let claims = app.verify_logout_token(&token).await.unwrap();
    for claim in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[claim], id_token[claim], "{claim}");
    }
    poll::until("the app's answer to be noted", PATIENCE, async || {
        Ok(served
            .claviger
            .log()
            .contains("logout_token_accepted")
            .then_some(()))
    })
    .await
    .unwrap();
    assert!(receiver.waiting().is_none());
}
