//! The literals that stand for names in scripts, and the codes of statuses, reasons and actors.

use pynenc_core::Status;
use pynenc_core::record::Priority;
use pynenc_core::status::{Actors, EDGES};

use crate::codes::{CLAIMER, OWNER, SYSTEM, reason_code, status_code};
use crate::keys::Key;

/// The lease of a runner that claims before its first heartbeat, in milliseconds.
const FIRST_LEASE: u64 = 15_000;
/// The longest outcome that a completion message carries, in bytes.
const PUSHED_OUTCOME: usize = 4096;
/// How many leases long a retired runner is remembered, so that its next call is refused.
const REMEMBERED_LEASES: u64 = 10;

/// The fields of a parsed entry, in their order. The first is the entry's text.
const FIELDS: [&str; 28] = [
    "raw",
    "layout",
    "status",
    "reason",
    "cancel_requested",
    "granted",
    "has_idempotency_key",
    "watched",
    "version",
    "epoch",
    "deliveries",
    "starts",
    "losses",
    "retries",
    "at",
    "due",
    "owner",
    "token",
    "registered_at",
    "registration_length",
    "when_blocked",
    "has_registration_key",
    "priority",
    "retention",
    "failure_retention",
    "queue",
    "task",
    "keys_start",
];

/// The literal for a name in a namespace.
pub(super) fn literal(namespace: &str, name: &str) -> Option<String> {
    match namespace {
        "K" => Key::ALL.iter().find(|(key, _)| *key == name).map(|(_, text)| format!("P..'{text}'")),
        "S" => name.parse().ok().map(|status| status_code(status).to_string()),
        "R" => name.parse().ok().map(|reason| reason_code(reason).to_string()),
        "E" => FIELDS.iter().position(|field| *field == name).map(|index| (index + 1).to_string()),
        "A" => actor(name).map(|bit| bit.to_string()),
        _ => table(name),
    }
}

fn actor(name: &str) -> Option<u8> {
    match name {
        "claimer" => Some(CLAIMER),
        "owner" => Some(OWNER),
        "system" => Some(SYSTEM),
        _ => None,
    }
}

fn table(name: &str) -> Option<String> {
    match name {
        "edges" => Some(format!("'{}'", edges())),
        "statuses" => Some(Status::ALL.len().to_string()),
        "claimable" => Some(set_of(Status::is_claimable)),
        "owned" => Some(set_of(Status::is_owned)),
        "final" => Some(set_of(Status::is_final)),
        "raised" => Some(Priority::default().raised(1).level().to_string()),
        "pushed_outcome" => Some(PUSHED_OUTCOME.to_string()),
        "first_lease" => Some(FIRST_LEASE.to_string()),
        "remembered_leases" => Some(REMEMBERED_LEASES.to_string()),
        _ => None,
    }
}

/// A digit for every pair of statuses: the actors who may make the transition.
fn edges() -> String {
    let pairs = Status::ALL.iter().flat_map(|from| Status::ALL.iter().map(move |to| (*from, *to)));
    pairs.map(|(from, to)| char::from(b'0' + actors_of(from, to))).collect()
}

fn actors_of(from: Status, to: Status) -> u8 {
    let edge = EDGES.iter().find(|edge| edge.from == from && edge.to == to);
    edge.map_or(0, |edge| match edge.actors {
        Actors::Claimer => CLAIMER,
        Actors::Owner => OWNER,
        Actors::System => SYSTEM,
        Actors::OwnerOrSystem => OWNER | SYSTEM,
        Actors::ClaimerOrSystem => CLAIMER | SYSTEM,
    })
}

/// A digit for every status: whether it is in a set.
fn set_of(contains: impl Fn(Status) -> bool) -> String {
    let digits: String = Status::ALL.iter().map(|status| if contains(*status) { '1' } else { '0' }).collect();
    format!("'{digits}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_lists_the_actors_who_may_take_it() {
        assert_eq!(actors_of(Status::Registered, Status::Pending), CLAIMER);
        assert_eq!(actors_of(Status::Running, Status::Failed), OWNER | SYSTEM);
        assert_eq!(actors_of(Status::Success, Status::Running), 0);
    }
}
