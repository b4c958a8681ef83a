//! What is drawn: values that no app sends, and what is done with a request that one would.

use testbed::seed::Seed;

use super::request::{Body, Field, Request};

/// Stands in texts; no page may show it as it is.
pub(super) const MARKUP: &str = "<fuzz q=\"'>";

/// Everything that any endpoint reads.
const NAMES: &[&str] = &[
    "acr_values",
    "answer",
    "assertion",
    "audience",
    "choice",
    "claims",
    "claims_locales",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "csrf_token",
    "device_code",
    "display",
    "dpop_jkt",
    "error",
    "grant_type",
    "id_token_hint",
    "interaction",
    "login_hint",
    "logout_hint",
    "max_age",
    "nonce",
    "password",
    "post_logout_redirect_uri",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type_hint",
    "ui_locales",
    "user_code",
    "username",
];

/// Legal somewhere.
const PLAIN: &[&str] = &[
    "",
    "0",
    "1",
    "S256",
    "allow",
    "another",
    "authorization_code",
    "client_credentials",
    "code",
    "consent",
    "deny",
    "form_post",
    "fragment",
    "http://127.0.0.1/callback",
    "login",
    "none",
    "offline_access",
    "openid",
    "openid profile email address phone groups offline_access",
    "password",
    "plain",
    "query",
    "refresh_token",
    "select_account",
    "token id_token",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:request_uri:x",
    r#"{"userinfo":{"email":{"essential":true}},"id_token":{"sub":{"value":"x"},"acr":{"values":["1"]}}}"#,
];

/// Legal nowhere, or hardly anywhere.
const ODD: &[&str] = &[
    " ",
    "\0",
    "\r\nX-Injected: 1\r\n\r\n",
    "\u{202e}\u{2066}\u{200b}\u{feff}",
    "e\u{301}\u{301}\u{301}🏳️‍🌈ß漢",
    MARKUP,
    "<fuzz q=\"'></script><script>alert(1)</script>",
    "${jndi:ldap://x} {{7*7}} %s%n",
    "../../../../etc/passwd",
    "//evil.example/",
    "/\\evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://user@evil.example:0/#x",
    "http://[::1",
    "-1",
    "18446744073709551616",
    "1e400",
    "NaN",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}}}}}}}}}"#,
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6Ii4uLy4uL3gifQ.eyJpc3MiOjF9.AAAA",
    "....",
    "\u{1}\u{7f}\u{80}",
];

/// Encodings that are none, or that say something else at second sight.
const RAW: &[&[u8]] = &[
    b"%",
    b"%Z1",
    b"%00",
    b"%C0%AF",
    b"%ED%A0%80",
    b"%FF%FE",
    b"%2525",
    b"a;b=c",
    b"a&&&=&b",
    b"%E2%82",
    b"+%20+",
];

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "FUZZ"];

const HEADERS: &[(&str, &[u8])] = &[
    ("Authorization", b"Basic"),
    ("Authorization", b"Basic !!!!"),
    ("Authorization", b"Basic Og=="),
    ("Authorization", b"Basic bm9ib2R5OmE="),
    ("Authorization", b"Bearer"),
    ("Authorization", b"Bearer x y"),
    ("Authorization", b"DPoP x"),
    ("Authorization", b"\xff\xfe"),
    ("Cookie", b"claviger_session=; claviger_browser=\"x"),
    ("Cookie", b"=;;;==; a=b; \x80"),
    ("DPoP", b"eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.x"),
    ("Origin", b"null"),
    ("Origin", b"https://evil.example"),
    ("Sec-Fetch-Site", b"cross-site"),
    ("Content-Type", b"application/json"),
    ("Accept", b"\xf0\x9f"),
    ("Forwarded", b"for=\"[::1]:0\";proto=javascript"),
    ("X-Forwarded-For", b"unknown, 999.1.1.1, ,"),
    ("X-Forwarded-Proto", b"https"),
    ("X-Forwarded-Host", b"evil.example"),
    ("X-Request-Id", b"<fuzz q=\"'>"),
    ("Traceparent", b"00-0-0-0"),
    ("Expect", b"100-continue"),
    ("Range", b"bytes=0-1,5-"),
];

/// Spoils a request: mostly once or twice, sometimes not at all. `values` are real ones of every kind.
pub(super) fn spoil(request: &mut Request, values: &[String], seed: &mut Seed) {
    for _ in 0..[0, 1, 1, 1, 2, 2, 3, 5][seed.below(8)] {
        match seed.below(20) {
            0 => request.method = seed.one(METHODS).to_owned(),
            1 => headers(request, seed),
            2 => path(request, seed),
            3 => body(request, seed),
            4 => {
                let many = [40, 64, 65, 300][seed.below(4)];
                let added: Vec<Field> = (0..many).map(|_| field(values, seed)).collect();
                request.parameters().extend(added);
            }
            5 | 6 => {
                let added = field(values, seed);
                request.parameters().push(added);
            }
            _ => parameter(request, values, seed),
        }
    }
}

fn parameter(request: &mut Request, values: &[String], seed: &mut Seed) {
    let parameters = request.parameters();
    if parameters.is_empty() {
        return parameters.push(field(values, seed));
    }
    let at = seed.below(parameters.len());
    match seed.below(8) {
        0 => {
            parameters.remove(at);
        }
        1 => {
            let again = parameters[at].clone();
            parameters.push(again);
        }
        2 => {
            let mut again = parameters[at].clone();
            again.value = value(values, seed);
            parameters.insert(0, again);
        }
        3 => {
            let name = parameters[at].name.to_ascii_uppercase();
            parameters[at].name = name;
        }
        4 => {
            parameters[at].value = seed.one(RAW).to_vec();
            parameters[at].raw = true;
        }
        5 => alter(&mut parameters[at].value, seed),
        _ => parameters[at].value = value(values, seed),
    }
}

/// One byte more, less or other.
fn alter(value: &mut Vec<u8>, seed: &mut Seed) {
    let byte = u8::try_from(seed.below(256)).unwrap();
    if value.is_empty() {
        return value.push(byte);
    }
    let at = seed.below(value.len());
    match seed.below(4) {
        0 => value[at] = byte,
        1 => value.truncate(at),
        2 => value.insert(at, byte),
        _ => value.push(byte),
    }
}

fn field(values: &[String], seed: &mut Seed) -> Field {
    let name = if seed.percent(10) {
        seed.one(ODD)
    } else {
        seed.one(NAMES)
    };
    Field::new(name, value(values, seed))
}

fn value(values: &[String], seed: &mut Seed) -> Vec<u8> {
    match seed.below(10) {
        0..4 if !values.is_empty() => values[seed.below(values.len())].clone().into(),
        4..7 => seed.one(PLAIN).into(),
        7 => seed.one(ODD).repeat([2, 100, 3_000][seed.below(3)]).into(),
        _ => seed.one(ODD).into(),
    }
}

fn headers(request: &mut Request, seed: &mut Seed) {
    if !request.headers.is_empty() && seed.percent(40) {
        let at = seed.below(request.headers.len());
        match seed.below(3) {
            0 => {
                request.headers.remove(at);
            }
            1 => {
                let again = request.headers[at].clone();
                request.headers.push(again);
            }
            _ => {
                let value = &mut request.headers[at].1;
                value.truncate(seed.below(value.len() + 1));
            }
        }
        return;
    }
    let (name, value) = HEADERS[seed.below(HEADERS.len())];
    request
        .headers
        .push((name.to_owned(), value.repeat([1, 1, 1, 50][seed.below(4)])));
}

fn path(request: &mut Request, seed: &mut Seed) {
    let path = &mut request.path;
    match seed.below(6) {
        0 => path.push('/'),
        1 => path.insert(0, '/'),
        2 => *path = path.to_uppercase(),
        3 => path.push_str("/..%2f%2e%2e/"),
        4 => path.push_str(&"/a".repeat(5_000)),
        _ => *path = path.replacen('a', "%61", 1),
    }
}

fn body(request: &mut Request, seed: &mut Seed) {
    match seed.below(6) {
        0 => request.shortened = 1 + seed.below(20),
        1 => request.body = Body::Other("application/json", b"{\"grant_type\":[[[[[[[[[[[[[[[[[".to_vec()),
        2 => request.body = Body::Other("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--".to_vec()),
        3 => request.body = Body::Other("text/plain", vec![0xff; 100]),
        4 => {
            let huge = vec![b'a'; [1 << 16, (1 << 16) + 1, 1 << 18][seed.below(3)]];
            request.body = Body::Other("application/x-www-form-urlencoded", huge);
        }
        _ => {
            // The form where the query is, and the other way round.
            let form = std::mem::replace(&mut request.body, Body::None);
            let query = std::mem::take(&mut request.query);
            if let Body::Form(form) = form {
                request.query = form;
            }
            if !query.is_empty() {
                request.body = Body::Form(query);
            }
        }
    }
}
