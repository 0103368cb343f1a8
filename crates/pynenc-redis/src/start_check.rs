//! Checks a server before its first use: whether this version can read the app's data, and whether the settings may lose
//! acknowledged work.

use pynenc_core::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::config::StartCheck;
use crate::keys::Key;
use crate::layout::LAYOUT;
use crate::value::{bytes, list, optional};

/// The first version with every command that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// Connects, and checks the server as `redis.start_check` says.
pub(crate) async fn check(client: &Client) -> Result<()> {
    client.now().await?;
    check_layout(client).await?;
    let strictness = client.config().start_check;
    if strictness == StartCheck::Off {
        return Ok(());
    }
    let found = weaknesses(client).await?;
    match (strictness, found.is_empty()) {
        (_, true) | (StartCheck::Off, _) => Ok(()),
        (StartCheck::Warn, false) => {
            tracing::warn!(weaknesses = found.join("; "), "redis may lose work");
            Ok(())
        }
        (StartCheck::Refuse, false) => Err(Error::config("redis may lose work, and `redis.start_check` is `refuse`")
            .with("weaknesses", found.join("; "))
            .with("address", client.config().address()?)),
    }
}

/// Marks the app's data with the layout of this version, unless it is marked already.
///
/// # Errors
///
/// The data has another layout.
async fn check_layout(client: &Client) -> Result<()> {
    let key = client.key(Key::Layout);
    let read = || async { optional(client.send(redis::cmd("GET").arg(&key)).await?) };
    let mut found = read().await?;
    if found.is_none() {
        match client.send(redis::cmd("SET").arg(&key).arg(LAYOUT).arg("NX")).await {
            // A server without free memory still lets running work finish.
            Err(error) if error.kind() == ErrorKind::StoreFull => return Ok(()),
            marked => marked?,
        };
        found = read().await?;
    }
    let found = found.unwrap_or_default();
    if found == LAYOUT.to_string().into_bytes() {
        return Ok(());
    }
    Err(Error::config(
        "this version of pynenc can't read the app's data in redis, because another version wrote it; let that version \
         finish the work, then run its `pynenc purge`, or set another `app_id`",
    )
    .with("layout", String::from_utf8_lossy(&found))
    .with("readable", LAYOUT))
}

/// The server's settings that may lose work.
pub(crate) async fn weaknesses(client: &Client) -> Result<Vec<String>> {
    Ok(weaknesses_of(&server_info(client).await?, snapshots(client).await.as_deref()))
}

async fn server_info(client: &Client) -> Result<String> {
    let info = bytes(client.send(&redis::cmd("INFO")).await?)?;
    Ok(String::from_utf8_lossy(&info).into_owned())
}

/// When the server takes snapshots; `None` if the user may not read the setting.
async fn snapshots(client: &Client) -> Option<String> {
    let setting = list(client.send(redis::cmd("CONFIG").arg("GET").arg("save")).await.ok()?).ok()?;
    let value = bytes(setting.into_iter().nth(1)?).ok()?;
    String::from_utf8(value).ok()
}

fn weaknesses_of(info: &str, snapshots: Option<&str>) -> Vec<String> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    let mut found = Vec::new();
    let version = value("redis_version");
    if is_older(version) {
        found.push(format!("version {version} is older than {}.{}", OLDEST.0, OLDEST.1));
    }
    let policy = value("maxmemory_policy");
    if !policy.is_empty() && policy != "noeviction" {
        found.push(format!("maxmemory-policy is {policy}, which drops queued work; set it to noeviction"));
    }
    if value("aof_enabled") == "0" {
        found.push(match snapshots {
            Some("") => "a restart loses everything; set appendonly to yes".to_owned(),
            _ => "a restart loses everything after the last snapshot; set appendonly to yes".to_owned(),
        });
    }
    found
}

fn is_older(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    !version.is_empty() && found < OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(info: &str, snapshots: &str, expected: &[&str]) {
        let found = weaknesses_of(info, Some(snapshots));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        found.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found}"));
    }

    #[test]
    fn settings_that_may_lose_work_are_named() {
        check("redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1", "", &[]);
        check("redis_version:6.0.9\r\naof_enabled:1", "", &["older than 6.2"]);
        check("maxmemory_policy:allkeys-lru\r\naof_enabled:1", "", &["allkeys-lru"]);
        check("aof_enabled:0", "", &["loses everything;"]);
        check("aof_enabled:0", "3600 1", &["last snapshot"]);
    }
}
