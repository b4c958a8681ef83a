//! The serving end of the socket: one request a connection, each of them bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::report::{ErrorReport, RotateKeys, RotateRequest};
use super::socket::AdminSocket;
use super::{Administration, Refusal};

/// The paths of what can be asked.
pub(super) const KEYS: &str = "/keys";
pub(super) const ROTATE: &str = "/keys/rotate";
pub(super) const DOCTOR: &str = "/doctor";
pub(super) const SUBJECTS: &str = "/subjects";

/// Requests at a time; more wait.
const CONNECTIONS: usize = 4;
/// From the connection to its end, the answer included.
const TIMEOUT: Duration = Duration::from_mins(2);
/// For the head of a request, and again for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The smallest that the library takes; no head of ours is near it.
const BUFFER: usize = 8 * 1024;
const BODY: usize = 4 * 1024;

type Shared = Arc<dyn Administration>;

/// Answers until `stop` is cancelled.
pub async fn serve(socket: AdminSocket, administration: Shared, stop: CancellationToken) {
    let router = router(administration);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, socket.listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    let _place = place;
                    if tokio::time::timeout(TIMEOUT, answer(stream, router))
                        .await
                        .is_err()
                    {
                        tracing::warn!("a request over the administration socket took too long");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the administration socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    // A rotation that was begun is finished or found again; nobody waits for an answer at the end.
    connections.shutdown().await;
}

async fn answer(stream: UnixStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_buf_size(BUFFER)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the administration socket ended early");
    }
}

fn router(administration: Shared) -> Router {
    Router::new()
        .route(KEYS, get(keys))
        .route(ROTATE, post(rotate))
        .route(DOCTOR, get(doctor))
        .route(SUBJECTS, get(subjects))
        .fallback(async || {
            let unknown = "this claviger does not know what was asked; use the claviger of the same version";
            error(StatusCode::NOT_FOUND, unknown)
        })
        .with_state(administration)
}

async fn keys(State(administration): State<Shared>) -> Response {
    respond(administration.keys().await)
}

async fn rotate(State(administration): State<Shared>, body: Body) -> Response {
    if body.size_hint().lower() > BODY as u64 {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
    }
    let body = match tokio::time::timeout(READ_TIMEOUT, to_bytes(body, BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request is too large or broke off",
            );
        }
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the request does not end"),
    };
    match serde_json::from_slice::<RotateRequest>(&body).map(|request| request.keys) {
        Ok(RotateKeys::Signing) => respond(administration.rotate_signing_keys().await),
        Ok(RotateKeys::Master) => respond(administration.rotate_master_key().await),
        Err(_) => error(
            StatusCode::BAD_REQUEST,
            r#"write {"keys": "signing"} or {"keys": "master"}"#,
        ),
    }
}

async fn doctor(State(administration): State<Shared>) -> Response {
    respond(Ok(administration.doctor().await))
}

async fn subjects(State(administration): State<Shared>) -> Response {
    respond(administration.subjects().await)
}

fn respond(result: Result<impl Serialize, Refusal>) -> Response {
    match result {
        Ok(report) => json(StatusCode::OK, &report),
        Err(Refusal(reason)) => error(StatusCode::CONFLICT, &reason),
    }
}

fn error(status: StatusCode, reason: &str) -> Response {
    let error = reason.to_owned();
    json(status, &ErrorReport { error })
}

fn json(status: StatusCode, report: &impl Serialize) -> Response {
    let written = serde_json::to_vec(report).map_err(io::Error::other);
    match written {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
