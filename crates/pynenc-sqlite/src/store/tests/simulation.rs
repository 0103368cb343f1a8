//! Simulations of crashing workers over a SQLite file.
//!
//! A simulation polls one future at a time and moves the time itself, so the steps run on its own thread instead of the
//! writer's. All else is real: the SQL, the statements of a connection, and the transactions.

use std::sync::Mutex;

use pynenc_kv::{Group, KvBroker, KvOrchestrator, KvStateBackend, KvTriggerStore};
use pynenc_testkit::ManualClock;
use pynenc_testkit::simulation::{Mutation, Stores, simulate};

use super::*;
use crate::connection::{Role, create_and_open};
use crate::schema;
use crate::session::Session;

/// A file whose steps run on the thread of their caller. Each is rolled back once, and then performed again.
struct Unthreaded {
    path: PathBuf,
    connection: Mutex<Connection>,
    _folder: TempDir,
}

impl fmt::Debug for Unthreaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unthreaded").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Unthreaded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let mut connection = create_and_open(&path, Role::Writer(Synchronous::Normal)).unwrap();
        schema::migrate(&path, &mut connection, Kind::Main).unwrap();
        Self { path, connection: Mutex::new(connection), _folder: folder }
    }
}

impl KeyValue for Unthreaded {
    fn store_id(&self) -> StoreId {
        StoreId(self.path.display().to_string().into())
    }

    fn write(&self, step: Box<dyn Step>) {
        let mut group = Group::new(vec![step]);
        let connection = self.connection.lock().unwrap();
        let mut session = Session::new(&self.path, &connection);
        let mut perform = |end: &str| {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let ran = group.run(session.of_app(AppKeys::new(1)));
            connection.execute_batch(if ran.is_ok() { end } else { "ROLLBACK" }).unwrap();
            ran
        };
        drop(perform("ROLLBACK"));
        let committed = perform("COMMIT");
        drop(session);
        drop(connection);
        group.finish(committed);
    }

    fn read(&self, step: Box<dyn Step>) {
        self.write(step);
    }
}

fn stores(clock: ManualClock) -> Stores {
    let store = KvStore::new(Arc::new(Unthreaded::new()), Arc::new(clock));
    Stores {
        broker: Arc::new(KvBroker::new(store.clone())),
        orchestrator: Arc::new(KvOrchestrator::new(store.clone())),
        state: Arc::new(KvStateBackend::new(store.clone())),
        triggers: Arc::new(KvTriggerStore::new(store)),
    }
}

#[test]
fn promises_hold_when_workers_crash() {
    for seed in 0..15 {
        simulate(seed, stores, Mutation::None).unwrap_or_else(|violation| panic!("{violation}"));
    }
}
