//! A request to the last byte, and how it is spoilt.

use std::fmt;

/// A parameter. What is `raw` stands in the request as it is; everything else is encoded as forms are.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) raw: bool,
}

impl Field {
    pub(super) fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            raw: false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let encode = |bytes: &[u8]| -> Vec<u8> {
            if self.raw {
                return bytes.to_vec();
            }
            url::form_urlencoded::byte_serialize(bytes)
                .collect::<String>()
                .into()
        };
        out.extend(encode(&self.name));
        out.push(b'=');
        out.extend(encode(&self.value));
    }
}

/// What follows the head.
#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Form(Vec<Field>),
    /// Anything else, with its media type.
    Other(&'static str, Vec<u8>),
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<Field>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Body,
    /// How much shorter than the body its length is said to be.
    pub(super) shortened: usize,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| Field::new(name.into_owned(), value.into_owned()))
            .collect();
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            body: Body::None,
            shortened: 0,
        }
    }

    pub(super) fn post(path: &str, form: &[(&str, &str)]) -> Self {
        let form = form.iter().map(|(name, value)| Field::new(*name, *value));
        Self {
            method: "POST".to_owned(),
            body: Body::Form(form.collect()),
            ..Self::get(path)
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The parameters that count: those of the form where there is one.
    pub(super) fn parameters(&mut self) -> &mut Vec<Field> {
        match &mut self.body {
            Body::Form(form) => form,
            _ => &mut self.query,
        }
    }

    /// The bytes for the server at this port.
    pub(super) fn encode(&self, port: u16) -> Vec<u8> {
        let mut out = format!("{} {}", self.method, self.path).into_bytes();
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend(encode(&self.query));
        }
        out.extend(format!(" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n").into_bytes());
        let (media_type, body) = match &self.body {
            Body::None => ("", Vec::new()),
            Body::Form(form) => ("application/x-www-form-urlencoded", encode(form)),
            Body::Other(media_type, body) => (*media_type, body.clone()),
        };
        if !media_type.is_empty() {
            let length = body.len().saturating_sub(self.shortened);
            let lines = format!("Content-Type: {media_type}\r\nContent-Length: {length}\r\n");
            out.extend(lines.into_bytes());
        }
        for (name, value) in &self.headers {
            out.extend(name.as_bytes());
            out.extend(b": ");
            out.extend(value);
            out.extend(b"\r\n");
        }
        out.extend(b"\r\n");
        out.extend(body);
        out
    }
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        if !out.is_empty() {
            out.push(b'&');
        }
        field.write(&mut out);
    }
    out
}

impl fmt::Display for Request {
    /// As far as a person reads on.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.encode(0);
        write!(formatter, "{}", bytes[..bytes.len().min(4096)].escape_ascii())
    }
}
