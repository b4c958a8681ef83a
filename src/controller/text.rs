//! Rules about text in a resource, the same as the schema's.

/// Text that people read: no control characters, and no marks that turn the direction of text.
pub(super) fn shown(text: &str, longest: usize) -> Result<(), &'static str> {
    if text.contains('\n') {
        return Err(UNSHOWABLE);
    }
    lines(text, longest)
}

/// The same in several lines.
pub(super) fn lines(text: &str, longest: usize) -> Result<(), &'static str> {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.is_empty() {
        Err("must not be empty")
    } else if text.chars().count() > longest {
        Err("is too long")
    } else if text.chars().any(|c| (c.is_control() && c != '\n') || turns(c)) {
        Err(UNSHOWABLE)
    } else {
        Ok(())
    }
}

const UNSHOWABLE: &str = "must not hold control characters or marks that turn the direction of text";

/// A PHC string of Argon2id, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
pub(super) fn phc_argon2id(text: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = text.split('$').collect();
    match parts.as_slice() {
        ["", "argon2id", "v=19", parameters, salt, hash]
            if parameters.starts_with("m=") && !salt.is_empty() && !hash.is_empty() && text.len() <= 512 =>
        {
            Ok(())
        }
        _ => Err("begins like a PHC string but is none of Argon2id; make one with `claviger hash-password`"),
    }
}

#[cfg(test)]
mod tests;
