//! The file with the passwords and the tokens of users.
//!
//! Each line has four words: the kind `password` or `token`, the user's name, the role, and a hash. Passwords are hashed
//! with Argon2id. A token has 256 random bits, so SHA-256 is enough. Empty lines, and lines that begin with `#`, are
//! ignored.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use pynenc_core::{Digest, Error, Result};
use tokio::time::Instant;

use super::user::{Role, User};

/// How often a changed file is noticed, at most.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The beginning of a token, by which scanners for secrets and people recognize it.
const TOKEN_PREFIX: &str = "pynenc_";

/// The users of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    passwords: HashMap<String, (Role, String)>,
    tokens: HashMap<String, User>,
}

/// A file with credentials, which is read again when it has changed.
#[derive(Debug)]
pub(super) struct CredentialsFile {
    path: PathBuf,
    read: Mutex<LastRead>,
}

#[derive(Debug)]
struct LastRead {
    users: Arc<Users>,
    modified: Option<SystemTime>,
    checked: Instant,
}

impl CredentialsFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file can't be read or has an invalid line.
    pub(super) fn open(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        let modified = modified(&path);
        let users = Arc::new(read(&path)?);
        Ok(Self { path, read: Mutex::new(LastRead { users, modified, checked: Instant::now() }) })
    }

    /// The present users. If the file was changed and can't be read any more, the users of the last reading stay.
    pub(super) fn users(&self) -> Arc<Users> {
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if last.checked.elapsed() >= CHECK_INTERVAL {
            last.checked = Instant::now();
            let modified = modified(&self.path);
            if modified != last.modified {
                last.modified = modified;
                match read(&self.path) {
                    Ok(users) => last.users = Arc::new(users),
                    Err(error) => tracing::error!(%error, "the changed file of `web.credentials_file` is ignored"),
                }
            }
        }
        last.users.clone()
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(path: &PathBuf) -> Result<Users> {
    let unusable = |error: Error| error.with("file", path.display()).with("setting", "web.credentials_file");
    let text = std::fs::read_to_string(path)
        .map_err(|error| unusable(Error::config("can't read the file with the users").caused_by(error)))?;
    Users::parse(&text).map_err(unusable)
}

impl Users {
    /// Reads the lines of a file.
    fn parse(text: &str) -> Result<Self> {
        let mut users = Self::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            let invalid = |why: &str| {
                let error = Error::config("invalid line in the file with the users").with("line", number + 1);
                error.with("why", why.to_owned()).with("make one with", "`web password NAME` or `web token NAME`")
            };
            match words[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                [kind, name, role, hash] => {
                    let role: Role = role.parse().map_err(|error: Error| invalid(&error.to_string()))?;
                    users.add(kind, name, role, hash).map_err(invalid)?;
                }
                _ => return Err(invalid("a line has four words: kind, name, role and hash")),
            }
        }
        Ok(users)
    }

    fn add(&mut self, kind: &str, name: &str, role: Role, hash: &str) -> Result<(), &'static str> {
        let is_new = match kind {
            "password" => {
                PasswordHash::new(hash).map_err(|_| "the hash of a password begins with `$argon2id$`")?;
                self.passwords.insert(name.to_owned(), (role, hash.to_owned())).is_none()
            }
            "token" => {
                let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_hash {
                    return Err("the hash of a token has 64 hexadecimal digits");
                }
                self.tokens.insert(hash.to_ascii_lowercase(), User { name: name.to_owned(), role }).is_none()
            }
            _ => return Err("the kind of a line is `password` or `token`"),
        };
        if is_new { Ok(()) } else { Err("the file has this user's password or this token twice") }
    }

    /// The user with this token.
    pub(super) fn of_token(&self, token: &str) -> Option<&User> {
        self.tokens.get(&Digest::of(token.as_bytes()).to_string())
    }

    /// The role of the user with a password.
    pub(super) fn role(&self, name: &str) -> Option<Role> {
        self.passwords.get(name).map(|(role, _)| *role)
    }

    /// Whether a user has this password. It takes the same time for an unknown user, so that names can't be found out. It
    /// needs about 20 ms of one core.
    pub(super) fn verify(&self, name: &str, password: &str) -> bool {
        let any = || self.passwords.values().next();
        let Some((_, hash)) = self.passwords.get(name).or_else(any) else { return false };
        let is_right = PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        is_right && self.passwords.contains_key(name)
    }
}

/// Makes the line of a user with a password, for the file `web.credentials_file`.
///
/// # Errors
///
/// The name is empty or has spaces, the password is empty, or the system has no random numbers.
pub fn password_line(name: &str, role: Role, password: &str) -> Result<String> {
    check_name(name)?;
    if password.is_empty() {
        return Err(Error::invalid("the password is empty"));
    }
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Error::invalid("the password can't be hashed").with("why", error.to_string()))?;
    Ok(format!("password {name} {role} {hash}"))
}

/// Makes a token, and its line for the file `web.credentials_file`. Returns the token and the line.
///
/// # Errors
///
/// The name is empty or has spaces, or the system has no random numbers.
pub fn new_token_line(name: &str, role: Role) -> Result<(String, String)> {
    check_name(name)?;
    let token = format!("{TOKEN_PREFIX}{}", random_digits()?);
    let line = format!("token {name} {role} {}", Digest::of(token.as_bytes()));
    Ok((token, line))
}

fn check_name(name: &str) -> Result<()> {
    let is_word = !name.is_empty() && !name.starts_with('#') && !name.contains(char::is_whitespace);
    if is_word { Ok(()) } else { Err(Error::invalid("a user's name is one word").with("found", name)) }
}

/// A secret of 256 random bits, as hexadecimal digits.
pub(super) fn random_digits() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::unavailable("the system has no random numbers").caused_by(error))?;
    Ok(Digest::of(&bytes).to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    #[test]
    fn a_password_and_a_token_are_recognized() {
        let (token, line) = new_token_line("ci", Role::Operator).unwrap();
        let file = format!("# users\n\n{}\n{line}\n", password_line("ann", Role::Viewer, "s3cret").unwrap());
        let users = Users::parse(&file).unwrap();
        assert!(users.verify("ann", "s3cret"));
        assert!(!users.verify("ann", "s3cret "));
        assert!(!users.verify("bob", "s3cret"), "the hash that an unknown name is compared with isn't this user's");
        assert_eq!(users.role("ann"), Some(Role::Viewer));
        assert_eq!(users.of_token(&token).map(|user| &*user.name), Some("ci"));
        assert_eq!(users.of_token(&token[1..]), None);
        assert!(!file.contains("s3cret") && !file.contains(&token));
    }

    #[test]
    fn an_invalid_line_is_named() {
        let hash = "0".repeat(64);
        let twice = format!("token a viewer {hash}\ntoken b viewer {hash}");
        for (file, why) in [
            ("password ann viewer", "four words"),
            ("password ann admin x", "unknown role"),
            ("password ann viewer secret", "$argon2id$"),
            ("token ci viewer secret", "64 hexadecimal digits"),
            ("key ci viewer secret", "`password` or `token`"),
            (&*twice, "twice"),
        ] {
            let error = Users::parse(file).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("line"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_again_and_a_broken_one_is_ignored() {
        let path = std::env::temp_dir().join(format!("pynenc-users-{}", std::process::id()));
        let write = |text: &str, at: u64| {
            std::fs::write(&path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        let (first, first_line) = new_token_line("first", Role::Viewer).unwrap();
        let (second, second_line) = new_token_line("second", Role::Viewer).unwrap();
        write(&first_line, 1);
        let file = CredentialsFile::open(&path.to_string_lossy()).unwrap();
        write(&second_line, 2);
        assert!(file.users().of_token(&first).is_some(), "a change is noticed after a second");
        tokio::time::advance(CHECK_INTERVAL).await;
        assert!(file.users().of_token(&first).is_none() && file.users().of_token(&second).is_some());
        write("nonsense", 3);
        tokio::time::advance(CHECK_INTERVAL).await;
        assert!(file.users().of_token(&second).is_some());
        std::fs::remove_file(&path).unwrap();
    }
}
