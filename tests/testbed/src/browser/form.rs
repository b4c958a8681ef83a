//! The forms of an HTML document that is as well-formed as ours are.

use anyhow::{Context, Result};

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it goes, as written.
    pub action: String,
    /// `get` or `post`
    pub method: String,
    /// Its inputs with their values, in order.
    pub fields: Vec<Field>,
    /// What submits it.
    pub buttons: Vec<Field>,
}

/// An input or a button.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The `id`.
    pub id: String,
    /// The `name`; nothing is sent for a field without one.
    pub name: String,
    /// The `value`.
    pub value: String,
    /// Whether it is sent: a checkbox or radio button only if checked.
    pub sent: bool,
}

impl Form {
    /// Whether it is the way to sign in.
    pub fn asks_for_sign_in(&self) -> bool {
        self.field("password").is_some()
    }

    /// Whether it has a button with this id.
    pub fn has_button(&self, id: &str) -> bool {
        self.buttons.iter().any(|button| button.id == id)
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Types a value into a field.
    pub fn fill(&mut self, name: &str, value: &str) -> Result<()> {
        let field = self.fields.iter_mut().find(|field| field.name == name);
        let field = field.with_context(|| format!("the form has no field `{name}`"))?;
        value.clone_into(&mut field.value);
        Ok(())
    }

    /// What a browser sends when the button with this id is pressed, or when Enter is.
    pub fn submission(&self, button: Option<&str>) -> Result<Vec<(String, String)>> {
        let pressed = match button {
            None => None,
            Some(id) => Some(
                self.buttons
                    .iter()
                    .find(|button| button.id == id)
                    .with_context(|| format!("the form has no button `{id}`"))?,
            ),
        };
        Ok(self
            .fields
            .iter()
            .filter(|field| field.sent)
            .chain(pressed)
            .filter(|field| !field.name.is_empty())
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect())
    }
}

/// All forms of a document.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in tags(html) {
        match (tag.name.as_str(), &mut open) {
            ("form", _) => {
                let method = tag.attribute("method").unwrap_or("get").to_ascii_lowercase();
                let action = tag.attribute("action").unwrap_or_default().to_owned();
                open = Some(Form {
                    action,
                    method,
                    ..Form::default()
                });
            }
            ("/form", _) => forms.extend(open.take()),
            ("button", Some(form)) => form.buttons.push(tag.field()),
            ("input", Some(form)) => match tag.attribute("type") {
                Some("submit" | "image") => form.buttons.push(tag.field()),
                _ => form.fields.push(tag.field()),
            },
            _ => {}
        }
    }
    forms.extend(open);
    forms
}

/// The text of a document's body on one line.
pub fn text(html: &str) -> String {
    let body = html.find("<body").map_or(html, |start| &html[start..]);
    let mut text = String::new();
    for piece in body.split('<').skip(usize::from(body.starts_with('<'))) {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn field(&self) -> Field {
        let owned = |name| self.attribute(name).unwrap_or_default().to_owned();
        let choice = matches!(self.attribute("type"), Some("checkbox" | "radio"));
        Field {
            id: owned("id"),
            name: owned("name"),
            value: owned("value"),
            sent: !choice || self.attribute("checked").is_some(),
        }
    }
}

fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end..]);
            continue;
        }
        let end = tag_end(rest);
        found.push(tag(&rest[..end]));
        rest = &rest[end..];
    }
    found
}

/// The first `>` that is not inside of a quoted value.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn tag(text: &str) -> Tag {
    let (name, mut rest) = text
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((text, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            break;
        }
        let end = rest
            .find(|c: char| c == '=' || c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let key = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let Some(value) = rest.strip_prefix('=') else {
            attributes.push((key, String::new()));
            continue;
        };
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (raw, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value
                .split_once(|c: char| c.is_ascii_whitespace())
                .unwrap_or((value, "")),
        };
        attributes.push((key, unescape(raw)));
        rest = after;
    }
    Tag {
        name: name.trim_end_matches('/').to_ascii_lowercase(),
        attributes,
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        let reference = rest
            .find(';')
            .and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = reference.unwrap_or(('&', 1));
        plain.push(character);
        rest = &rest[length..];
    }
    plain + rest
}

fn character(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = reference.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, forms, text};

    #[test]
    fn a_form_is_read_and_submitted_as_a_browser_would() {
        let html = r#"<!doctype html><title>x</title><!-- <form action="/no"><input name=no></form> -->
            <form id=f method="POST" action="/login?a=1&amp;b=2"><input type=hidden name=csrf value="a&#x2B;b&quot;>">
            <label for="username">Name</label><input id="username" name="username" required autofocus/>
            <input name=remember type=checkbox value=1><input name=kept type=checkbox value=2 checked>
            <button id="sign-in" name="step" value="go">Sign in</button></form>"#;
        let mut form = forms(html).remove(0);
        assert_eq!(
            (form.method.as_str(), form.action.as_str()),
            ("post", "/login?a=1&b=2")
        );
        form.fill("username", "ada").unwrap();
        let sent = form.submission(Some("sign-in")).unwrap();
        let expected = [
            ("csrf", "a+b\">"),
            ("username", "ada"),
            ("kept", "2"),
            ("step", "go"),
        ];
        assert_eq!(
            sent,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(form.submission(Some("deny")).is_err());
    }

    #[test]
    fn a_field_without_a_form_is_nobodys() {
        assert!(forms("<input name=a><p>b</p>").is_empty());
        assert_eq!(Field::default().name, "");
    }

    #[test]
    fn text_has_no_tags_and_no_references() {
        assert_eq!(
            text("<html><title>t</title><body class=x><h1>A &lt; B</h1>\n<p>c&#39;d"),
            "A < B c'd"
        );
    }
}
