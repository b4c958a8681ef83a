//! What only a real browser shows: forms that are posted by a script, and which cookies are sent along from another site.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::tools;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::clients::{App, web_callback, web_signed_out};
use crate::flow::Request;
use crate::harness::Skipped;
use crate::stage::Stage;
use crate::wire::{same, text};

tests![
    chromium_posts_the_answer_to_the_app,
    chromium_posts_an_error_to_the_app,
    chromium_is_known_when_an_app_posts_its_request,
    chromium_is_signed_out_by_a_link_of_the_app,
    chromium_is_signed_out_by_a_form_of_the_app,
];

/// An app at a port of its own, and Ada at a Chromium.
struct Web {
    stage: &'static Stage,
    app: &'static App,
    port: u16,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Ends Chromium and itself when its input does, which is with this at the latest.
    _node: Child,
}

impl Web {
    /// Starts both. `number` is this test's own.
    fn start(stage: &'static Stage, number: usize) -> Result<Self> {
        let found = tools::chromium().and_then(|chromium| Ok((chromium, tools::browser_packages()?)));
        let (chromium, packages) = match found {
            Ok(found) => found,
            Err(error) => {
                let reason = format!("{error:#}");
                // With CI=true nothing may be missing.
                tools::skip("Chromium", error)?;
                return Err(Skipped(reason).into());
            }
        };
        let port = stage.web_ports[number];
        let plan = json!({
            "issuer": stage.issuer(),
            "port": port,
            "certificate": stage.certificate,
            "chromium": chromium,
            "packages": packages,
            "username": stage.people.ada.username,
            "password": stage.people.ada.password,
        });
        let mut node = Command::new("node")
            .arg(tools::root().join("tests/conformance/browser.mjs"))
            .env("CONFORMANCE_PLAN", plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Profiles and whatever else a browser writes.
            .env("HOME", stage.folder.path())
            .env("TMPDIR", stage.folder.path())
            .spawn()
            .context("failed to start node")?;
        let input = node.stdin.take().context("node has no input")?;
        let output = node.stdout.take().context("node has no output")?;
        Ok(Self {
            stage,
            app: &stage.apps.web,
            port,
            input,
            output: BufReader::new(output).lines(),
            _node: node,
        })
    }

    /// An authorization request of this app.
    fn request(&self) -> Result<Request> {
        Ok(Request::new(self.app)?.with("redirect_uri", &web_callback(self.port)))
    }

    /// Has something done, and gives what came of it.
    async fn step(&mut self, step: Value) -> Result<Value> {
        self.input.write_all(format!("{step}\n").as_bytes()).await?;
        let line = self
            .output
            .next_line()
            .await?
            .with_context(|| format!("Chromium ended at {step}"))?;
        let result: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        anyhow::ensure!(result.get("failed").is_none(), "{step}: {}", result["failed"]);
        Ok(result)
    }

    async fn open(&mut self, url: &str) -> Result<Value> {
        self.step(json!({ "step": "open", "url": url })).await
    }

    async fn post(&mut self, url: &str, fields: &Value) -> Result<Value> {
        self.step(json!({ "step": "post", "url": url, "fields": fields }))
            .await
    }

    /// Signs in and gives the ID token that the app gets.
    async fn sign_in(&mut self) -> Result<String> {
        let request = self.request()?;
        let result = self.open(request.url(self.stage)?.as_str()).await?;
        let arrival = arrival(&result)?;
        same("the method", text(arrival, "method")?, "GET")?;
        let code = parameter(text(arrival, "query")?, "code").context("the app got no code")?;
        let tokens = self.redeem(&code).await?;
        self.app.verify(self.stage, &tokens, request.get("nonce")).await?;
        Ok(text(&tokens, "id_token")?.to_owned())
    }

    async fn redeem(&self, code: &str) -> Result<Value> {
        let callback = web_callback(self.port);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
        ];
        self.app.token(self.stage, &form).await?.success()
    }

    /// Whether claviger knows who is there.
    async fn is_signed_in(&mut self) -> Result<bool> {
        let request = self.request()?.with("prompt", "none");
        let result = self.open(request.url(self.stage)?.as_str()).await?;
        let query = text(arrival(&result)?, "query")?;
        match parameter(query, "error").as_deref() {
            None => Ok(true),
            Some("login_required") => Ok(false),
            Some(other) => anyhow::bail!("the app is told {other}"),
        }
    }
}

/// The one request that reached the app.
fn arrival(result: &Value) -> Result<&Value> {
    let arrivals = result["arrivals"]
        .as_array()
        .context("nothing is said of arrivals")?;
    same("the number of requests to the app", arrivals.len(), 1)?;
    Ok(&arrivals[0])
}

fn parameter(encoded: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(encoded.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// What the app was posted, as the specification of `form_post` has it.
fn posted(result: &Value) -> Result<&str> {
    let arrival = arrival(result)?;
    same("the method", text(arrival, "method")?, "POST")?;
    same("the path", text(arrival, "path")?, "/callback")?;
    same("the query", text(arrival, "query")?, "")?;
    same(
        "the media type",
        text(arrival, "contentType")?,
        "application/x-www-form-urlencoded",
    )?;
    text(arrival, "body")
}

async fn chromium_posts_the_answer_to_the_app(stage: &'static Stage) -> Result<()> {
    let mut web = Web::start(stage, 0)?;
    let odd = "\"'><script>alert(1)</script>&amp;+%2B =é中";
    let request = web
        .request()?
        .with("response_mode", "form_post")
        .with("state", odd);
    let result = web.open(request.url(stage)?.as_str()).await?;
    let body = posted(&result)?;
    same("the state", parameter(body, "state").as_deref(), Some(odd))?;
    same("iss", parameter(body, "iss"), Some(stage.issuer()))?;
    let code = parameter(body, "code").context("no code")?;
    let tokens = web.redeem(&code).await?;
    web.app.verify(stage, &tokens, request.get("nonce")).await?;
    Ok(())
}

async fn chromium_posts_an_error_to_the_app(stage: &'static Stage) -> Result<()> {
    let mut web = Web::start(stage, 1)?;
    let request = web
        .request()?
        .with("response_mode", "form_post")
        .with("prompt", "none");
    let result = web.open(request.url(stage)?.as_str()).await?;
    same("what the person is asked", &result["asked"], &json!([]))?;
    let body = posted(&result)?;
    same(
        "the error",
        parameter(body, "error").as_deref(),
        Some("login_required"),
    )?;
    same(
        "the state",
        parameter(body, "state").as_deref(),
        request.get("state"),
    )?;
    same("the code", parameter(body, "code"), None)
}

/// A POST from another site comes without the session's cookie, so that claviger has to ask the browser again.
async fn chromium_is_known_when_an_app_posts_its_request(stage: &'static Stage) -> Result<()> {
    let mut web = Web::start(stage, 2)?;
    web.sign_in().await?;
    let request = web.request()?;
    let fields: Value = request
        .parameters()
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let endpoint = stage.endpoint("authorization_endpoint")?;
    let result = web.post(endpoint, &fields).await?;
    same("what the person is asked", &result["asked"], &json!([]))?;
    let query = text(arrival(&result)?, "query")?;
    same(
        "the state",
        parameter(query, "state").as_deref(),
        request.get("state"),
    )?;
    let code = parameter(query, "code").context("no code")?;
    web.redeem(&code).await?;
    let cookies = web.step(json!({ "step": "cookies" })).await?;
    let cookies = cookies["cookies"].as_array().context("no cookies")?;
    anyhow::ensure!(!cookies.is_empty(), "the browser keeps no cookie");
    for cookie in cookies {
        anyhow::ensure!(
            cookie["secure"] == true && cookie["httpOnly"] == true && cookie["sameSite"] == "Lax",
            "a cookie is sent along to others, or read by scripts: {cookie}"
        );
    }
    Ok(())
}

fn fields(web: &Web, id_token: &str) -> Value {
    json!({
        "id_token_hint": id_token,
        "post_logout_redirect_uri": web_signed_out(web.port),
        "state": "a b&c",
    })
}

/// Back at the app with the state and nothing else, and unknown to claviger.
async fn is_signed_out(web: &mut Web, result: &Value) -> Result<()> {
    same("what the person is asked", &result["asked"], &json!([]))?;
    let arrival = arrival(result)?;
    same("the method", text(arrival, "method")?, "GET")?;
    same("the path", text(arrival, "path")?, "/signed-out")?;
    let parameters: Vec<_> = url::form_urlencoded::parse(text(arrival, "query")?.as_bytes())
        .into_owned()
        .collect();
    same(
        "what the browser brings",
        parameters,
        vec![("state".to_owned(), "a b&c".to_owned())],
    )?;
    anyhow::ensure!(!web.is_signed_in().await?, "the session goes on");
    Ok(())
}

async fn chromium_is_signed_out_by_a_link_of_the_app(stage: &'static Stage) -> Result<()> {
    let mut web = Web::start(stage, 3)?;
    let id_token = web.sign_in().await?;
    anyhow::ensure!(web.is_signed_in().await?, "there is no session to end");
    let mut url: url::Url = stage.endpoint("end_session_endpoint")?.parse()?;
    for (name, value) in fields(&web, &id_token).as_object().context("no fields")? {
        url.query_pairs_mut()
            .append_pair(name, value.as_str().unwrap_or_default());
    }
    let result = web.open(url.as_str()).await?;
    is_signed_out(&mut web, &result).await
}

async fn chromium_is_signed_out_by_a_form_of_the_app(stage: &'static Stage) -> Result<()> {
    let mut web = Web::start(stage, 4)?;
    let id_token = web.sign_in().await?;
    anyhow::ensure!(web.is_signed_in().await?, "there is no session to end");
    let fields = fields(&web, &id_token);
    let result = web.post(stage.endpoint("end_session_endpoint")?, &fields).await?;
    is_signed_out(&mut web, &result).await
}
