//! The provider's keys.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::wire::{same, text, texts};

tests![
    jwks_keys_are_named_and_told_apart,
    jwks_holds_public_keys_only,
    jwks_keys_are_written_as_rfc_7518_has_them,
    jwks_has_a_key_for_each_algorithm,
    jwks_keeps_the_old_keys_when_they_are_rotated,
];

fn keys(set: &Value) -> Result<&Vec<Value>> {
    set["keys"].as_array().context("the JWK Set has no keys")
}

async fn jwks_keys_are_named_and_told_apart(stage: &'static Stage) -> Result<()> {
    let set = stage.jwks().await?;
    let mut names = BTreeSet::new();
    for key in keys(&set)? {
        same("use", text(key, "use")?, "sig")?;
        anyhow::ensure!(!text(key, "kty")?.is_empty());
        let kid = text(key, "kid")?;
        anyhow::ensure!(
            !kid.is_empty() && names.insert(kid),
            "the kid {kid:?} is not a key's own"
        );
    }
    anyhow::ensure!(!names.is_empty(), "there are no keys");
    Ok(())
}

async fn jwks_holds_public_keys_only(stage: &'static Stage) -> Result<()> {
    let set = stage.jwks().await?;
    anyhow::ensure!(!keys(&set)?.is_empty(), "there are no keys");
    for key in keys(&set)? {
        anyhow::ensure!(text(key, "kty")? != "oct", "a symmetric key is published");
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            anyhow::ensure!(key.get(member).is_none(), "a key is published with {member}");
        }
    }
    Ok(())
}

/// A number as RFC 7518 section 2 wants it: base64url without padding, and no octet more than is needed.
fn number(key: &Value, name: &str) -> Result<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text(key, name)?)
        .with_context(|| format!("{name} is not base64url without padding"))?;
    anyhow::ensure!(!bytes.is_empty(), "{name} is empty");
    Ok(bytes)
}

async fn jwks_keys_are_written_as_rfc_7518_has_them(stage: &'static Stage) -> Result<()> {
    let set = stage.jwks().await?;
    for key in keys(&set)? {
        match text(key, "kty")? {
            "RSA" => {
                let modulus = number(key, "n")?;
                anyhow::ensure!(
                    modulus.len() >= 256 && modulus[0] >= 0x80,
                    "a modulus is shorter than 2048 bits, or begins with a zero"
                );
                same("the exponent", number(key, "e")?, vec![1, 0, 1])?;
            }
            "EC" => {
                same("the curve", text(key, "crv")?, "P-256")?;
                // RFC 7518 section 6.2.1.2: coordinates have the length of the field, zeros included.
                same("the length of x", number(key, "x")?.len(), 32)?;
                same("the length of y", number(key, "y")?.len(), 32)?;
            }
            "OKP" => {
                same("the curve", text(key, "crv")?, "Ed25519")?;
                same("the length of x", number(key, "x")?.len(), 32)?;
            }
            other => anyhow::bail!("a key has the kty {other}"),
        }
    }
    Ok(())
}

async fn jwks_has_a_key_for_each_algorithm(stage: &'static Stage) -> Result<()> {
    let set = stage.jwks().await?;
    let offered: BTreeSet<_> = keys(&set)?
        .iter()
        .map(|key| text(key, "alg"))
        .collect::<Result<_>>()?;
    let advertised: BTreeSet<_> = texts(&stage.metadata, "id_token_signing_alg_values_supported")?
        .into_iter()
        .collect();
    same("the algorithms of the keys", offered, advertised)
}

/// By the command of an administrator. Nothing that was signed before stops verifying, and what is signed now verifies by
/// the set that is published now.
async fn jwks_keeps_the_old_keys_when_they_are_rotated(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    let earlier = visitor.sign_in(app, &Request::new(app)?).await?;
    let before = stage.jwks().await?;
    let output = Command::new(env!("CARGO_BIN_EXE_claviger"))
        .args(["keys", "rotate"])
        .env("CLAVIGER_ADMIN_SOCKET", &stage.admin_socket)
        .output()
        .context("failed to run `claviger keys rotate`")?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = stage.jwks().await?;
    for key in keys(&before)? {
        anyhow::ensure!(keys(&after)?.contains(key), "the old key {} is gone", key["kid"]);
    }
    let is_new = |key: &&Value| keys(&before).is_ok_and(|keys| !keys.contains(key));
    let new = keys(&after)?.iter().filter(is_new).count();
    same("the number of new keys", new, keys(&before)?.len())?;
    app.verify(stage, &earlier.tokens, None).await?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    Ok(())
}
