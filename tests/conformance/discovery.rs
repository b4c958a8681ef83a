//! The provider's metadata.

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::flow::{Request, Visitor};
use crate::stage::Stage;
use crate::wire::{same, text, texts};

tests![
    discovery_is_a_json_document,
    discovery_names_the_issuer_that_it_was_found_by,
    discovery_issuer_is_a_bare_https_url,
    discovery_has_every_required_member,
    discovery_has_every_recommended_member,
    discovery_leaves_out_what_is_empty,
    discovery_endpoints_use_tls,
    discovery_plain_http_is_not_answered,
    discovery_scopes_are_scope_tokens_with_openid,
    discovery_response_types_are_those_that_work,
    discovery_subject_types_are_known,
    discovery_id_tokens_are_signed_by_rs256_among_others,
    discovery_grant_types_are_those_of_a_code_flow,
    discovery_says_which_ways_of_authentication_work,
    discovery_says_that_request_uri_does_not_work,
    discovery_request_objects_are_signed_by_rs256_among_others,
    discovery_lists_the_claims_that_userinfo_gives,
    discovery_lists_the_acr_that_id_tokens_have,
    discovery_locales_are_language_tags,
    discovery_offers_pkce_by_s256,
    discovery_advertises_iss_in_responses,
];

async fn discovery_is_a_json_document(stage: &'static Stage) -> Result<()> {
    let url = format!("{}/.well-known/openid-configuration", stage.issuer());
    let reply = stage.http.get(&url).await?;
    same("the status", reply.status.as_u16(), 200)?;
    anyhow::ensure!(reply.json()?.is_object(), "not an object: {}", reply.body);
    Ok(())
}

async fn discovery_names_the_issuer_that_it_was_found_by(stage: &'static Stage) -> Result<()> {
    let issuer = stage.issuer();
    same("the issuer", text(&stage.metadata, "issuer")?, issuer.as_str())?;
    let app = &stage.apps.basic;
    let signed_in = Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await?;
    same(
        "iss of an ID token",
        text(&signed_in.claims, "iss")?,
        issuer.as_str(),
    )
}

async fn discovery_issuer_is_a_bare_https_url(stage: &'static Stage) -> Result<()> {
    // Asked for anew: what is checked is what an app reads.
    let url = stage
        .installation
        .claviger
        .url("/.well-known/openid-configuration");
    let metadata = stage.http.get(&url).await?.success()?;
    let issuer: Url = text(&metadata, "issuer")?.parse()?;
    same("the scheme", issuer.scheme(), "https")?;
    same("the query", issuer.query(), None::<&str>)?;
    same("the fragment", issuer.fragment(), None::<&str>)?;
    anyhow::ensure!(issuer.has_host(), "{issuer} has no host");
    Ok(())
}

async fn discovery_has_every_required_member(stage: &'static Stage) -> Result<()> {
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let url: Url = text(&stage.metadata, name)?.parse().context(name)?;
        // There is something behind each of them.
        if name != "issuer" {
            let reply = stage.http.get(url.as_str()).await?;
            anyhow::ensure!(reply.status.as_u16() != 404, "nothing answers at {name}");
        }
    }
    for name in [
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ] {
        anyhow::ensure!(!texts(&stage.metadata, name)?.is_empty(), "{name} is empty");
    }
    Ok(())
}

async fn discovery_has_every_recommended_member(stage: &'static Stage) -> Result<()> {
    let reply = stage.http.get(stage.endpoint("userinfo_endpoint")?).await?;
    same(
        "the status of userinfo without a token",
        reply.status.as_u16(),
        401,
    )?;
    for name in ["scopes_supported", "claims_supported"] {
        anyhow::ensure!(!texts(&stage.metadata, name)?.is_empty(), "{name} is empty");
    }
    Ok(())
}

async fn discovery_leaves_out_what_is_empty(stage: &'static Stage) -> Result<()> {
    let url = stage
        .installation
        .claviger
        .url("/.well-known/openid-configuration");
    let metadata = stage.http.get(&url).await?.success()?;
    for (name, value) in metadata.as_object().context("not an object")? {
        anyhow::ensure!(
            *value != json!([]) && !value.is_null() && *value != json!(""),
            "{name} is {value}"
        );
    }
    Ok(())
}

async fn discovery_endpoints_use_tls(stage: &'static Stage) -> Result<()> {
    let mut count = 0;
    for (name, value) in stage.metadata.as_object().context("not an object")? {
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            let url: Url = value
                .as_str()
                .context("not text")?
                .parse()
                .context(name.clone())?;
            same(name, url.scheme(), "https")?;
            same(name, url.fragment(), None::<&str>)?;
            // It is this very provider's, over TLS that a client with one authority trusts.
            let reply = stage.http.get(url.as_str()).await?;
            anyhow::ensure!(reply.status.as_u16() < 500, "{name} answers {}", reply.status);
            count += 1;
        }
    }
    anyhow::ensure!(count >= 5, "only {count} endpoints are advertised");
    Ok(())
}

async fn discovery_plain_http_is_not_answered(stage: &'static Stage) -> Result<()> {
    let issuer: Url = stage.issuer().parse()?;
    let port = issuer.port().context("the issuer has no port")?;
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = "GET /.well-known/openid-configuration HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // However the connection ends.
    drop(connection.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer);
    // Whoever came by mistake may be told so, and nothing else.
    anyhow::ensure!(
        (answer.is_empty() || answer.starts_with("HTTP/1.1 400 ")) && !answer.contains("issuer"),
        "answered in the clear: {answer}"
    );
    Ok(())
}

async fn discovery_scopes_are_scope_tokens_with_openid(stage: &'static Stage) -> Result<()> {
    let scopes = texts(&stage.metadata, "scopes_supported")?;
    anyhow::ensure!(scopes.contains(&"openid"), "no openid in {scopes:?}");
    for scope in &scopes {
        // RFC 6749 appendix A.4.
        let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        anyhow::ensure!(
            !scope.is_empty() && scope.bytes().all(is_token),
            "{scope} is no scope-token"
        );
    }
    // What is advertised can be had.
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("scope", &scopes.join(" "));
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let mut given: Vec<_> = text(&signed_in.tokens, "scope")?.split(' ').collect();
    let mut wanted = scopes.clone();
    given.sort_unstable();
    wanted.sort_unstable();
    same("the scope that is given", given, wanted)
}

async fn discovery_response_types_are_those_that_work(stage: &'static Stage) -> Result<()> {
    let types = texts(&stage.metadata, "response_types_supported")?;
    anyhow::ensure!(types.contains(&"code"), "no code in {types:?}");
    let app = &stage.apps.basic;
    let visitor = Visitor::ada(stage)?;
    visitor.sign_in(app, &Request::new(app)?).await?;
    for response_type in [
        "code",
        "id_token",
        "id_token token",
        "code id_token",
        "code token",
        "code id_token token",
        "token",
        "none",
    ] {
        let request = Request::new(app)?.with("response_type", response_type);
        let answer = visitor.open(&request).await?.answer()?;
        let works = answer.get("code").is_some();
        same(response_type, works, types.contains(&response_type))?;
    }
    Ok(())
}

async fn discovery_subject_types_are_known(stage: &'static Stage) -> Result<()> {
    let types = texts(&stage.metadata, "subject_types_supported")?;
    anyhow::ensure!(
        types.iter().all(|known| ["public", "pairwise"].contains(known)),
        "{types:?}"
    );
    // `public`, which is the default of ours: two clients know a person by one `sub`.
    anyhow::ensure!(types.contains(&"public"), "{types:?}");
    let visitor = Visitor::ada(stage)?;
    let mut subs = Vec::new();
    for app in [&stage.apps.basic, &stage.apps.other] {
        let signed_in = visitor.sign_in(app, &Request::new(app)?).await?;
        subs.push(signed_in.sub()?.to_owned());
    }
    same("sub at the second client", &subs[1], &subs[0])
}

async fn discovery_id_tokens_are_signed_by_rs256_among_others(stage: &'static Stage) -> Result<()> {
    let algorithms = texts(&stage.metadata, "id_token_signing_alg_values_supported")?;
    anyhow::ensure!(algorithms.contains(&"RS256"), "no RS256 in {algorithms:?}");
    // It may be offered only where ID tokens travel nowhere but from the token endpoint, and a client wants it.
    anyhow::ensure!(!algorithms.contains(&"none"), "{algorithms:?}");
    Ok(())
}

async fn discovery_grant_types_are_those_of_a_code_flow(stage: &'static Stage) -> Result<()> {
    let grant_types = texts(&stage.metadata, "grant_types_supported")?;
    for (grant_type, parameter) in [("authorization_code", "code"), ("refresh_token", "refresh_token")] {
        anyhow::ensure!(
            grant_types.contains(&grant_type),
            "no {grant_type} in {grant_types:?}"
        );
        let form = [
            ("grant_type", grant_type),
            (parameter, "nothing-that-was-issued"),
            ("redirect_uri", crate::clients::CALLBACK),
        ];
        let reply = stage.apps.basic.token(stage, &form).await?;
        reply.refuses(400, "invalid_grant").context(grant_type)?;
    }
    anyhow::ensure!(!grant_types.contains(&"implicit"), "{grant_types:?}");
    Ok(())
}

async fn discovery_says_which_ways_of_authentication_work(stage: &'static Stage) -> Result<()> {
    let methods = texts(&stage.metadata, "token_endpoint_auth_methods_supported")?;
    for method in ["client_secret_basic", "client_secret_post"] {
        anyhow::ensure!(methods.contains(&method), "no {method} in {methods:?}");
    }
    let known = [
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt",
        "none",
    ];
    anyhow::ensure!(
        methods.iter().all(|method| known.contains(method)),
        "{methods:?} has a method that is not registered"
    );
    Ok(())
}

async fn discovery_says_that_request_uri_does_not_work(stage: &'static Stage) -> Result<()> {
    // Left out it would mean true, and an app would be refused what it was told that works.
    same(
        "request_uri_parameter_supported",
        &stage.metadata["request_uri_parameter_supported"],
        &json!(false),
    )?;
    let app = &stage.apps.basic;
    let request = Request::new(app)?.with("request_uri", "https://rp.example.org/request.jwt");
    let answer = Visitor::ada(stage)?.open(&request).await?.answer()?;
    answer.is_error(&request, "request_uri_not_supported")
}

async fn discovery_request_objects_are_signed_by_rs256_among_others(stage: &'static Stage) -> Result<()> {
    same(
        "request_parameter_supported",
        &stage.metadata["request_parameter_supported"],
        &json!(true),
    )?;
    let algorithms = texts(&stage.metadata, "request_object_signing_alg_values_supported")?;
    anyhow::ensure!(algorithms.contains(&"RS256"), "no RS256 in {algorithms:?}");
    Ok(())
}

async fn discovery_lists_the_claims_that_userinfo_gives(stage: &'static Stage) -> Result<()> {
    let claims = texts(&stage.metadata, "claims_supported")?;
    let app = &stage.apps.basic;
    let scope = "openid profile email address phone groups";
    let request = Request::new(app)?.with("scope", scope);
    let signed_in = Visitor::ada(stage)?.sign_in(app, &request).await?;
    let userinfo = signed_in.userinfo(stage).await?;
    for name in userinfo.as_object().context("not an object")?.keys() {
        anyhow::ensure!(claims.contains(&name.as_str()), "no {name} in {claims:?}");
    }
    for name in signed_in.claims.as_object().context("not an object")?.keys() {
        // The token's own, which are no claims about a person.
        let own = ["exp", "iat", "aud", "iss", "nonce", "at_hash", "sid"];
        anyhow::ensure!(
            own.contains(&name.as_str()) || claims.contains(&name.as_str()),
            "no {name} in {claims:?}"
        );
    }
    Ok(())
}

async fn discovery_lists_the_acr_that_id_tokens_have(stage: &'static Stage) -> Result<()> {
    let values = texts(&stage.metadata, "acr_values_supported")?;
    let app = &stage.apps.basic;
    let signed_in = Visitor::ada(stage)?.sign_in(app, &Request::new(app)?).await?;
    let acr = text(&signed_in.claims, "acr")?;
    anyhow::ensure!(values.contains(&acr), "no {acr} in {values:?}");
    Ok(())
}

async fn discovery_locales_are_language_tags(stage: &'static Stage) -> Result<()> {
    for locale in texts(&stage.metadata, "ui_locales_supported")? {
        // RFC 5646 section 2.1.1: languages in small letters, regions in capitals.
        let mut parts = locale.split('-');
        let language = parts.next().unwrap_or_default();
        anyhow::ensure!(
            (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase()),
            "{locale} is no language tag"
        );
        anyhow::ensure!(
            parts.all(|part| part.len() != 2 || part.bytes().all(|byte| byte.is_ascii_uppercase())),
            "{locale} is not written as language tags are"
        );
        let page = stage.browser()?.get(&stage.issuer().parse()?).await?;
        anyhow::ensure!(
            page.body.contains(&format!("lang=\"{locale}\"")),
            "no page is in {locale}"
        );
    }
    Ok(())
}

async fn discovery_offers_pkce_by_s256(stage: &'static Stage) -> Result<()> {
    let methods = texts(&stage.metadata, "code_challenge_methods_supported")?;
    same("the methods", methods, vec!["S256"])
}

async fn discovery_advertises_iss_in_responses(stage: &'static Stage) -> Result<()> {
    same(
        "authorization_response_iss_parameter_supported",
        &stage.metadata["authorization_response_iss_parameter_supported"],
        &json!(true),
    )
}
