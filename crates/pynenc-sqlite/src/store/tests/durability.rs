//! Tests of the log, of its loss, and of copies of a file.

use super::*;

/// Opens a file without checkpoints.
async fn open_without_checkpoints(path: &Path) -> Arc<FileStore> {
    let (kind, synchronous, checkpoint) = (Kind::Main, Synchronous::Full, Checkpoint::Off);
    let file = File::open(&FileKey { path: path.to_owned(), kind, synchronous, checkpoint }).await.unwrap();
    Arc::new(FileStore::new(Arc::new(file), "app", Arc::new(SystemClock)).await.unwrap())
}

#[tokio::test]
async fn the_log_stays_short_under_load_beside_a_reader() {
    let opened = Opened::new().await;
    // A connection that has read and reads again keeps no snapshot in between.
    let reader = Connection::open(opened.path()).unwrap();
    for number in 0..400_u64 {
        write(&opened.store, move |transaction| {
            transaction.put(Table::Record, &(number % 20).to_be_bytes(), &block(number, 500_000))
        })
        .await
        .unwrap();
        let count = reader.query_row("SELECT count(*) FROM pynenc_record", [], |row| row.get::<_, u32>(0)).unwrap();
        assert!(count > 0 && log_bytes(&opened) < 64 << 20, "{number}: {}", log_bytes(&opened));
    }
}

#[tokio::test]
async fn a_backup_is_a_store_with_the_same_data() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let config = SqliteConfig::with_path(opened.path().to_str().unwrap());
    let content = open_file(&content_file(&opened.path()), Kind::Content, "app").await.unwrap();
    write(&content, |transaction| transaction.put(Table::Content, b"d", b"c")).await.unwrap();
    let maintenance = Maintenance::of(&config).unwrap();
    let copies = maintenance.back_up(&opened.folder.path().join("copy.db")).unwrap();
    assert_eq!(copies.len(), 2);
    assert!(maintenance.back_up(&copies[0]).unwrap_err().to_string().contains("exists already"));
    let parts = [(Kind::Main, Table::Entry, b"k", b"v"), (Kind::Content, Table::Content, b"d", b"c")];
    for (path, (kind, table, key, value)) in copies.iter().zip(parts) {
        let copy = open_file(path, kind, "app").await.unwrap();
        let found = read(&copy, move |transaction| transaction.get(table, key)).await.unwrap();
        assert_eq!(found, Some(value.to_vec()));
    }
}

#[tokio::test]
async fn a_vacuum_gives_the_space_of_deleted_rows_back() {
    let opened = Opened::new().await;
    for number in 0..4_u8 {
        write(&opened.store, move |transaction| transaction.put(Table::Record, &[number], &block(1, 1 << 20)))
            .await
            .unwrap();
    }
    write(&opened.store, |transaction| transaction.delete_range(Table::Record, KeyRange::ALL)).await.unwrap();
    let maintenance = Maintenance::of(&SqliteConfig::with_path(opened.path().to_str().unwrap())).unwrap();
    let (before, after) = maintenance.vacuum().unwrap();
    assert!(before > 4 << 20 && after < 1 << 20, "{before} {after}");
    assert_eq!(maintenance.check().unwrap(), Vec::<String>::new());
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
}

/// The number of the steps whose writes are in a store. Each step writes to two tables.
async fn steps_in(store: &FileStore) -> u32 {
    read(store, |transaction| {
        let [entries, records] =
            [Table::Entry, Table::Record].map(|table| transaction.range(table, KeyRange::ALL, 1000));
        let (entries, records) = (entries?.len(), records?.len());
        assert_eq!(entries, records, "a step is whole");
        Ok(u32::try_from(entries).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_log_that_a_power_failure_has_cut_keeps_every_step_that_was_acknowledged_before() {
    let opened = Opened::new().await;
    let mut lengths = Vec::new();
    for number in 0..40_u32 {
        let size = usize::try_from(number * 331 % 9000).unwrap();
        write(&opened.store, move |transaction| {
            transaction.put(Table::Entry, &number.to_be_bytes(), b"")?;
            transaction.put(Table::Record, &number.to_be_bytes(), &block(1, size))
        })
        .await
        .unwrap();
        lengths.push(log_bytes(&opened));
    }
    let [database, log] = [opened.path(), beside(&opened.path(), "-wal")].map(|path| std::fs::read(path).unwrap());
    let whole = log.len();
    let mut random = fastrand::Rng::with_seed(7);
    let cuts = (0..24).map(|_| random.usize(..whole)).chain([whole]);
    for cut in cuts {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("jobs.db");
        std::fs::write(&copy, &database).unwrap();
        std::fs::write(beside(&copy, "-wal"), &log[..cut]).unwrap();
        let acknowledged = lengths.iter().filter(|length| **length <= cut as u64).count();
        let kept = steps_in(&open(&folder, "app").await.unwrap()).await;
        assert_eq!(usize::try_from(kept).unwrap(), acknowledged, "cut at {cut} of {whole}");
    }
}

#[tokio::test]
async fn without_checkpoints_the_log_stays_when_the_file_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open_without_checkpoints(&path).await;
    write(&store, |transaction| transaction.put(Table::Record, b"k", &block(1, 6 << 20))).await.unwrap();
    read(&store, |transaction| transaction.get(Table::Entry, b"k")).await.unwrap();
    drop(store);
    let [database, log] = [path.clone(), beside(&path, "-wal")].map(|path| std::fs::metadata(path).unwrap().len());
    assert!(database < 1 << 20 && log > 6 << 20, "{database} {log}");
}
