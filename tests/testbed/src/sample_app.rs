//! The smallest app that signs people in, for somebody to click through: one link, one page with the claims.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::ports;
use crate::relying_party::{AuthorizationRequest, RelyingParty};

/// More attempts than this are not remembered; the oldest is forgotten.
const MOST_ATTEMPTS: usize = 100;
const COOKIE_NAME: &str = "sample-app-attempt";
const STYLE: &str = ":root{color-scheme:light dark}body{background:Canvas;color:CanvasText;\
    font:1.1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem}\
    a.button{display:inline-block;padding:.5rem 1rem;border-radius:.4rem;background:#2455c3;color:#fff;\
    text-decoration:none}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem;\
    border-bottom:1px solid #8886;overflow-wrap:anywhere;vertical-align:top}th{overflow-wrap:normal}";

/// The running app. Dropping it closes its port.
pub struct SampleApp {
    port: u16,
    server: JoinHandle<()>,
}

struct App {
    relying_party: RelyingParty,
    scope: String,
    callback: Url,
    /// By state, in order of age.
    attempts: Mutex<Vec<AuthorizationRequest>>,
}

impl SampleApp {
    /// A port and so a redirect URI for an app that is started later.
    pub fn choose_port() -> Result<u16> {
        ports::free()
    }

    /// The redirect URI of an app on this port.
    pub fn redirect_uri(port: u16) -> String {
        format!("http://127.0.0.1:{port}/callback")
    }

    /// Starts it, in the runtime of the caller.
    pub async fn start(port: u16, relying_party: RelyingParty, scope: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .context("failed to listen for the app")?;
        let app = Arc::new(App {
            relying_party,
            scope: scope.to_owned(),
            callback: Self::redirect_uri(port).parse()?,
            attempts: Mutex::default(),
        });
        let router = Router::new()
            .route("/", get(home))
            .route("/sign-in", get(sign_in))
            .route("/callback", get(callback))
            .with_state(app);
        let server = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, server })
    }

    /// Where a person begins.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for SampleApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn home() -> Html<String> {
    page(
        "Sample app",
        "<p>Nobody is signed in here.</p><p><a class=button id=sign-in href=/sign-in>Sign in</a></p>",
    )
}

async fn sign_in(State(app): State<Arc<App>>) -> Response {
    match app.relying_party.authorization_request(&app.scope, &[]) {
        Ok(attempt) => {
            let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax", attempt.state);
            let to = Redirect::to(attempt.url.as_str());
            app.remember(attempt);
            ([(SET_COOKIE, cookie)], to).into_response()
        }
        Err(error) => failure(&error),
    }
}

async fn callback(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut url = app.callback.clone();
    url.set_query(uri.query());
    match app.finish(&url, &headers).await {
        Ok(claims) => page(
            "You are signed in",
            &table(&claims, &app.relying_party.sign_out_url()),
        )
        .into_response(),
        Err(error) => failure(&error),
    }
}

impl App {
    fn remember(&self, attempt: AuthorizationRequest) {
        let mut attempts = self
            .attempts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if attempts.len() >= MOST_ATTEMPTS {
            attempts.remove(0);
        }
        attempts.push(attempt);
    }

    /// The attempt that this browser began, once.
    fn recall(&self, headers: &HeaderMap) -> Option<AuthorizationRequest> {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let state = cookies
            .flat_map(|cookies| cookies.split("; "))
            .find_map(|cookie| cookie.strip_prefix(COOKIE_NAME)?.strip_prefix('='))?;
        let mut attempts = self
            .attempts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = attempts.iter().position(|attempt| attempt.state == state)?;
        Some(attempts.remove(at))
    }

    async fn finish(&self, callback: &Url, headers: &HeaderMap) -> Result<BTreeMap<String, Value>> {
        let attempt = self
            .recall(headers)
            .context("this browser began no sign-in here: go back to the start")?;
        let code = self.relying_party.code(&attempt, callback)?;
        let tokens = self.relying_party.redeem(&attempt, &code).await??;
        let id_token = self
            .relying_party
            .verify_id_token(&tokens, Some(&attempt.nonce))
            .await?;
        let subject = id_token["sub"].as_str().unwrap_or_default();
        let userinfo = self.relying_party.userinfo(&tokens.access_token, subject).await?;
        let all = [id_token, userinfo]
            .into_iter()
            .filter_map(|claims| claims.as_object().cloned());
        Ok(all.flatten().collect())
    }
}

fn table(claims: &BTreeMap<String, Value>, sign_out: &str) -> String {
    let rows = claims.iter().map(|(name, value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        // On a narrow screen a name may be broken, but only behind its underscores.
        let name = escape(name).replace('_', "_<wbr>");
        format!("<tr><th scope=row>{name}<td>{}", escape(&value))
    });
    format!(
        "<p>This is what claviger tells the app about you.</p><table id=claims>{}</table>\
        <p><a href=/>Back to the start</a> · <a id=sign-out href=\"{}\">Sign out of claviger</a></p>",
        rows.collect::<String>(),
        escape(sign_out)
    )
}

fn failure(error: &anyhow::Error) -> Response {
    let body = format!(
        "<p id=error>{}</p><p><a href=/>Back to the start</a></p>",
        escape(&format!("{error:#}"))
    );
    (StatusCode::BAD_REQUEST, page("That did not work", &body)).into_response()
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
        <title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
