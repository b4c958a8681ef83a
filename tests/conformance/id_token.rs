//! ID tokens.

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};

use crate::flow::{Request, Visitor};
use crate::signing::{encode, part};
use crate::stage::Stage;
use crate::tokens::SignedIn;
use crate::wire::{number, same, text, texts};

tests![
    id_token_has_every_required_claim,
    id_token_is_for_the_client_and_nobody_else,
    id_token_times_are_numbers_and_now,
    id_token_is_signed_by_rs256_with_a_published_key,
    id_token_is_signed_as_the_client_registered,
    id_token_header_brings_no_key,
    id_token_is_bound_to_the_access_token,
    id_token_has_no_profile_that_userinfo_is_for,
    id_token_acr_and_amr_are_of_their_types,
    sub_is_the_persons_own_and_stays,
];

async fn ada(stage: &'static Stage) -> Result<SignedIn> {
    let app = &stage.apps.basic;
    Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await
}

async fn id_token_has_every_required_claim(stage: &'static Stage) -> Result<()> {
    // Read anew, so that no verification lends a hand.
    let claims = part(ada(stage).await?.id_token()?, 1)?;
    same("iss", text(&claims, "iss")?, stage.issuer().as_str())?;
    let sub = text(&claims, "sub")?;
    anyhow::ensure!(
        (1..=255).contains(&sub.len()) && sub.is_ascii(),
        "sub is {sub:?}, not 1 to 255 ASCII characters"
    );
    text(&claims, "aud")?;
    number(&claims, "exp")?;
    number(&claims, "iat")?;
    Ok(())
}

async fn id_token_is_for_the_client_and_nobody_else(stage: &'static Stage) -> Result<()> {
    for app in [&stage.apps.basic, &stage.apps.other] {
        let signed_in = Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await?;
        same("aud", text(&signed_in.claims, "aud")?, app.client_id.as_str())?;
        if let Some(azp) = signed_in.claims.get("azp") {
            same("azp", azp, &app.client_id)?;
        }
    }
    Ok(())
}

async fn id_token_times_are_numbers_and_now(stage: &'static Stage) -> Result<()> {
    let signed_in = ada(stage).await?;
    let (iat, exp) = (
        number(&signed_in.claims, "iat")?,
        number(&signed_in.claims, "exp")?,
    );
    anyhow::ensure!(exp > iat, "it expires before it is issued: {}", signed_in.claims);
    // One that was issued later says so: the clock is not made up.
    let later = ada(stage).await?;
    anyhow::ensure!(number(&later.claims, "iat")? >= iat, "iat goes backwards");
    // The certificate of this run is younger than a day; a clock in milliseconds or of another epoch is far from it.
    let started = std::fs::metadata(&stage.certificate)?.modified()?;
    let started = started
        .duration_since(std::time::UNIX_EPOCH)
        .context("a file is older than 1970")?;
    let started = i64::try_from(started.as_secs())?;
    anyhow::ensure!(
        (started - 300..started + 86_400).contains(&iat),
        "iat {iat} is not now"
    );
    Ok(())
}

async fn id_token_is_signed_by_rs256_with_a_published_key(stage: &'static Stage) -> Result<()> {
    let signed_in = ada(stage).await?;
    let header = part(signed_in.id_token()?, 0)?;
    same("alg", text(&header, "alg")?, "RS256")?;
    let kid = text(&header, "kid")?;
    let set = stage.jwks().await?;
    let keys = set["keys"].as_array().context("no keys")?;
    let named: Vec<_> = keys.iter().filter(|key| key["kid"] == kid).collect();
    same("the number of keys of this kid", named.len(), 1)?;
    same("alg of the key", text(named[0], "alg")?, "RS256")?;
    // That it verifies by that key was looked at already; so does an altered one not.
    let (signed, signature) = signed_in.id_token()?.rsplit_once('.').context("not a JWS")?;
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let mut forged = signed_in.tokens.clone();
    forged["id_token"] = format!("{signed}.{flipped}{}", &signature[1..]).into();
    let verified = stage.apps.basic.verify(stage, &forged, None).await;
    anyhow::ensure!(verified.is_err(), "whatever the signature is, it verifies");
    Ok(())
}

async fn id_token_is_signed_as_the_client_registered(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.elliptic;
    let signed_in = Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await?;
    let header = part(signed_in.id_token()?, 0)?;
    same("alg", text(&header, "alg")?, "ES256")
}

async fn id_token_header_brings_no_key(stage: &'static Stage) -> Result<()> {
    let header = part(ada(stage).await?.id_token()?, 0)?;
    for name in ["x5u", "x5c", "jku", "jwk"] {
        anyhow::ensure!(header.get(name).is_none(), "the header has {name}: {header}");
    }
    Ok(())
}

async fn id_token_is_bound_to_the_access_token(stage: &'static Stage) -> Result<()> {
    let signed_in = ada(stage).await?;
    let hash = digest(&SHA256, signed_in.access_token()?.as_bytes());
    let left_half = encode(&hash.as_ref()[..16]);
    same("at_hash", text(&signed_in.claims, "at_hash")?, left_half.as_str())
}

async fn id_token_has_no_profile_that_userinfo_is_for(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", "openid profile email address phone");
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let known = [
        "iss", "sub", "aud", "exp", "iat", "nonce", "acr", "amr", "at_hash", "sid",
    ];
    for name in signed_in.claims.as_object().context("not an object")?.keys() {
        anyhow::ensure!(known.contains(&name.as_str()), "the ID token has {name}");
    }
    Ok(())
}

async fn id_token_acr_and_amr_are_of_their_types(stage: &'static Stage) -> Result<()> {
    let signed_in = ada(stage).await?;
    anyhow::ensure!(!text(&signed_in.claims, "acr")?.is_empty(), "acr is empty");
    // RFC 8176.
    same("amr", texts(&signed_in.claims, "amr")?, vec!["pwd"])
}

async fn sub_is_the_persons_own_and_stays(stage: &'static Stage) -> Result<()> {
    let app = &stage.apps.basic;
    let first = ada(stage).await?;
    let again = ada(stage).await?;
    same("sub of the same person", again.sub()?, first.sub()?)?;
    let grace = Visitor::grace(stage)?.sign_in(app, &Request::new(app)?).await?;
    anyhow::ensure!(grace.sub()? != first.sub()?, "two people have one sub");
    Ok(())
}
