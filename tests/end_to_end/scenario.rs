//! What people and apps do with claviger, rightly and wrongly, with every secret value of it marked.

use claviger::crd::v1alpha1::OidcClient;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use testbed::browser::form::Form;
use testbed::browser::{Browser, Page};
use testbed::poll;
use testbed::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use url::Url;

use crate::harness::{HOME, PASSWORD, PATIENCE, REDIRECT_URI, SCOPE, Served, USERNAME, World, refused};
use crate::marks::Marks;
use crate::wire;

/// Plays everything. `name` tells the people of one test from those of another.
pub(crate) async fn play(world: &World, served: &Served, name: &str, marks: &mut Marks) {
    marks.add_credential("a password", PASSWORD);
    people(world, name, marks).await;
    let app = served.app("shop", json!({ "displayName": "Sample shop" })).await;
    let secret = app.registration().client_secret.clone().unwrap();
    marks.add_credential("a client secret", &secret);
    marks.add_credential(
        "an Authorization header",
        wire::basic(&app.registration().client_id, &secret),
    );

    let mut person = Person::new(marks);
    let (request, callback) = person.sign_in(&app, USERNAME, PASSWORD, "allow").await;
    let code = app.code(&request, &callback).unwrap();
    let tokens = redeem(&app, &request, &code, person.marks).await;
    let refresh_token = tokens.refresh_token.clone().unwrap();
    userinfo(served, &tokens, person.marks).await;
    let fresh = app.refresh(&refresh_token).await.unwrap().unwrap();
    mark_tokens(&fresh, person.marks);
    assert_eq!(
        refused(app.refresh(&refresh_token).await.unwrap()),
        "invalid_grant"
    );
    assert_eq!(
        refused(app.redeem(&request, &code).await.unwrap()),
        "invalid_grant"
    );
    replay(&app, &mut person).await;
    person.fail_to_sign_in(&app, served).await;
    person.deny(&app).await;
    wrong_credentials(served, &app, &code, person.marks).await;
    malformed(served, &code, person.marks).await;
    person.sign_out(served).await;
    change_clients(world, served, marks).await;
}

/// People whose passwords come to claviger in every way, and one whose password is nothing that it can use.
async fn people(world: &World, name: &str, marks: &mut Marks) {
    let generated = format!("generated-{name}");
    world
        .create_user_with(&generated, json!({ "password": { "generate": true } }))
        .await;
    let entries = world.secret(HOME, &format!("{generated}-password")).await;
    marks.add_credential("a generated password", &entries["password"]);
    let typed = format!("marked own \"pässword\" of {name} +%&<1>");
    marks.add_credential("a password of a Secret", &typed);
    world.create_user(&format!("own-{name}"), &typed).await;
    let broken = "$argon2id$v=19$m=19456,t=2,p=1$bWFya2VkLXNhbHQ$marked-broken-hash";
    marks.add("a hash that is none", broken);
    world.create_user(&format!("broken-{name}"), broken).await;
    let short = "mrk-7ch";
    marks.add_credential("a password that is too short", format!("{short}\u{0}"));
    world.create_user(&format!("short-{name}"), short).await;
}

/// Somebody with a browser. Everything that the browser is given is marked.
struct Person<'a> {
    browser: Browser,
    marks: &'a mut Marks,
}

impl<'a> Person<'a> {
    fn new(marks: &'a mut Marks) -> Self {
        Self {
            browser: Browser::new().unwrap(),
            marks,
        }
    }

    /// A request of the app, answered by this person with a button of the consent page if they are asked.
    async fn sign_in(
        &mut self,
        app: &RelyingParty,
        username: &str,
        password: &str,
        button: &str,
    ) -> (AuthorizationRequest, Url) {
        let request = app
            .authorization_request(SCOPE, &[("prompt", "login consent")])
            .unwrap();
        self.mark_request(&request);
        let page = self.browser.get(&request.url).await.unwrap();
        let page = self.follow(page).await.unwrap();
        let page = self.submit_password(&page, username, password).await;
        let page = self.follow(page).await.unwrap();
        let form = form(&page, |form| form.has_button(button));
        let answer = self.browser.submit(&page, &form, Some(button)).await.unwrap();
        let callback = self.follow(answer).await.unwrap_err();
        (request, callback)
    }

    async fn submit_password(&mut self, page: &Page, username: &str, password: &str) -> Page {
        let mut form = form(page, Form::asks_for_sign_in);
        form.fill("username", username).unwrap();
        form.fill("password", password).unwrap();
        self.browser.submit(page, &form, Some("sign-in")).await.unwrap()
    }

    /// Wrong passwords, also where the name belongs, and a form that somebody has tampered with.
    async fn fail_to_sign_in(&mut self, app: &RelyingParty, served: &Served) {
        let request = app.authorization_request(SCOPE, &[("prompt", "login")]).unwrap();
        self.mark_request(&request);
        let page = self.browser.get(&request.url).await.unwrap();
        let mut page = self.follow(page).await.unwrap();
        for (username, password) in [
            (USERNAME, "marked-wrong-password"),
            ("marked-password-as-name", "marked-wrong-password"),
            ("marked nobody\u{7f}", ""),
        ] {
            page = self.submit_password(&page, username, password).await;
            assert_eq!(page.status, 403);
            self.mark_page(&page);
        }
        self.marks.add("a wrong password", "marked-wrong-password");
        self.marks
            .add("a password as username", "marked-password-as-name");
        self.marks.add("an unknown username", "marked nobody");
        let mut tampered = form(&page, Form::asks_for_sign_in);
        for name in ["csrf_token", "interaction"] {
            let value = format!("{}marked-tampered", tampered.field(name).unwrap().value);
            tampered.fill(name, &value).unwrap();
            let answer = self
                .browser
                .submit(&page, &tampered, Some("sign-in"))
                .await
                .unwrap();
            assert!(answer.status.is_client_error(), "{}", answer.status);
        }
        let port = served.port();
        let cookie = [("Cookie", "claviger-session-x=marked-cookie; marked-cookie")];
        wire::send(
            port,
            &wire::get(port, "/consent?interaction=marked-interaction", &cookie),
        )
        .await;
    }

    async fn deny(&mut self, app: &RelyingParty) {
        let (request, callback) = self.sign_in(app, USERNAME, PASSWORD, "deny").await;
        let error = app.code(&request, &callback).unwrap_err();
        assert!(error.to_string().contains("access_denied"), "{error:#}");
    }

    async fn sign_out(&mut self, served: &Served) {
        let url = served.claviger.url("/logout").parse().unwrap();
        let page = self.browser.get(&url).await.unwrap();
        self.mark_page(&page);
        let form = form(&page, |form| form.has_button("confirm-logout"));
        let answer = self
            .browser
            .submit(&page, &form, Some("confirm-logout"))
            .await
            .unwrap();
        assert!(answer.status.is_success() || answer.status.is_redirection());
    }

    /// Follows redirects to a page; `Err` is the way back to the app.
    async fn follow(&mut self, mut page: Page) -> Result<Page, Url> {
        for _ in 0..10 {
            self.mark_page(&page);
            let Some(location) = page.location() else {
                return Ok(page);
            };
            if location.as_str().starts_with(REDIRECT_URI) {
                return Err(location);
            }
            page = self.browser.get(&location).await.unwrap();
        }
        panic!("redirected in circles, last to {}", page.url)
    }

    fn mark_request(&mut self, request: &AuthorizationRequest) {
        self.marks.add("a state", &request.state);
        self.marks.add("a nonce", &request.nonce);
        self.marks
            .add_credential("a code_verifier", &request.code_verifier);
        self.marks.add("a query string", request.url.query().unwrap());
    }

    /// Cookies, what redirects carry, and the hidden fields of forms.
    fn mark_page(&mut self, page: &Page) {
        for cookie in page.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let value = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
            if !value.is_empty() {
                self.marks.add_credential("a cookie", value);
            }
        }
        if let Some(location) = page.location() {
            for (name, value) in location.query_pairs() {
                if ["code", "interaction", "request"].contains(&name.as_ref()) {
                    self.marks
                        .add_credential(format!("{name} of a redirect"), value.as_bytes());
                }
            }
            if let Some(query) = location.query() {
                self.marks.add("a redirect's query string", query);
            }
        }
        for form in page.forms() {
            for field in &form.fields {
                if ["csrf_token", "interaction"].contains(&field.name.as_str()) {
                    self.marks.add(format!("the field {}", field.name), &field.value);
                }
            }
        }
    }
}

fn form(page: &Page, is: impl Fn(&Form) -> bool) -> Form {
    page.forms()
        .into_iter()
        .find(is)
        .unwrap_or_else(|| panic!("{} answers {}: {}", page.url, page.status, page.text()))
}

fn mark_tokens(tokens: &Tokens, marks: &mut Marks) {
    marks.add_token("an access token", &tokens.access_token);
    marks.add_token("an ID token", tokens.id_token.as_deref().unwrap());
    marks.add_credential("a refresh token", tokens.refresh_token.as_deref().unwrap());
}

async fn redeem(app: &RelyingParty, request: &AuthorizationRequest, code: &str, marks: &mut Marks) -> Tokens {
    let tokens = app.redeem(request, code).await.unwrap().unwrap();
    mark_tokens(&tokens, marks);
    tokens
}

/// The code comes twice while its grant still lives.
async fn replay(app: &RelyingParty, person: &mut Person<'_>) {
    let (request, callback) = person.sign_in(app, USERNAME, PASSWORD, "allow").await;
    let code = app.code(&request, &callback).unwrap();
    redeem(app, &request, &code, person.marks).await;
    assert_eq!(
        refused(app.redeem(&request, &code).await.unwrap()),
        "invalid_grant"
    );
}

/// Userinfo, with the token where it belongs and where it does not.
async fn userinfo(served: &Served, tokens: &Tokens, marks: &mut Marks) {
    let port = served.port();
    let bearer = format!("Bearer {}", tokens.access_token);
    let good = wire::get(port, "/api/userinfo", &[("Authorization", &bearer)]);
    assert_eq!(wire::send(port, &good).await.status, 200);
    let form = [("access_token", tokens.access_token.as_str())];
    assert_eq!(
        wire::send(port, &wire::post(port, "/api/userinfo", &[], &form))
            .await
            .status,
        200
    );
    let target = format!("/api/userinfo?access_token={}", tokens.access_token);
    assert!(wire::send(port, &wire::get(port, &target, &[])).await.status >= 400);
    // One wrong token of each kind.
    let truncated = &tokens.access_token[..tokens.access_token.len() - 4];
    let id_token = tokens.id_token.as_deref().unwrap();
    let refresh_token = tokens.refresh_token.as_deref().unwrap();
    for wrong in [truncated, id_token, refresh_token, "marked-bearer"] {
        let bearer = format!("Bearer {wrong}");
        let reply = wire::send(
            port,
            &wire::get(port, "/api/userinfo", &[("Authorization", &bearer)]),
        )
        .await;
        assert_eq!(reply.status, 401);
    }
    marks.add_credential("a truncated token", truncated);
    marks.add("a wrong bearer token", "marked-bearer");
}

/// Clients that say wrongly who they are.
async fn wrong_credentials(served: &Served, app: &RelyingParty, code: &str, marks: &mut Marks) {
    let port = served.port();
    let path = app.token_endpoint().path();
    let client_id = app.registration().client_id.as_str();
    let secret = app.registration().client_secret.as_deref().unwrap();
    let grant = [("grant_type", "authorization_code"), ("code", code)];
    for (id, wrong) in [
        (client_id, "marked-wrong-secret"),
        (client_id, &secret[..secret.len() - 1]),
        ("marked-unknown-client", "marked-wrong-secret"),
    ] {
        marks.add("a wrong secret", wrong);
        let authorization = wire::basic(id, wrong);
        marks.add("a wrong Authorization header", &authorization);
        let basic = [("Authorization", authorization.as_str())];
        assert_eq!(
            wire::send(port, &wire::post(port, path, &basic, &grant))
                .await
                .status,
            401
        );
        let mut form = grant.to_vec();
        form.extend([("client_id", id), ("client_secret", wrong)]);
        assert_eq!(
            wire::send(port, &wire::post(port, path, &[], &form)).await.status,
            401
        );
    }
    marks.add("an unknown client_id", "marked-unknown-client");
    // Two methods at once, and headers that are none.
    let good = wire::basic(client_id, secret);
    let mut form = grant.to_vec();
    form.push(("client_secret", secret));
    let twice = wire::post(port, path, &[("Authorization", &good)], &form);
    assert!(wire::send(port, &twice).await.status >= 400);
    for header in [
        "Basic marked-header",
        "Bearer marked-header",
        "marked-header",
        "Basic bWFya2VkLWhlYWRlcg==",
    ] {
        let reply = wire::send(
            port,
            &wire::post(port, path, &[("Authorization", header)], &grant),
        )
        .await;
        assert!(reply.status >= 400);
    }
    marks.add("a header that is none", "marked-header");
    for form in [
        vec![("grant_type", "marked-grant-type")],
        vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", "marked-refresh-token"),
        ],
        vec![
            ("grant_type", "authorization_code"),
            ("code", "marked-code"),
            ("code", "marked-code"),
        ],
        vec![("marked-name", "marked-value")],
    ] {
        assert_eq!(wire::send(port, &wire::token(port, app, &form)).await.status, 400);
    }
    for value in [
        "marked-grant-type",
        "marked-refresh-token",
        "marked-code",
        "marked-name",
        "marked-value",
    ] {
        marks.add("a parameter", value);
    }
}

/// Requests that are wrong as HTTP or as forms.
async fn malformed(served: &Served, code: &str, marks: &mut Marks) {
    let port = served.port();
    let long = "marked-long-".repeat(2000);
    let json = "{\"password\": \"marked-json\"}";
    for request in [
        format!("GET /marked-path?marked-query={code} HTTP/1.1\r\nHost: marked-host\r\nConnection: close\r\n\r\n"),
        format!("GET /authorize?client_id=marked-client&redirect_uri=https://marked-host/&code={code} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nmarked header: {code}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer marked\u{1}{code}\r\n\r\n"),
        format!("marked-method-{code}\r\n\r\n"),
        format!("POST /api/token/v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len()),
        "POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\npassword=marked-percent-%zz%f".to_owned(),
        format!("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: marked-length-{code}\r\n\r\n"),
        format!("POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nmarked-chunk-{code}\r\n"),
    ] {
        let reply = wire::try_send(port, request.as_bytes()).await;
        assert!(reply.is_none_or(|reply| reply.status >= 400 && reply.status < 500), "{request}");
    }
    let large = "marked-large-".repeat(6000);
    let reply = wire::try_send(port, &wire::post(port, "/login", &[], &[("password", &large)])).await;
    assert!(reply.is_none_or(|reply| reply.status == 413));
    for value in [
        "marked-path",
        "marked-query",
        "marked-host",
        "marked-client",
        "marked-long-",
        "marked-json",
        "marked-percent",
        "marked-length",
        "marked-chunk",
        "marked-large-",
        "marked-method",
        "marked header",
    ] {
        marks.add("a malformed request", value);
    }
}

/// Clients are changed, suspended and deleted.
async fn change_clients(world: &World, served: &Served, marks: &mut Marks) {
    let other = served
        .register(
            "other",
            json!({ "tokenEndpointAuthMethods": ["client_secret_post"] }),
        )
        .await;
    let secret = other.client_secret.clone().unwrap();
    marks.add_credential("another client secret", &secret);
    let api: Api<OidcClient> = Api::namespaced(world.admin(), &served.namespace);
    let patch = json!({ "spec": { "suspend": true, "description": "Changed" } });
    api.patch("other", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    let port = served.port();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "marked-refresh-token"),
        ("client_id", other.client_id.as_str()),
        ("client_secret", secret.as_str()),
    ];
    // The change, and then the deletion, is in force when the client is nobody any more.
    let refused = async || {
        let reply = wire::send(port, &wire::post(port, "/api/token/v2", &[], &form)).await;
        Ok((reply.status == 401).then_some(()))
    };
    poll::until("a suspended client to be refused", PATIENCE, refused)
        .await
        .unwrap();
    let patch = json!({ "spec": { "suspend": false } });
    api.patch("other", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    poll::until("a client to be accepted again", PATIENCE, async || {
        let reply = wire::send(port, &wire::post(port, "/api/token/v2", &[], &form)).await;
        Ok((reply.status == 400).then_some(()))
    })
    .await
    .unwrap();
    api.delete("other", &DeleteParams::default()).await.unwrap();
    poll::until("a deleted client to be refused", PATIENCE, refused)
        .await
        .unwrap();
}

/// Input that would be lines or terminal codes, if it were written as it is.
pub(crate) async fn forge(served: &Served) {
    let app = served.app("shop", json!({})).await;
    let forged = "x\r\n{\"level\":\"ERROR\",\"forged\":true}\n\u{1b}[31m\u{9b}31m\u{8}forged";
    let mut person_marks = Marks::default();
    let mut person = Person::new(&mut person_marks);
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let page = person.browser.get(&request.url).await.unwrap();
    let page = person.follow(page).await.unwrap();
    let refused = person.submit_password(&page, forged, forged).await;
    assert_eq!(refused.status, 403);
    let port = served.port();
    for name in [
        "grant_type",
        "code",
        "redirect_uri",
        "client_id",
        "refresh_token",
        forged,
    ] {
        let form = [("grant_type", "authorization_code"), (name, forged)];
        assert!(wire::send(port, &wire::token(port, &app, &form)).await.status >= 400);
        assert!(
            wire::send(port, &wire::post(port, "/api/token/v2", &[], &form))
                .await
                .status
                >= 400
        );
    }
    let headers = [
        ("User-Agent", "forged\t\u{1b}[2Jforged"),
        ("Referer", "https://forged.example/"),
        ("X-Request-Id", "forged"),
        ("X-Forwarded-For", "forged"),
    ];
    for target in [
        "/%0d%0aforged",
        "/authorize?client_id=%0d%0aforged%1b",
        "/?forged",
    ] {
        wire::try_send(port, &wire::get(port, target, &headers)).await;
        wire::try_send(port, &wire::get(port, target, &headers[1..])).await;
    }
}
