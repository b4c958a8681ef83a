//! A browser as far as the rules are about one: it keeps cookies, fills in forms and says where they came from. It shows
//! redirects instead of following them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use http::{Method, Request, StatusCode};
use url::{Url, form_urlencoded};

use crate::app::{ISSUER, TestApp, TestResponse, encode};
use crate::fixtures;

/// What a person types.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The parameters of a request that has nothing wrong with it.
pub(crate) const REQUEST: [(&str, &str); 8] = [
    ("response_type", "code"),
    ("client_id", "team-a.shop"),
    ("redirect_uri", fixtures::REDIRECT_URI),
    ("scope", "openid profile"),
    ("state", "state"),
    ("nonce", "nonce"),
    ("code_challenge", fixtures::CODE_CHALLENGE),
    ("code_challenge_method", "S256"),
];

/// [`REQUEST`] with some parameters replaced, added, or (by an empty value) left out.
pub(crate) fn request_with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut parameters: Vec<_> = REQUEST
        .into_iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name))
        .collect();
    parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    parameters
}

/// The browser.
pub(crate) struct Browser<'app> {
    app: &'app TestApp,
    pub(crate) cookies: RefCell<BTreeMap<String, String>>,
    address: Option<IpAddr>,
}

impl<'app> Browser<'app> {
    /// Without cookies.
    pub(crate) fn new(app: &'app TestApp) -> Self {
        Self {
            app,
            cookies: RefCell::default(),
            address: None,
        }
    }

    /// Without cookies, at an address.
    pub(crate) fn at(app: &'app TestApp, address: &str) -> Self {
        Self {
            address: Some(address.parse().unwrap()),
            ..Self::new(app)
        }
    }

    /// Goes to a path.
    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.send(Request::get(path), Body::empty()).await
    }

    /// Sends a form from a page of the issuer.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        self.post_from(Some(ISSUER), path, fields).await
    }

    /// Sends a form from a page of `origin`.
    pub(crate) async fn post_from(
        &self,
        origin: Option<&str>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> TestResponse {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        self.send(request, Body::from(encode(fields))).await
    }

    /// Sends what the test built, with this browser's cookies.
    pub(crate) async fn send(&self, mut request: http::request::Builder, body: Body) -> TestResponse {
        let cookies = self
            .cookies
            .borrow()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if let Some(address) = self.address {
            request = request.extension(ConnectInfo(SocketAddr::from((address, 4711))));
        }
        let response = self.app.send(request.body(body).unwrap()).await;
        for cookie in response.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies
                    .borrow_mut()
                    .insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// Name and value of the cookie whose name contains `what`.
    pub(crate) fn named_cookie(&self, what: &str) -> (String, String) {
        let cookies = self.cookies.borrow();
        let found = cookies.iter().find(|(name, _)| name.contains(what));
        found.map(|(name, value)| (name.clone(), value.clone())).unwrap()
    }

    /// The value of the cookie whose name contains `what`.
    pub(crate) fn cookie(&self, what: &str) -> Option<String> {
        self.cookies
            .borrow()
            .iter()
            .find(|(name, _)| name.contains(what))
            .map(|(_, value)| value.clone())
    }

    /// Comes with [`REQUEST`] and some changes.
    pub(crate) async fn authorize(&self, changes: &[(&str, &str)]) -> TestResponse {
        self.get(&authorize_path(&request_with(changes))).await
    }

    /// Fills in a sign-in form.
    pub(crate) async fn sign_in(&self, page: &TestResponse, username: &str, password: &str) -> TestResponse {
        let form = Form::of(page);
        self.submit(&form, &[("username", username), ("password", password)])
            .await
    }

    /// Sends a form with some fields filled in.
    pub(crate) async fn submit(&self, form: &Form, filled: &[(&str, &str)]) -> TestResponse {
        let mut fields: Vec<_> = form
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| filled.iter().all(|(other, _)| other != name))
            .collect();
        fields.extend(filled);
        self.post(&form.action, &fields).await
    }

    /// Goes where a redirect within the issuer leads.
    pub(crate) async fn follow(&self, response: &TestResponse) -> TestResponse {
        let location = location(response);
        assert!(location.starts_with('/'), "{location}");
        self.get(&location).await
    }

    /// From the consent page's redirect to the answer.
    pub(crate) async fn answer_consent(&self, redirect: &TestResponse, answer: &str) -> TestResponse {
        let page = self.follow(redirect).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        self.submit(&Form::of(&page), &[("answer", answer)]).await
    }

    /// The whole way for `ada`: sign-in, consent, and the parameters that the app gets.
    pub(crate) async fn sign_in_as_ada(&self) -> BTreeMap<String, String> {
        let page = self.authorize(&[]).await;
        let redirect = self.sign_in(&page, "ada", PASSWORD).await;
        let response = if location(&redirect).starts_with("/consent") {
            self.answer_consent(&redirect, "allow").await
        } else {
            redirect
        };
        answered(&response)
    }
}

/// Everything registered that [`Browser::sign_in_as_ada`] needs.
pub(crate) async fn app_with_ada() -> TestApp {
    let app = TestApp::new().await;
    app.register_client("shop", |_| ()).await;
    app.register_user_with_password("ada", PASSWORD).await;
    app
}

/// `/authorize` with these parameters.
pub(crate) fn authorize_path(parameters: &[(&str, &str)]) -> String {
    format!("/authorize?{}", encode(parameters))
}

/// The target of a redirect, which is always a 303.
#[track_caller]
pub(crate) fn location(response: &TestResponse) -> String {
    assert_eq!(response.status, StatusCode::SEE_OTHER, "{}", response.text());
    response.header("location").unwrap().to_owned()
}

/// What the app gets at its redirect URI.
#[track_caller]
pub(crate) fn answered(response: &TestResponse) -> BTreeMap<String, String> {
    let location = location(response);
    let (redirect_uri, _) = location.split_once('?').unwrap();
    assert_eq!(redirect_uri, fixtures::REDIRECT_URI);
    let url = Url::parse(&location).unwrap();
    let parameters: Vec<_> = form_urlencoded::parse(url.query().unwrap().as_bytes())
        .into_owned()
        .collect();
    let map: BTreeMap<_, _> = parameters.iter().cloned().collect();
    assert_eq!(
        map.len(),
        parameters.len(),
        "a parameter is repeated in {location}"
    );
    map
}

/// Asserts that the app gets this error, with `iss` and without a code.
#[track_caller]
pub(crate) fn assert_redirected_error(response: &TestResponse, error: &str) {
    let answer = answered(response);
    assert_eq!(answer.get("error").map(String::as_str), Some(error), "{answer:?}");
    assert_eq!(answer.get("iss").map(String::as_str), Some(ISSUER));
    assert_eq!(answer.get("code"), None);
}

/// Asserts an error page: no redirect, nothing of `raw` repeated.
#[track_caller]
pub(crate) fn assert_error_page(response: &TestResponse, status: StatusCode, raw: &[&str]) {
    let text = response.text();
    assert_eq!(response.status, status, "{text}");
    assert_eq!(response.header("location"), None);
    for id in ["error", "error-description", "request-id"] {
        assert!(text.contains(&format!("id=\"{id}\"")), "no {id} in {text}");
    }
    for raw in raw {
        assert!(!text.contains(raw), "{raw} is repeated in {text}");
    }
}

/// Asserts that the response is the sign-in form.
#[track_caller]
pub(crate) fn assert_sign_in_page(response: &TestResponse) {
    let text = response.text();
    assert_eq!(response.status, StatusCode::OK, "{text}");
    for id in ["username", "password", "sign-in"] {
        assert!(text.contains(&format!("id=\"{id}\"")), "no {id} in {text}");
    }
}

/// The form of a page.
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Form {
    /// Reads the first form of a page, which most have one of.
    #[track_caller]
    pub(crate) fn of(page: &TestResponse) -> Self {
        let text = page.text();
        Self::all_of(page)
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no form in {text}"))
    }

    /// Reads the forms of a page that lead to `action`.
    #[track_caller]
    pub(crate) fn to(page: &TestResponse, action: &str) -> Vec<Self> {
        let mut forms = Self::all_of(page);
        forms.retain(|form| form.action == action);
        forms
    }

    #[track_caller]
    fn all_of(page: &TestResponse) -> Vec<Self> {
        let text = page.text();
        text.split("<form ")
            .skip(1)
            .map(|form| Self::parse(form.split_once("</form>").unwrap().0))
            .collect()
    }

    #[track_caller]
    fn parse(form: &str) -> Self {
        assert_eq!(attribute(form, "method").as_deref(), Some("post"));
        let fields = form
            .split("<input ")
            .skip(1)
            .map(|input| input.split_once('>').unwrap().0)
            .map(|input| {
                let name = attribute(input, "name").unwrap();
                (name, attribute(input, "value").unwrap_or_default())
            })
            .collect();
        Self {
            action: attribute(form, "action").unwrap(),
            fields,
        }
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(candidate, _)| candidate == name);
        &field.unwrap().1
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let unescaped = value
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&");
    Some(unescaped)
}
