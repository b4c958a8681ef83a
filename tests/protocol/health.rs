//! The second port.

use axum::Router;
use axum::body::Body;
use claviger::http::health::{Readiness, router};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn get(router: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes().to_vec(),
    )
}

/// Ready means that every check holds; otherwise the answer names those that do not.
#[tokio::test]
async fn readiness_names_what_is_not_ready() {
    let readiness =
        Readiness::waiting_for([("clients", "no complete list yet"), ("api-server", "not reached")]);
    let router = router(readiness.clone());
    let readyz = async || {
        let (status, body) = get(&router, "/readyz").await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (status, report) = readyz().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        report["waiting"],
        json!({"clients": "no complete list yet", "api-server": "not reached"})
    );

    readiness.set_ready("clients");
    readiness.set_waiting("api-server", "timed out");
    let (status, report) = readyz().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        report,
        json!({"ready": false, "waiting": {"api-server": "timed out"}})
    );
    assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);

    readiness.set_ready("api-server");
    assert_eq!(
        readyz().await,
        (StatusCode::OK, json!({"ready": true, "waiting": {}}))
    );
    readiness.set_waiting("api-server", "lost");
    assert_eq!(readyz().await.0, StatusCode::SERVICE_UNAVAILABLE);
}
