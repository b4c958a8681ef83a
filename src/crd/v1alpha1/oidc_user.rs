//! `OidcUser`: a person who signs in.

#![expect(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oidc_client::SecretReference;
use super::schema;

/// A person who signs in. Honoured only in claviger's own namespace.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "claviger.dev",
    version = "v1alpha1",
    kind = "OidcUser",
    plural = "oidcusers",
    namespaced,
    shortname = "ouser",
    category = "oidc",
    status = "OidcUserStatus",
    derive = "PartialEq",
    doc = "A person who signs in. Honoured only in claviger's own namespace.",
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must be at most 63 characters long"),
    // A subject may be pinned later to what it is already, so that it survives a rebuilt cluster; it never changes.
    validation = Rule::new("has(oldSelf.spec.subject) ? (has(self.spec.subject) && self.spec.subject == oldSelf.spec.subject) : (!has(self.spec.subject) || (has(oldSelf.status) && has(oldSelf.status.subject) && oldSelf.status.subject == self.spec.subject))")
        .message("spec.subject is immutable, since apps know the person by it; it can be added later only with the value of status.subject")
        .field_path(".spec.subject"),
    printcolumn(name = "Username", type_ = "string", json_path = ".status.username"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Email", type_ = "string", json_path = ".spec.email"),
    printcolumn(name = "Subject", type_ = "string", priority = 1, json_path = ".status.subject"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OidcUserSpec {
    /// What the person types to sign in; default: the resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::username")]
    pub username: Option<String>,

    /// `sub`, by which apps know the person; immutable, never used again for somebody else; default: the resource's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::subject")]
    pub subject: Option<String>,

    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::email")]
    pub email: Option<String>,

    /// Whether the address is known to be the person's.
    #[serde(default)]
    pub email_verified: bool,

    /// The whole name as shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub display_name: Option<String>,

    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub given_name: Option<String>,

    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub family_name: Option<String>,

    /// Middle name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub middle_name: Option<String>,

    /// What friends call the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub nickname: Option<String>,

    /// The person's profile page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::web_address")]
    pub profile: Option<String>,

    /// A picture of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::web_address")]
    pub picture: Option<String>,

    /// The person's web site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::web_address")]
    pub website: Option<String>,

    /// Gender; `female` and `male` are values that apps know, others may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub gender: Option<String>,

    /// Day of birth like 1815-12-10, 0000-12-10 where the year is not told, or the year alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::birthdate")]
    pub birthdate: Option<String>,

    /// Time zone, like Europe/Berlin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::zoneinfo")]
    pub zoneinfo: Option<String>,

    /// Language, like de-CH (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::locale")]
    pub locale: Option<String>,

    /// Phone number in the international form, like +1 (425) 555-1212, with an extension as in ;ext=5678.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::phone_number")]
    pub phone_number: Option<String>,

    /// Whether the number is known to be the person's.
    #[serde(default)]
    pub phone_number_verified: bool,

    /// Postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,

    /// Names of the groups that the person is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::groups")]
    pub groups: Vec<String>,

    /// Refuses sign-in and ends all sessions and grants. Ready stays True, with the reason Disabled: it is done as asked.
    #[serde(default)]
    pub disabled: bool,

    /// Where the password comes from; without it the person cannot sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordSettings>,
}

/// A postal address.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// All of it as on a label, in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::lines")]
    pub formatted: Option<String>,

    /// Street, house number and the like, in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::lines")]
    pub street_address: Option<String>,

    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub locality: Option<String>,

    /// State, province or the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub region: Option<String>,

    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub postal_code: Option<String>,

    /// Country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::display_name")]
    pub country: Option<String>,
}

/// Where a password comes from.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.secretRef) != (has(self.generate) && self.generate)")
    .message("password needs exactly one of secretRef and generate: true"))]
#[serde(rename_all = "camelCase")]
pub struct PasswordSettings {
    /// A key of a Secret in the same namespace: clear text, or a PHC string of Argon2id as `claviger hash-password` makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeySelector>,

    /// claviger makes a password and writes it to the Secret named like the resource with `-password` at the end. The
    /// annotation `claviger.dev/reset-password` with a new value asks for another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<bool>,
}

/// A key of a Secret.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// The Secret's name.
    #[schemars(schema_with = "schema::secret_name")]
    pub name: String,

    /// The key.
    #[serde(default = "default_secret_key")]
    #[schemars(schema_with = "schema::secret_key")]
    pub key: String,
}

fn default_secret_key() -> String {
    "password".to_owned()
}

/// What claviger has made of it.
#[derive(KubeSchema, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcUserStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// What the person types to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,

    /// `sub`, by which apps know the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,

    /// The Secret with the generated password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretReference>,

    /// What the generated password is derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_version: Option<PasswordVersionStatus>,

    /// How it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a generated password is derived from. The password itself is never here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct PasswordVersionStatus {
    /// Names the version.
    pub id: String,

    /// Names the master key.
    pub master_key_id: String,
}
