//! The numbers of statuses and reasons in scripts and stored entries.

use pynenc_core::{Reason, Status};

pub(crate) const fn status_code(status: Status) -> u8 {
    status as u8 + 1
}

pub(crate) const fn reason_code(reason: Reason) -> u8 {
    reason as u8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes are stored: append a new status or reason at the end, and never rename or remove one.
    #[test]
    fn stored_codes_never_change() {
        let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            statuses.join(" "),
            "registered scheduled concurrency_controlled rerouted pending running paused retry success failed \
             cancelled concurrency_controlled_final"
        );
        assert_eq!(
            reasons.join(" "),
            "submitted claimed started waiting resumed put_aside woken slot_taken slot_handed_over returned raised \
             timed_out cancel_requested shutdown owner_lost claim_lost poison_pill unknown_task corrupt_record \
             arguments_unavailable result_rejected wait_cycle non_determinism"
        );
    }
}
