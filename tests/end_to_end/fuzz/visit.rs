//! A visit of a person to an app, byte by byte: what it sends, and what it could have sent, is what requests are drawn from.

use std::collections::BTreeMap;

use testbed::browser::form::{self, Form};
use testbed::relying_party::{AuthorizationRequest, Registration, RelyingParty, Tokens};
use url::Url;

use super::request::{Body, Request};
use crate::harness::{REDIRECT_URI, SCOPE};
use crate::wire::{self, Reply};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Where the app wants its people after they signed out.
pub(super) const SIGNED_OUT_URI: &str = "https://app.example.org/signed-out";

/// Requests that are right, and values of every kind that they hold.
#[derive(Default)]
pub(super) struct Material {
    pub(super) requests: Vec<Request>,
    pub(super) values: Vec<String>,
}

/// A person at a browser that remembers what it sends.
struct Person<'a> {
    port: u16,
    username: &'a str,
    password: &'a str,
    cookies: BTreeMap<String, String>,
    material: Material,
}

/// Signs in, and collects.
pub(super) async fn collect(app: &RelyingParty, port: u16, username: &str, password: &str) -> Material {
    let mut person = Person {
        port,
        username,
        password,
        cookies: BTreeMap::new(),
        material: Material::default(),
    };
    let (request, code) = person.sign_in(app).await;
    let tokens = app.redeem(&request, &code).await.unwrap().unwrap();
    // What was redeemed and what was used stays among the values.
    let spent = tokens.refresh_token.clone().unwrap();
    let tokens = app.refresh(&spent).await.unwrap().unwrap();
    person.material.values.extend([code, spent]);
    person.leave_open(app).await;
    let (request, code) = person.sign_in(app).await;
    person.ask_for_tokens(app, &request, &code, &tokens);
    person.push(app).await;
    person.use_device(app).await;
    person.account().await;
    person.sign_out(app, &tokens).await;
    for path in [
        "/",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
    ] {
        person.material.requests.push(Request::get(path));
    }
    let cookies: Vec<String> = person.cookies.values().cloned().collect();
    person.material.values.extend(cookies);
    person.material
}

impl Person<'_> {
    fn with_cookies(&self, request: Request) -> Request {
        if self.cookies.is_empty() {
            return request;
        }
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request.header("Cookie", cookies.join("; "))
    }

    /// What the browser would send when this form is submitted.
    fn submission(&self, path: &str, form: &Form, button: Option<&str>) -> Request {
        let fields = form.submission(button).unwrap();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let action = if form.action.is_empty() {
            path
        } else {
            &form.action
        };
        let request = Request::post(action, &fields)
            .header("Origin", format!("http://127.0.0.1:{}", self.port))
            .header("Sec-Fetch-Site", "same-origin");
        self.with_cookies(request)
    }

    async fn send(&mut self, request: Request) -> Reply {
        let reply = wire::send(self.port, &request.encode(self.port)).await;
        for cookie in reply.headers("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        self.material.requests.push(request);
        reply
    }

    /// Goes on until there is a page, or until the browser is sent to the app.
    async fn go(&mut self, request: Request) -> Result<(String, Reply), Url> {
        let mut path = request.path.clone();
        let mut reply = self.send(request).await;
        while (300..400).contains(&reply.status) {
            let location = reply.header("location").to_owned();
            if location.starts_with(REDIRECT_URI) {
                return Err(location.parse().unwrap());
            }
            assert!(location.starts_with('/'), "a redirect to {location}");
            path.clone_from(&location);
            reply = self.send(self.with_cookies(Request::get(&location))).await;
        }
        Ok((path, reply))
    }

    fn authorize(&self, app: &RelyingParty, more: &[(&str, &str)]) -> (AuthorizationRequest, Request) {
        let request = app.authorization_request(SCOPE, more).unwrap();
        let path = format!("{}?{}", request.url.path(), request.url.query().unwrap());
        (request, self.with_cookies(Request::get(&path)))
    }

    async fn sign_in(&mut self, app: &RelyingParty) -> (AuthorizationRequest, String) {
        let (request, first) = self.authorize(app, &[]);
        let mut next = first;
        loop {
            let (path, reply) = match self.go(next).await {
                Err(callback) => {
                    let code = app.code(&request, &callback).unwrap();
                    return (request, code);
                }
                Ok(page) => page,
            };
            next = self.answer(&path, &reply);
        }
    }

    /// The right answer to a page.
    fn answer(&self, path: &str, page: &Reply) -> Request {
        let forms = form::forms(&page.body);
        if let Some(mut form) = forms.iter().find(|form| form.asks_for_sign_in()).cloned() {
            form.fill("username", self.username).unwrap();
            form.fill("password", self.password).unwrap();
            return self.submission(path, &form, Some("sign-in"));
        }
        let form = forms.iter().find(|form| form.has_button("allow"));
        let form =
            form.unwrap_or_else(|| panic!("{path} asks neither for a password nor for consent: {page:?}"));
        self.submission(path, form, Some("allow"))
    }

    /// Pages that wait for an answer, which is not given: to sign in again, to consent again, to choose an account.
    async fn leave_open(&mut self, app: &RelyingParty) {
        for prompt in ["login", "consent", "select_account"] {
            let (_, request) = self.authorize(app, &[("prompt", prompt)]);
            let posted = Request {
                method: "POST".to_owned(),
                body: Body::Form(request.query.clone()),
                query: Vec::new(),
                ..request.clone()
            };
            for request in [request, posted] {
                let (path, page) = self.go(request).await.unwrap();
                self.offer_forms(&path, &page);
            }
        }
    }

    /// Every way to submit every form of a page, as something that could be sent.
    fn offer_forms(&mut self, path: &str, page: &Reply) {
        for form in form::forms(&page.body) {
            let buttons = form.buttons.iter().map(|button| Some(button.id.as_str()));
            let buttons = buttons.filter(|id| *id != Some(""));
            for button in buttons.chain([None]) {
                let request = self.submission(path, &form, button);
                self.material.requests.push(request);
            }
            let hidden = form.fields.into_iter().map(|field| field.value);
            self.material
                .values
                .extend(hidden.filter(|value| !value.is_empty()));
        }
    }

    /// What apps and APIs send in their own name.
    fn ask_for_tokens(
        &mut self,
        app: &RelyingParty,
        request: &AuthorizationRequest,
        code: &str,
        tokens: &Tokens,
    ) {
        let registration = app.registration();
        let (id, secret) = (
            &registration.client_id,
            registration.client_secret.as_deref().unwrap(),
        );
        let refresh_token = tokens.refresh_token.as_deref().unwrap();
        let id_token = tokens.id_token.as_deref().unwrap();
        let access_token = tokens.access_token.as_str();
        let basic = wire::basic(id, secret);
        let token = app.token_endpoint().path();
        let redeem = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", &request.code_verifier),
        ];
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let own = [("grant_type", "client_credentials")];
        let mut forms: Vec<(&str, Vec<(&str, &str)>)> = vec![
            (token, redeem.to_vec()),
            (token, refresh.to_vec()),
            (token, own.to_vec()),
        ];
        for endpoint in ["/api/introspect", "/api/revoke"] {
            for value in [access_token, refresh_token, id_token] {
                forms.push((
                    endpoint,
                    vec![("token", value), ("token_type_hint", "access_token")],
                ));
            }
        }
        for (path, mut form) in forms {
            let by_header = Request::post(path, &form).header("Authorization", basic.clone());
            form.extend([("client_id", id.as_str()), ("client_secret", secret)]);
            self.material
                .requests
                .extend([by_header, Request::post(path, &form)]);
        }
        let bearer = format!("Bearer {access_token}");
        self.material.requests.extend([
            Request::get("/api/userinfo").header("Authorization", bearer.clone()),
            Request::post("/api/userinfo", &[]).header("Authorization", bearer),
            Request::post("/api/userinfo", &[("access_token", access_token)]),
        ]);
        let values = [
            id,
            secret,
            code,
            &request.code_verifier,
            &request.state,
            &request.nonce,
        ];
        self.material.values.extend(values.map(ToOwned::to_owned));
        let tokens = [refresh_token, id_token, access_token];
        self.material.values.extend(tokens.map(str::to_owned));
    }

    /// An app pushes its request, and the browser comes with the name for it, to sign in anew.
    async fn push(&mut self, app: &RelyingParty) {
        let id = app.registration().client_id.as_str();
        let request = app.authorization_request(SCOPE, &[("prompt", "login")]).unwrap();
        let form: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        let pushed = self.as_client(app, Request::post("/api/par", &form)).await;
        let request_uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
        let by_name = [("client_id", id), ("request_uri", &request_uri)];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(by_name)
            .finish();
        let request = self.with_cookies(Request::get(&format!("/authorize?{query}")));
        let (path, page) = self.go(request).await.unwrap();
        self.offer_forms(&path, &page);
        self.material.values.push(request_uri);
    }

    /// A device begins and asks, and its code is typed; nobody allows what it asks for.
    async fn use_device(&mut self, app: &RelyingParty) {
        let begin = Request::post("/api/device", &[("scope", SCOPE)]);
        let told = self.as_client(app, begin).await.json();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let (device_code, user_code) = (text("device_code"), text("user_code"));
        let poll = [("grant_type", DEVICE_CODE), ("device_code", device_code.as_str())];
        self.as_client(app, Request::post(app.token_endpoint().path(), &poll))
            .await;
        let typed = self.with_cookies(Request::get(&format!("/device?user_code={user_code}")));
        let (path, page) = self.go(typed).await.unwrap();
        self.offer_forms(&path, &page);
        let form = form::forms(&page.body).into_iter().next().unwrap();
        // Where earlier rounds guessed too much, nobody looks at this one.
        let (path, page) = self
            .go(self.submission(&path, &form, Some("continue")))
            .await
            .unwrap();
        self.offer_forms(&path, &page);
        self.material.values.extend([device_code, user_code]);
    }

    /// Sends what an app sends in its own name.
    async fn as_client(&mut self, app: &RelyingParty, request: Request) -> Reply {
        let Registration {
            client_id,
            client_secret,
            ..
        } = app.registration();
        let basic = wire::basic(client_id, client_secret.as_deref().unwrap());
        self.send(request.header("Authorization", basic)).await
    }

    async fn account(&mut self) {
        for path in ["/account", "/account/password"] {
            let (path, page) = self.go(self.with_cookies(Request::get(path))).await.unwrap();
            self.offer_forms(&path, &page);
        }
    }

    /// The app's request to sign out, with all it may say and with nothing, and the person's answer; none is sent but the
    /// one that is asked about.
    async fn sign_out(&mut self, app: &RelyingParty, tokens: &Tokens) {
        let form = [
            ("id_token_hint", tokens.id_token.as_deref().unwrap()),
            ("client_id", &app.registration().client_id),
            ("post_logout_redirect_uri", SIGNED_OUT_URI),
            ("state", "of the app"),
            ("logout_hint", self.username),
            ("ui_locales", "de en"),
        ];
        let posted = self.with_cookies(Request::post("/logout", &form));
        let asked = Request {
            method: "GET".to_owned(),
            query: posted.clone().parameters().clone(),
            body: Body::None,
            ..posted.clone()
        };
        self.material.requests.extend([posted, asked]);
        let (path, page) = self.go(self.with_cookies(Request::get("/logout"))).await.unwrap();
        self.offer_forms(&path, &page);
        // Still signed in: nobody has confirmed.
        assert_eq!(page.status, 200);
    }
}
