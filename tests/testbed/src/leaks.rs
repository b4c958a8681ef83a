//! Secrets that a log may not hold, told by their shape: what every claviger of every test has written is looked at when the
//! test lets go of it. What has no shape of its own is for the test that marks each value.

/// Our opaque values and client secrets begin so; 43 characters follow, and before them what names the kind.
const OPAQUE: &str = "clv_";
const OPAQUE_LENGTH: usize = OPAQUE.len() + 43;
/// A JWS begins so in base64url, and so does its payload: with `{"`.
const JWS: &str = "eyJ";
/// The signature of a JWS is no shorter.
const SIGNATURE_LENGTH: usize = 40;
/// What nobody writes but with the secret behind it.
const FIXED: [&str; 3] = [
    "PRIVATE KEY-----",
    "$argon2id$v=19$",
    "correct horse battery staple",
];

/// The first secret of a text, as far as it tells what it is and where.
pub fn first(text: &str) -> Option<String> {
    text.lines().enumerate().find_map(|(number, line)| {
        let what = secret(line)?;
        Some(format!("line {} holds {what}", number + 1))
    })
}

fn secret(line: &str) -> Option<String> {
    if let Some(fixed) = FIXED.into_iter().find(|fixed| line.contains(fixed)) {
        return Some(format!("`{fixed}`"));
    }
    let opaque = line
        .match_indices(OPAQUE)
        .any(|(at, _)| word(&line[at..]).len() >= OPAQUE_LENGTH)
        .then(|| "an opaque value of ours".to_owned());
    let jws = || {
        line.match_indices(JWS)
            .any(|(at, _)| is_jws(&line[at..]))
            .then(|| "a signed token".to_owned())
    };
    opaque.or_else(jws)
}

fn is_jws(text: &str) -> bool {
    let header = word(text);
    let Some(rest) = text[header.len()..].strip_prefix('.') else {
        return false;
    };
    let payload = word(rest);
    let Some(rest) = rest[payload.len()..].strip_prefix('.') else {
        return false;
    };
    payload.starts_with(JWS) && word(rest).len() >= SIGNATURE_LENGTH
}

/// The characters of base64url at the start of a text.
fn word(text: &str) -> &str {
    let is_base64url = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let end = text.find(|character| !is_base64url(character));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn secrets_are_known_by_their_shape() {
        let code = format!("clv_ac_{}", "A".repeat(43));
        let client_secret = format!("clv_{}", "A".repeat(43));
        let jws = format!("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.{}", "b".repeat(43));
        for secret in [
            code.as_str(),
            &client_secret,
            &jws,
            "-----BEGIN PRIVATE KEY-----",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
        ] {
            let line = format!("INFO started\n{{\"message\":\"got {secret}\"}}\n");
            let told = first(&line).unwrap();
            assert!(told.starts_with("line 2 holds"), "{told}");
            assert!(!told.contains("AAAA") && !told.contains("bbbb"), "{told}");
        }
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        for line in [
            "clv_ac_",
            "clv_rt_short and a kid 3q2-7w",
            "eyJ.eyJ.x",
            "eyJhbGciOiJub25lIn0.eyJpc3MiOjF9.",
            "version 1.2.3",
        ] {
            assert_eq!(first(line), None, "{line}");
        }
    }
}
