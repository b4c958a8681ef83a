//! `claviger hash-password`: a password from the terminal or a pipe, its Argon2id hash to standard output.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Context, bail, ensure};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::login::password::hash_once;
use crate::oidc::password::Password;
use crate::oidc::password_rules;
use crate::random::SystemRandom;

/// Print the Argon2id hash of a password, for the Secret that an `OidcUser` refers to
///
/// Asks twice on a terminal. Otherwise reads standard input, without the line end after the password.
#[derive(Debug, Args)]
pub struct HashPassword {}

/// Runs the subcommand.
pub fn run(_: &HashPassword) -> anyhow::Result<()> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        ask_twice()?
    } else {
        read_piped(stdin.lock())?
    };
    password_rules::check(&password)?;
    let hash = hash_once(&password, &SystemRandom)?;
    writeln!(io::stdout(), "{}", hash.as_phc()).context("failed to write the hash")
}

/// Two prompts, so that a slip of the finger does not become the password.
fn ask_twice() -> anyhow::Result<Password> {
    let first = ask("Password: ")?;
    let second = ask("Again: ")?;
    ensure!(
        first.expose() == second.expose(),
        "the two passwords differ; nothing was hashed"
    );
    Ok(first)
}

fn ask(prompt: &str) -> anyhow::Result<Password> {
    let mut stderr = io::stderr();
    write!(stderr, "{prompt}").context("failed to write the prompt")?;
    stderr.flush().context("failed to write the prompt")?;
    let _silence = Silence::begin().context("failed to turn off the terminal's echo")?;
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
    limited(io::stdin().lock())
        .read_until(b'\n', &mut line)
        .context("failed to read the password")?;
    ensure!(!line.is_empty(), "no password was typed");
    password_of(line)
}

fn read_piped(input: impl BufRead) -> anyhow::Result<Password> {
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT));
    limited(input)
        .read_to_end(&mut text)
        .context("failed to read the password from standard input")?;
    password_of(text)
}

/// Room for the longest password and its line end, and one byte more that tells that it was longer.
const LIMIT: usize = Password::MAX_BYTES + 3;

fn limited<R: BufRead>(input: R) -> io::Take<R> {
    input.take(LIMIT as u64)
}

/// The text up to its line end.
fn password_of(mut text: Zeroizing<Vec<u8>>) -> anyhow::Result<Password> {
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    if text.contains(&b'\n') {
        bail!("the input has more than one line; give the password alone");
    }
    let text = std::str::from_utf8(&text).context("the password is not UTF-8")?;
    Password::new(text).with_context(|| format!("the password has more than {} bytes", Password::MAX_BYTES))
}

/// The terminal does not show what is typed for as long as this lives; line ends excepted, so that the next prompt
/// stands on a line of its own.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let usual = tcgetattr(io::stdin())?;
        let mut silent = usual.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(usual))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.0) {
            tracing::warn!(%error, "failed to turn the terminal's echo on again; run `stty echo`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_not_part_of_a_piped_password() {
        for (input, expected) in [
            ("correct horse", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("correct horse\r\n", "correct horse"),
            (" correct horse \n", " correct horse "),
            ("correct horse\r", "correct horse\r"),
            ("", ""),
        ] {
            assert_eq!(
                read_piped(input.as_bytes()).unwrap().expose(),
                expected,
                "{input:?}"
            );
        }
    }

    #[test]
    fn what_is_no_password_is_refused() {
        let longest = "a".repeat(Password::MAX_BYTES);
        assert_eq!(
            read_piped(format!("{longest}\r\n").as_bytes()).unwrap().expose(),
            longest
        );
        let endless = io::BufReader::new(io::repeat(b'a'));
        let long = format!("{longest}a");
        let table: [(Box<dyn BufRead>, &str); 5] = [
            (Box::new(endless), "more than 512 bytes"),
            (Box::new(long.as_bytes()), "more than 512 bytes"),
            (Box::new(&b"one\ntwo\n"[..]), "more than one line"),
            (Box::new(&b"one\n\n"[..]), "more than one line"),
            (Box::new(&b"\xff\xff\xff\xff\xff\xff\xff\xff"[..]), "not UTF-8"),
        ];
        for (input, message) in table {
            let error = read_piped(input).err().unwrap();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
