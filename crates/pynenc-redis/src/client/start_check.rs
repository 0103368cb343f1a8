//! What is looked at before the first use of a server: whether it may lose what it acknowledged.

use pynenc_core::{Error, Result};

use super::{RedisStore, bytes, list};
use crate::config::StartCheck;

/// The first version with everything that scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// Connects, and looks at the server as far as the settings say.
pub(super) async fn check(store: &RedisStore) -> Result<()> {
    store.now().await?;
    let strictness = store.config().start_check;
    if strictness == StartCheck::Off {
        return Ok(());
    }
    let faults = weaknesses(store).await?;
    match (strictness, faults.is_empty()) {
        (_, true) | (StartCheck::Off, _) => Ok(()),
        (StartCheck::Warn, false) => {
            tracing::warn!(faults = faults.join("; "), "redis may lose work");
            Ok(())
        }
        (StartCheck::Refuse, false) => Err(Error::config("redis may lose work, and `redis.start_check` is `refuse`")
            .with("faults", faults.join("; "))
            .with("address", store.config().place()?)),
    }
}

pub(super) async fn weaknesses(store: &RedisStore) -> Result<Vec<String>> {
    Ok(faults(&server_info(store).await?, snapshots(store).await.as_deref()))
}

async fn server_info(store: &RedisStore) -> Result<String> {
    let info = bytes(store.send(&redis::cmd("INFO")).await?)?;
    Ok(String::from_utf8_lossy(&info).into_owned())
}

/// When the server takes snapshots; `None` where it doesn't tell.
async fn snapshots(store: &RedisStore) -> Option<String> {
    let answer = list(store.send(redis::cmd("CONFIG").arg("GET").arg("save")).await.ok()?).ok()?;
    let value = bytes(answer.into_iter().nth(1)?).ok()?;
    String::from_utf8(value).ok()
}

fn faults(info: &str, snapshots: Option<&str>) -> Vec<String> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    let mut faults = Vec::new();
    let version = value("redis_version");
    if is_older(version) {
        faults.push(format!("version {version} is older than {}.{}", OLDEST.0, OLDEST.1));
    }
    let policy = value("maxmemory_policy");
    if !policy.is_empty() && policy != "noeviction" {
        faults.push(format!("maxmemory-policy is {policy}, which drops queued work; set it to noeviction"));
    }
    if value("aof_enabled") == "0" {
        faults.push(match snapshots {
            Some("") => "nothing is kept over a restart; set appendonly to yes".to_owned(),
            _ => "a restart loses what came after the last snapshot; set appendonly to yes".to_owned(),
        });
    }
    faults
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
        let found = faults(info, Some(snapshots));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        found.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found}"));
    }

    #[test]
    fn what_may_lose_work_is_named() {
        check("redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1", "", &[]);
        check("redis_version:6.0.9\r\naof_enabled:1", "", &["older than 6.2"]);
        check("maxmemory_policy:allkeys-lru\r\naof_enabled:1", "", &["allkeys-lru"]);
        check("aof_enabled:0", "", &["nothing is kept"]);
        check("aof_enabled:0", "3600 1", &["last snapshot"]);
    }
}
