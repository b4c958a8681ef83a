//! Schemas of fields that need more than the derive says: bounds, sets, and CEL rules on the single item, so that a
//! refusal names the item.
//!
//! The API server counts the worst cost of every rule from these bounds; an unbounded list or string gets the whole CRD
//! refused.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::duration::DurationText;

/// Control characters, and the marks that turn the direction of text: what a person reads on the consent page must be
/// what the registrant wrote.
const NO_CONTROL: &str = r"!self.matches(r'[\p{Cc}\x{202A}-\x{202E}\x{2066}-\x{2069}]')";

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

fn text(max_length: u32) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": max_length,
        "x-kubernetes-validations": [
            rule(NO_CONTROL, "must not hold control characters or marks that turn the direction of text"),
        ],
    })
}

fn set(items: &Value, max_items: u32) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": max_items,
        "items": items,
        "x-kubernetes-list-type": "set",
    })
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

/// A name that people read.
pub(super) fn display_name(_: &mut SchemaGenerator) -> Schema {
    schema(text(128))
}

/// A sentence that people read.
pub(super) fn description(_: &mut SchemaGenerator) -> Schema {
    schema(text(512))
}

/// A text of several lines that people read.
pub(super) fn lines(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 512,
        "x-kubernetes-validations": [rule(
            r"!self.matches(r'[\x{00}-\x{09}\x{0B}-\x{1F}\x{7F}-\x{9F}\x{202A}-\x{202E}\x{2066}-\x{2069}]')",
            "must not hold control characters other than line feeds, or marks that turn the direction of text",
        )],
    })
}

/// A string that a CEL regular expression describes.
fn matching(max_length: u32, regex: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": max_length,
        "x-kubernetes-validations": [rule(&format!("self.matches(r\"{regex}\")"), message)],
    })
}

/// A link.
pub(super) fn web_address(_: &mut SchemaGenerator) -> Schema {
    matching(
        2048,
        r"^https?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]*)?$",
        "must be a URL with https or http, like https://example.org/ada",
    )
}

/// A day, a day of any year, or a year (OpenID Connect Core section 5.1).
pub(super) fn birthdate(_: &mut SchemaGenerator) -> Schema {
    matching(
        10,
        "^[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$",
        "must be a day like 1815-12-10 or 0000-12-10, or a year like 1815",
    )
}

/// A name of the time zone database.
pub(super) fn zoneinfo(_: &mut SchemaGenerator) -> Schema {
    matching(
        64,
        "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$",
        "must be the name of a time zone, like Europe/Berlin",
    )
}

/// A language tag (RFC 5646 section 2.1).
pub(super) fn locale(_: &mut SchemaGenerator) -> Schema {
    matching(
        35,
        "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
        "must be a language tag like de-CH",
    )
}

/// A number of E.164 with the separators that people write.
pub(super) fn phone_number(_: &mut SchemaGenerator) -> Schema {
    matching(
        48,
        r"^\+([ ().-]*[0-9]){4,15}(;ext=[0-9]{1,10})?$",
        "must be an international phone number like +1 (425) 555-1212",
    )
}

/// Names of groups.
pub(super) fn groups(_: &mut SchemaGenerator) -> Schema {
    set(&text(128), 256)
}

/// Usernames in a list.
pub(super) fn usernames(_: &mut SchemaGenerator) -> Schema {
    set(&username_value(), 256)
}

/// One username: lower-case ASCII, so that no two accounts differ in case alone or in a Unicode form.
pub(super) fn username(_: &mut SchemaGenerator) -> Schema {
    schema(username_value())
}

fn username_value() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [rule(
            "self.matches('^[a-z0-9][a-z0-9._@+-]*$')",
            "must be lower-case letters, digits and . _ @ + -, and begin with a letter or digit",
        )],
    })
}

/// `sub`: at most 255 ASCII characters (OpenID Connect Core section 2).
pub(super) fn subject(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "x-kubernetes-validations": [
            rule("self.matches('^[!-~]+$')", "must be printable ASCII without spaces"),
        ],
    })
}

/// An address of the usual form.
pub(super) fn email(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 3,
        "maxLength": 254,
        "x-kubernetes-validations": [rule(
            r"self.matches(r'^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$')",
            "must be an address like name@example.org",
        )],
    })
}

/// The seconds of a duration like 90s, 10m, 14d, as a CEL expression.
pub(super) fn seconds(duration: &str) -> String {
    format!(
        "int({duration}.substring(0, size({duration}) - 1)) * {{'s': 1, 'm': 60, 'h': 3600, \
         'd': 86400}}[{duration}.substring(size({duration}) - 1)]"
    )
}

/// The lifetime of a token that a signing key signed. A text that is no duration is told by its pattern alone.
pub(super) fn signed_lifetime(generator: &mut SchemaGenerator) -> Schema {
    let seconds = seconds("self");
    let mut schema = DurationText::json_schema(generator);
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([rule(
            &format!("!self.matches('^[0-9]{{1,6}}[smhd]$') || ({seconds} > 0 && {seconds} <= 86400)"),
            "must be longer than 0 and at most 24h; for longer the app refreshes, within refreshTokenLifetime",
        )]),
    );
    schema
}

/// A `client_id`: what needs no encoding in a URI (RFC 3986 section 2.3), so that it looks the same everywhere.
pub(super) fn client_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "x-kubernetes-validations": [rule(
            "self.matches('^[A-Za-z0-9._~-]+$')",
            "must hold only letters, digits and - . _ ~",
        )],
    })
}

/// The name of a Secret.
pub(super) fn secret_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "x-kubernetes-validations": [rule(
            r"self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "must be the name of a Secret: lower-case letters, digits, - and .",
        )],
    })
}

/// ServiceAccounts; never `default`, which every pod has that asks for nothing else.
pub(super) fn service_accounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {
                    "type": "string",
                    "description": "The name of the ServiceAccount; `default` is refused, since every pod has it that asks for nothing else.",
                    "minLength": 1,
                    "maxLength": 253,
                    "x-kubernetes-validations": [
                        rule(
                            r"self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
                            "must be the name of a ServiceAccount: lower-case letters, digits, - and .",
                        ),
                        rule(
                            "self != 'default'",
                            "cannot be default, which every pod of the namespace has that asks for nothing else; make a ServiceAccount for the app",
                        ),
                    ],
                },
            },
        },
    })
}

/// A key of a Secret.
pub(super) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "x-kubernetes-validations": [rule(
            "self.matches('^[-._a-zA-Z0-9]+$')",
            "must be a key of a Secret: letters, digits and - _ .",
        )],
    })
}

/// Redirect URIs. The server checks the same and more; here the refusal comes at once.
pub(super) fn redirect_uris(_: &mut SchemaGenerator) -> Schema {
    set(&redirect_uri(), 64)
}

/// Where to go after signing out: the same kind of URI, but fewer, since the API server counts the rules of each.
pub(super) fn post_logout_redirect_uris(_: &mut SchemaGenerator) -> Schema {
    set(&redirect_uri(), 16)
}

/// Where logout tokens are posted: as a redirect URI, but claviger itself goes there, so an app's own scheme leads nowhere.
pub(super) fn backchannel_logout_uri(_: &mut SchemaGenerator) -> Schema {
    let mut rules = web_uri_rules();
    rules.push(rule(
        "self.startsWith('https:') || self.startsWith('http:')",
        "must be https, like https://app.example.org/backchannel-logout",
    ));
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 2048,
        "x-kubernetes-validations": rules,
    })
}

fn redirect_uri() -> Value {
    let mut rules = web_uri_rules();
    // RFC 8252 section 7.1; refuses javascript:, data: and file: as well.
    rules.push(rule(
        r"self.startsWith('https:') || self.startsWith('http:') || !self.matches('^[a-z][a-z0-9+.-]*:') || self.matches(r'^[a-z][a-z0-9+-]*\.[a-z0-9+.-]*:')",
        "must be https, or an app's own scheme with a dot in it, like org.example.app:/callback",
    ));
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 2048,
        "x-kubernetes-validations": rules,
    })
}

fn web_uri_rules() -> Vec<Value> {
    vec![
        // RFC 3986 section 2.
        rule(
            r#"self.matches(r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%\\\[\]-]*$")"#,
            "must hold only the characters of a URI; percent-encode everything else",
        ),
        rule(
            r"!self.matches('%([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)')",
            "must have two hexadecimal digits after every %",
        ),
        rule(
            "!self.contains('*')",
            "must not hold a *; there are no wildcards, list every URI in full",
        ),
        rule(r"!self.contains('\\')", "must not hold a backslash"),
        // RFC 6749 section 3.1.2.
        rule("!self.contains('#')", "must not have a fragment (#)"),
        rule(
            "self.matches('^[a-z][a-z0-9+.-]*:.')",
            "must be absolute, with its scheme in lower case, like https://app.example.org/callback",
        ),
        rule(
            "!self.matches('^[a-z][a-z0-9+.-]*://[^/?#]*@')",
            "must not have a user name or password before the host",
        ),
        rule(
            r"!self.startsWith('https:') || self.matches(r'^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?]|$)')",
            "must have a host after https://",
        ),
        // RFC 8252 section 7.3.
        rule(
            r"!self.startsWith('http:') || self.matches(r'^http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?([/?]|$)')",
            "must be https; plain http is for 127.0.0.1, [::1] and localhost only",
        ),
    ]
}

/// A JWK Set of public keys (RFC 7517). The private member `d` is part of the schema so that it is refused by name; the API
/// server would drop what it does not know, and a private key would pass unnoticed.
pub(super) fn jwks(_: &mut SchemaGenerator) -> Schema {
    let member = |description: &str, min: u32, max: u32| {
        json!({
            "type": "string",
            "description": description,
            "minLength": min,
            "maxLength": max,
            "x-kubernetes-validations": [rule("self.matches('^[A-Za-z0-9_-]+$')", "must be base64url without padding")],
        })
    };
    let mut kid = text(128);
    kid["description"] = json!("Names the key; the app's JWS header names it too.");
    let key = json!({
        "type": "object",
        "required": ["kty"],
        "properties": {
            "kty": {"type": "string", "enum": ["RSA", "EC", "OKP"], "description": "The type of the key."},
            "crv": {"type": "string", "enum": ["P-256", "Ed25519"], "description": "P-256 of EC, Ed25519 of OKP."},
            "kid": kid,
            "use": {"type": "string", "enum": ["sig"], "description": "What the key is for."},
            "alg": {
                "type": "string",
                "enum": ["RS256", "PS256", "ES256", "EdDSA"],
                "description": "The one algorithm that the key is for; default: those of its kty.",
            },
            "n": member("The modulus of RSA, of 2048 to 4096 bits.", 342, 683),
            "e": json!({"type": "string", "enum": ["AQAB"], "description": "The exponent of RSA, 65537."}),
            "x": member("Of EC the first coordinate, of OKP the key.", 43, 43),
            "y": member("The second coordinate of EC.", 43, 43),
            "d": {"type": "string", "maxLength": 2048, "description": "Refused: it makes the key a private one."},
        },
        "x-kubernetes-validations": [
            rule(
                "!has(self.d)",
                "must be a public key, without d; make a new key, since whoever may read this resource knows this one",
            ),
            rule(
                "self.kty != 'RSA' || (has(self.n) && has(self.e) && !has(self.crv))",
                "must have n and e, and no crv, where kty is RSA",
            ),
            rule(
                "self.kty != 'EC' || (has(self.crv) && self.crv == 'P-256' && has(self.x) && has(self.y))",
                "must have crv P-256, x and y where kty is EC",
            ),
            rule(
                "self.kty != 'OKP' || (has(self.crv) && self.crv == 'Ed25519' && has(self.x))",
                "must have crv Ed25519 and x where kty is OKP",
            ),
            rule(
                "!has(self.alg) || self.alg in (self.kty == 'RSA' ? ['RS256', 'PS256'] : self.kty == 'EC' ? ['ES256'] : \
                 ['EdDSA'])",
                "must have an alg of its kty: RS256 or PS256 of RSA, ES256 of EC, EdDSA of OKP",
            ),
        ],
    });
    json_schema!({
        "type": "object",
        "required": ["keys"],
        "properties": {
            "keys": {
                "type": "array",
                "description": "The keys; several while one replaces another.",
                "minItems": 1,
                "maxItems": 8,
                "items": key,
                "x-kubernetes-list-type": "atomic",
                "x-kubernetes-validations": [
                    rule(
                        "self.all(one, !has(one.kid) || self.exists_one(other, has(other.kid) && other.kid == one.kid))",
                        "must not have the same kid twice",
                    ),
                    rule(
                        "size(self) == 1 || self.all(one, has(one.kid))",
                        "must have a kid in each key where there is more than one",
                    ),
                ],
            },
        },
    })
}

/// Resource indicators (RFC 8707 section 2). The server checks the same and more.
pub(super) fn resources(_: &mut SchemaGenerator) -> Schema {
    let item = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 512,
        "x-kubernetes-validations": [
            rule("!self.contains('#')", "must not have a fragment (#)"),
            rule(
                "self.matches('^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$')",
                "must be an absolute URI like https://api.example.org",
            ),
        ],
    });
    set(&item, 32)
}

/// [`resources`] that one token may be for together.
pub(super) fn audiences(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = resources(generator);
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([rule(
            "self.map(one, size(one)).sum() <= 2048",
            "must be at most 2048 characters long together, since a token may be for all of them",
        )]),
    );
    schema
}

/// Names of namespaces (RFC 1123 labels), or `*`.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    let item = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 63,
        "pattern": r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$",
    });
    set(&item, 64)
}

/// Origins as browsers send them (RFC 6454 section 6.2).
pub(super) fn origins(_: &mut SchemaGenerator) -> Schema {
    let item = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 300,
        "x-kubernetes-validations": [
            rule(
                r"self.matches(r'^(https://([a-z0-9._-]+|\[[0-9a-f:.]+\])|http://(127\.0\.0\.1|\[::1\]|localhost))(:[0-9]{1,5})?$')",
                "must be an origin like https://app.example.org, in lower case, without a path; plain http is for 127.0.0.1, [::1] and localhost only",
            ),
            rule(
                "!(self.startsWith('https:') && self.endsWith(':443')) && !(self.startsWith('http:') && self.endsWith(':80'))",
                "must not name the default port, since browsers leave it out",
            ),
        ],
    });
    set(&item, 64)
}
