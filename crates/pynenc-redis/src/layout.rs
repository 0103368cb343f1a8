//! The layout of stored entries, which scripts read too.

/// The layout of the stored data. A change of any stored format needs another number.
pub(crate) const LAYOUT: u8 = 3;
/// The fields of the header with their lengths in bytes. Scripts read them by their position.
pub(crate) const HEADER: [(&str, usize); 13] = [
    ("layout", 1),
    ("status", 1),
    ("reason", 1),
    ("version", 4),
    ("epoch", 4),
    ("deliveries", 4),
    ("starts", 4),
    ("losses", 4),
    ("retries", 4),
    ("due", 6),
    ("owner", 16),
    ("flags", 1),
    ("registration_length", 2),
];
/// The fields behind the registration, with their lengths in bytes: the time of the last transition, the token of the last
/// claim, the time of the registration, and the chunk of the listing.
pub(crate) const OWN: [(&str, usize); 4] = [("at", 6), ("token", 16), ("registered_at", 6), ("chunk", 4)];
/// The length of the state: the fields from the status to the owner.
pub(crate) const STATE: usize = 48;
