//! Scopes, and the claims that each of them gives.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::wire::{same, text};

tests![
    scope_openid_gives_nothing_but_the_subject,
    scope_profile_gives_all_of_the_profile,
    scope_email_gives_the_address_and_whether_it_is_verified,
    scope_address_gives_the_address_in_parts,
    scope_phone_gives_the_number_and_whether_it_is_verified,
    scopes_together_give_all_of_it,
    granted_scope_is_said,
];

const PROFILE: [&str; 14] = [
    "birthdate",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "picture",
    "preferred_username",
    "profile",
    "updated_at",
    "website",
    "zoneinfo",
];
const EMAIL: [&str; 2] = ["email", "email_verified"];
const ADDRESS: [&str; 1] = ["address"];
const PHONE: [&str; 2] = ["phone_number", "phone_number_verified"];

/// Userinfo about Ada, who has every claim; it has to hold these, `sub`, and nothing else.
async fn userinfo(stage: &'static Stage, scope: &str, claims: &[&str]) -> Result<Value> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", scope);
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    let mut wanted = [claims, &["sub"]].concat();
    wanted.sort_unstable();
    let mut found: Vec<_> = userinfo
        .as_object()
        .context("not an object")?
        .keys()
        .map(String::as_str)
        .collect();
    found.sort_unstable();
    same("the claims", found, wanted)?;
    Ok(userinfo)
}

async fn scope_openid_gives_nothing_but_the_subject(stage: &'static Stage) -> Result<()> {
    userinfo(stage, "openid", &[]).await?;
    Ok(())
}

async fn scope_profile_gives_all_of_the_profile(stage: &'static Stage) -> Result<()> {
    let userinfo = userinfo(stage, "openid profile", &PROFILE).await?;
    for (name, value) in [
        ("name", "Ada Lovelace"),
        ("given_name", "Ada"),
        ("family_name", "Lovelace"),
        ("middle_name", "Augusta"),
        ("nickname", "Enchantress"),
        ("preferred_username", "ada"),
        ("profile", "https://people.example.org/ada"),
        ("picture", "https://people.example.org/ada.png"),
        ("website", "https://ada.example.org/"),
        ("gender", "female"),
    ] {
        same(name, text(&userinfo, name)?, value)?;
    }
    Ok(())
}

async fn scope_email_gives_the_address_and_whether_it_is_verified(stage: &'static Stage) -> Result<()> {
    let userinfo = userinfo(stage, "openid email", &EMAIL).await?;
    same("email", text(&userinfo, "email")?, "ada@example.org")
}

async fn scope_address_gives_the_address_in_parts(stage: &'static Stage) -> Result<()> {
    let userinfo = userinfo(stage, "openid address", &ADDRESS).await?;
    let wanted = json!({
        "formatted": "12 St James's Square\nLondon",
        "street_address": "12 St James's Square",
        "locality": "London",
        "region": "Greater London",
        "postal_code": "SW1Y 4JH",
        "country": "United Kingdom",
    });
    same("the address", &userinfo["address"], &wanted)
}

async fn scope_phone_gives_the_number_and_whether_it_is_verified(stage: &'static Stage) -> Result<()> {
    let userinfo = userinfo(stage, "openid phone", &PHONE).await?;
    same(
        "phone_number",
        text(&userinfo, "phone_number")?,
        "+44 20 7946 0000",
    )
}

async fn scopes_together_give_all_of_it(stage: &'static Stage) -> Result<()> {
    let claims = [&PROFILE[..], &EMAIL, &ADDRESS, &PHONE].concat();
    userinfo(stage, "openid profile email address phone", &claims).await?;
    Ok(())
}

/// RFC 6749 section 5.1 wants it said where it is not what was asked for.
async fn granted_scope_is_said(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    for (asked, given) in [
        ("openid email", "openid email"),
        ("openid email made-up", "openid email"),
    ] {
        let request = Request::new(app)?.with("scope", asked);
        let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
        // A set, in whatever order it is written.
        let found: BTreeSet<_> = text(&signed_in.tokens, "scope")?.split(' ').collect();
        let wanted: BTreeSet<_> = given.split(' ').collect();
        same("the scope that is given", found, wanted)?;
    }
    Ok(())
}
