//! Errors of SQLite, as errors of the component.

use std::path::Path;

use pynenc_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Converts an error of SQLite on a file.
pub(crate) fn store_error(path: &Path, error: rusqlite::Error) -> Error {
    let kind = kind(error.sqlite_error_code());
    let message = message(error.sqlite_error_code());
    Error::new(kind, message).with("file", path.display()).with("reason", &error).caused_by(error)
}

fn kind(code: Option<ErrorCode>) -> ErrorKind {
    match code {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::OperationInterrupted
            | ErrorCode::CannotOpen,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::DiskFull) => ErrorKind::StoreFull,
        Some(
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ReadOnly | ErrorCode::PermissionDenied,
        ) => ErrorKind::Config,
        Some(ErrorCode::TooBig) => ErrorKind::TooLarge,
        _ => ErrorKind::Unexpected,
    }
}

const fn message(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has locked the SQLite file for longer than 5s"
        }
        Some(ErrorCode::DiskFull) => "the disk of the SQLite file is full",
        Some(ErrorCode::DatabaseCorrupt) => {
            "the SQLite file is damaged, so pynenc stops using it; stop all processes, copy the file with its `-wal` \
             file, then restore a backup, or salvage the rows with `sqlite3 FILE .recover`"
        }
        Some(ErrorCode::NotADatabase) => {
            "the file of `sqlite.path` isn't a SQLite database, so pynenc leaves it alone; choose another file"
        }
        Some(ErrorCode::ReadOnly) => "the SQLite file can't be written; check its permissions and its file system",
        Some(ErrorCode::PermissionDenied) => "the system denies access to the SQLite file; check its permissions",
        Some(ErrorCode::CannotOpen) => {
            "the SQLite file can't be opened; check its permissions, and the limit of open files of the process"
        }
        Some(ErrorCode::SystemIoFailure) => "the system failed to read or write the SQLite file",
        _ => "SQLite can't serve the request",
    }
}

/// An error after which a connection can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The file is damaged or isn't a database: no request can succeed until a person acts.
    Damage,
    /// Another connection may work.
    Connection,
}

pub(crate) fn failure(error: &rusqlite::Error) -> Option<Failure> {
    match error.sqlite_error_code()? {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Failure::Damage),
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly => Some(Failure::Connection),
        _ => None,
    }
}

pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn check(code: i32, kind: ErrorKind, after: Option<Failure>, part: &str) {
        let error = || rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let shown = store_error(Path::new("/srv/jobs.db"), error());
        assert_eq!((shown.kind(), failure(&error())), (kind, after), "{shown}");
        assert!(shown.to_string().contains(part) && shown.to_string().contains("/srv/jobs.db"), "{shown}");
    }

    #[test]
    fn errors_have_a_kind_the_file_and_advice() {
        check(ffi::SQLITE_BUSY, ErrorKind::Unavailable, None, "another process has locked");
        check(ffi::SQLITE_FULL, ErrorKind::StoreFull, None, "is full");
        check(ffi::SQLITE_IOERR_FSYNC, ErrorKind::Unavailable, Some(Failure::Connection), "failed to read or write");
        check(ffi::SQLITE_CORRUPT, ErrorKind::Config, Some(Failure::Damage), "restore a backup");
        check(ffi::SQLITE_NOTADB, ErrorKind::Config, Some(Failure::Damage), "isn't a SQLite database");
        check(ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable, Some(Failure::Connection), "check its permissions");
        check(ffi::SQLITE_READONLY, ErrorKind::Config, Some(Failure::Connection), "can't be written");
    }
}
