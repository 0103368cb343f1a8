//! The place of a database file: its path, its folder and its file system.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use pynenc_core::{Error, ErrorKind, Result};

/// File systems that other machines can change. SQLite's log needs memory that all processes share.
const NETWORK: [&str; 18] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.juicefs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// Returns the absolute path of the file that the setting `sqlite.path` names.
///
/// # Errors
///
/// The setting is empty or names no file, or the folder is missing.
pub(crate) fn absolute(setting: &str) -> Result<PathBuf> {
    let invalid = |reason: &'static str| Error::config(reason).with("sqlite.path", format!("{setting:?}"));
    if setting.is_empty() {
        return Err(Error::config("SQLite needs a file; set `sqlite.path`, or call `.sqlite(path)` of the builder"));
    }
    if setting.starts_with(':') || setting.starts_with("file:") {
        return Err(invalid("`sqlite.path` must be the path of a file; for a store in memory, use `.memory()`"));
    }
    if setting.contains(char::REPLACEMENT_CHARACTER) {
        return Err(invalid("`sqlite.path` must be valid Unicode; rename the file or its folder"));
    }
    let path = Path::new(setting);
    let is_folder = path.is_dir() || setting.ends_with(std::path::is_separator);
    let Some(name) = path.file_name().filter(|_| !is_folder) else {
        return Err(invalid("`sqlite.path` must name a file, and this is a folder"));
    };
    match path.metadata() {
        Ok(found) if !found.is_file() => return Err(invalid("`sqlite.path` must name a regular file")),
        Err(_) if path.is_symlink() => return Err(invalid("`sqlite.path` is a link to a file that doesn't exist")),
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|cause| {
        invalid("the folder of `sqlite.path` can't be used; create it, or correct the setting").caused_by(cause)
    })?;
    // Two links to one file are one file.
    Ok(path.canonicalize().unwrap_or_else(|_| folder.join(name)))
}

/// Checks whether SQLite can use the folder of a file.
///
/// # Errors
///
/// The folder allows no new files, or belongs to a network file system.
pub(crate) fn check_folder(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some(kind) = file_system(&mounts, folder).filter(|kind| NETWORK.contains(kind)) {
        return Err(Error::config(
            "SQLite can't share a file on a network file system between processes; move the file to a local disk",
        )
        .with("folder", folder.display())
        .with("file system", kind));
    }
    probe(folder).map_err(|cause| creation_failed(file, cause))
}

/// The error for a file that can't be created in the folder of `file`.
pub(crate) fn creation_failed(file: &Path, cause: io::Error) -> Error {
    let error = if is_full(&cause) {
        Error::new(ErrorKind::StoreFull, "the disk of the SQLite file is full")
    } else {
        Error::config(
            "SQLite needs to create files beside `sqlite.path`, and the folder doesn't allow that; use another folder, \
             or change its permissions",
        )
    };
    error.with("folder", file.parent().unwrap_or(file).display()).with("reason", &cause).caused_by(cause)
}

/// Whether there may be space later.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Creates and removes a file. This is the only check that covers permissions, quotas and read-only mounts.
fn probe(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".pynenc-{}-{}", std::process::id(), fastrand::u64(..)));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// Creates the file, which only its owner may read: it contains arguments and results.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// The file beside `path` with a name that ends in `suffix`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file with the content of the argument cache of a store.
pub(crate) fn content_file(path: &Path) -> PathBuf {
    beside(path, "-content")
}

/// The type of the file system that a folder belongs to, by the table of mounts of Linux.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = unescaped(mount.split(' ').nth(4)?);
        Some((point, file_system.split(' ').next()?))
    });
    // Of two mounts at one point, the later one covers the earlier one.
    let covering = mounts.filter(|(point, _)| folder.starts_with(point));
    covering.max_by_key(|(point, _)| Path::new(point).components().count()).map(|(_, kind)| kind)
}

/// A mount point without the escapes of the table.
fn unescaped(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |point, (escape, character)| point.replace(escape, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                          30 27 0:40 / /data rw - nfs4 server:/data rw\n\
                          31 30 0:41 / /data/local\\040disk rw shared:1 - xfs /dev/vdb rw\n\
                          32 27 0:42 / /home rw - nfs server:/home rw\n\
                          33 27 0:43 / /home rw - tmpfs tmpfs rw";

    #[test]
    fn the_innermost_mount_decides_the_file_system() {
        let check = |folder: &str, expected| assert_eq!(file_system(MOUNTS, Path::new(folder)), expected, "{folder}");
        check("/srv", Some("ext4"));
        check("/data/jobs", Some("nfs4"));
        check("/database", Some("ext4"));
        check("/data/local disk/jobs", Some("xfs"));
        check("/home/me", Some("tmpfs"));
        assert_eq!(file_system("", Path::new("/srv")), None);
    }

    #[test]
    fn a_full_disk_is_no_reason_to_change_a_setting() {
        let error = creation_failed(Path::new("/srv/jobs.db"), io::ErrorKind::StorageFull.into());
        assert_eq!(error.kind(), ErrorKind::StoreFull);
        assert!(error.to_string().contains("/srv"), "{error}");
    }

    fn check(setting: &str, part: &str) {
        let error = absolute(setting).and_then(|path| check_folder(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn a_path_that_names_no_usable_file_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        check("", "set `sqlite.path`");
        check(":memory:", "use `.memory()`");
        check("file:jobs.db?mode=memory", "use `.memory()`");
        check("jobs\u{fffd}.db", "valid Unicode");
        check(folder.path().to_str().unwrap(), "is a folder");
        check("jobs/", "is a folder");
        check(folder.path().join("missing/jobs.db").to_str().unwrap(), "create it");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_and_a_broken_link_are_refused() {
        check("/dev/null", "regular file");
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(folder.path().join("missing.db"), &link).unwrap();
        check(link.to_str().unwrap(), "a link to a file that doesn't exist");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_allows_no_new_files_is_refused() {
        check("/proc/jobs.db", "needs to create files beside");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_one_file_have_one_path_and_a_new_file_is_private() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = absolute(folder.path().join("jobs.db").to_str().unwrap()).unwrap();
        create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(absolute(link.to_str().unwrap()).unwrap(), path);
    }
}
