//! The connection that performs all writes of this process to one file.
//!
//! The writer's thread uses it for steps that wait for a disk or for other processes, and for those that arrive
//! meanwhile, several in one transaction. Other steps are performed by the threads that ask for them, if nobody else uses
//! the connection: two changes of the thread take longer than such a step.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pynenc_core::{Error, Result};
use pynenc_kv::{Durability, Group, Step};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpoints;
use crate::clock::StoreClock;
use crate::config::{Checkpoint, Synchronous};
use crate::connection::{Role, create_and_open, execute, open, set_synchronous, without_waiting};
use crate::error::{Failure, store_error};
use crate::identity::Identity;
use crate::schema::{self, Kind};
use crate::session::Session;
use crate::sql::AppKeys;
use crate::turns::Turns;

/// The most items of a step that the thread of its caller performs.
const FEW: usize = 4;
/// The time after which a transaction takes no more steps.
const LONGEST_TRANSACTION: Duration = Duration::from_millis(5);
/// The number of steps between two looks at the time.
const STEPS_OF_A_GROUP: usize = 64;

/// A request to the writer's thread.
pub(crate) enum Request {
    /// Performs a step on the keys of an app.
    Write(Arc<App>, Box<dyn Step>),
    /// Finds the number of an app.
    App(Box<str>, oneshot::Sender<Result<AppKeys>>),
}

impl Request {
    /// Reports that the request has failed.
    pub(crate) fn refuse(self, error: &Error) {
        match self {
            Self::Write(_, step) => step.finished(Err(error.duplicate())),
            Self::App(_, reply) => drop(reply.send(Err(error.duplicate()))),
        }
    }
}

/// An app that uses the file.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) keys: AppKeys,
    pub(crate) clock: Arc<StoreClock>,
}

/// The connection, and who may use it. Its fields are dropped in this order: the connection is closed last.
pub(crate) struct WriteConnection {
    path: Box<Path>,
    kind: Kind,
    synchronous: Synchronous,
    checkpoints: Checkpoints,
    state: Arc<Turns<State>>,
    /// Is set when the file is opened first.
    identity: OnceLock<Identity>,
    /// The requests that the writer's thread still has to perform.
    queued: AtomicUsize,
}

enum State {
    Open(Connection),
    /// Somebody has moved, deleted or replaced the file: nothing is written until it is back.
    Elsewhere(Connection),
    /// The connection is closed. Another one may work.
    Closed,
    /// The file is damaged: nothing is written until a person acts.
    Damaged(Error),
}

impl fmt::Debug for WriteConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteConnection").field("path", &self.path).finish_non_exhaustive()
    }
}

impl WriteConnection {
    /// A connection that isn't open yet. `checkpoint` says who runs the checkpoints.
    pub(crate) fn new(path: &Path, kind: Kind, synchronous: Synchronous, checkpoint: Checkpoint) -> Result<Self> {
        let state = Arc::new(Turns::new(State::Closed));
        let checkpoints = Checkpoints::start(path, checkpoint, &state)?;
        Ok(Self {
            path: path.into(),
            kind,
            synchronous,
            checkpoints,
            state,
            identity: OnceLock::new(),
            queued: AtomicUsize::new(0),
        })
    }

    /// Opens the file, which may be a new one.
    ///
    /// # Errors
    ///
    /// The file can't be opened or created, or it is damaged.
    pub(crate) fn open(&self) -> Result<()> {
        let mut state = self.state.take();
        *state = State::Open(self.prepared(create_and_open(&self.path, self.role())?)?);
        self.identity.get_or_init(|| Identity::of(&self.path));
        Ok(())
    }

    fn role(&self) -> Role {
        Role::Writer(self.synchronous)
    }

    fn prepared(&self, mut connection: Connection) -> Result<Connection> {
        schema::migrate(&self.path, &mut connection, self.kind)?;
        self.checkpoints.watch(&connection).map_err(|error| store_error(&self.path, error))?;
        Ok(connection)
    }

    /// Makes the connection usable, if possible.
    fn usable<'s>(&self, state: &'s mut State) -> Result<&'s Connection> {
        *state = match std::mem::replace(state, State::Closed) {
            State::Closed => {
                self.check_identity()?;
                State::Open(self.prepared(open(&self.path, self.role())?)?)
            }
            State::Elsewhere(connection) => match self.check_identity() {
                Ok(()) => State::Open(connection),
                Err(error) => {
                    *state = State::Elsewhere(connection);
                    return Err(error);
                }
            },
            state => state,
        };
        match state {
            State::Open(connection) => Ok(connection),
            State::Damaged(error) => Err(error.duplicate()),
            State::Closed | State::Elsewhere(_) => Err(Error::unavailable("the SQLite file isn't open")),
        }
    }

    fn check_identity(&self) -> Result<()> {
        self.identity.get().map_or(Ok(()), Identity::check)
    }

    /// Stops the writes if the file isn't where it was opened. Is called from time to time.
    pub(crate) fn check_place(&self) {
        let Err(error) = self.check_identity() else { return };
        let mut state = self.state.take();
        *state = match std::mem::replace(&mut *state, State::Closed) {
            State::Open(connection) => {
                tracing::error!(%error, "the SQLite file isn't written to");
                State::Elsewhere(connection)
            }
            state => state,
        };
    }

    /// Notes a request that is about to be sent to the writer's thread. No later request overtakes it.
    pub(crate) fn queue(&self) {
        self.queued.fetch_add(1, Ordering::AcqRel);
    }

    /// Performs a write on the thread of the caller, if that is faster than another thread: it waits for nothing. Otherwise
    /// returns the step.
    pub(crate) fn write_now(&self, app: &Arc<App>, step: Box<dyn Step>) -> Option<Box<dyn Step>> {
        let durability = step.durability();
        if step.items() > FEW || (self.synchronous == Synchronous::Full && durability == Durability::Power) {
            return Some(step);
        }
        let Some(mut state) = self.state.try_take() else { return Some(step) };
        let State::Open(connection) = &*state else { return Some(step) };
        let is_first = self.queued.load(Ordering::Acquire) == 0;
        if !is_first || without_waiting(|| self.begin(connection, durability)).is_err() {
            return Some(step);
        }
        let mut session = Session::new(&self.path, connection);
        let mut steps = VecDeque::from([Request::Write(app.clone(), step)]);
        let done = self.commit(connection, &mut session, &mut steps);
        close_after(session.end(), &mut state);
        drop(state);
        done.finish();
        None
    }

    /// Performs a read on the thread of the caller, if the connection is free and the step short. Otherwise returns the
    /// step.
    pub(crate) fn read_now(&self, app: AppKeys, step: Box<dyn Step>) -> Option<Box<dyn Step>> {
        if step.items() > FEW {
            return Some(step);
        }
        let Some(mut state) = self.state.try_take() else { return Some(step) };
        let State::Open(connection) = &*state else { return Some(step) };
        let mut session = Session::new(&self.path, connection);
        let mut group = Group::new(vec![step]);
        let read = session.snapshot(app, &mut group);
        close_after(session.end(), &mut state);
        drop(state);
        group.finish(read);
        None
    }

    /// Performs the first waiting requests: several steps in one transaction, or a request of another kind. If the
    /// connection fails or has failed, all are refused.
    pub(crate) fn perform(&self, waiting: &mut VecDeque<Request>) {
        let before = waiting.len();
        let mut state = self.state.take();
        let done = match self.usable(&mut state) {
            Ok(connection) => {
                let mut session = Session::new(&self.path, connection);
                let done = self.first(connection, &mut session, waiting);
                close_after(session.end(), &mut state);
                done
            }
            Err(error) => Done::refused(waiting, &error),
        };
        self.queued.fetch_sub(before - waiting.len(), Ordering::AcqRel);
        drop(state);
        done.finish();
    }

    fn first(&self, connection: &Connection, session: &mut Session<'_>, waiting: &mut VecDeque<Request>) -> Done {
        if let Some(Request::Write(..)) = waiting.front() {
            let durability = strictest(waiting);
            return match self.begin(connection, durability) {
                Ok(()) => self.commit(connection, session, waiting),
                Err(error) => {
                    let error = session.failed(error);
                    // These steps have waited for the lock. Each group would wait as long again.
                    let groups = std::iter::from_fn(|| next_group(waiting)).map(|(_, group)| group).collect();
                    Done { groups, result: Err(error) }
                }
            };
        }
        if let Some(Request::App(name, reply)) = waiting.pop_front() {
            let number = schema::app_number(connection, &name).map(AppKeys::new);
            drop(reply.send(number.map_err(|error| session.failed(error))));
        }
        Done::nothing()
    }

    /// Begins a transaction with a durability.
    fn begin(&self, connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
        if self.synchronous == Synchronous::Full {
            let needs_power = durability == Durability::Power;
            set_synchronous(connection, if needs_power { Synchronous::Full } else { Synchronous::Normal })?;
        }
        // A deferred transaction that becomes a writer fails at once if another process has written meanwhile.
        execute(connection, "BEGIN IMMEDIATE")
    }

    /// Commits the first waiting steps in the open transaction.
    fn commit(&self, connection: &Connection, session: &mut Session<'_>, waiting: &mut VecDeque<Request>) -> Done {
        let start = Instant::now();
        let mut groups = Vec::new();
        let mut ran = Ok(());
        while ran.is_ok()
            && (groups.is_empty() || start.elapsed() < LONGEST_TRANSACTION)
            && let Some((app, mut group)) = next_group(waiting)
        {
            ran = run(&app, &mut group, session);
            groups.push(group);
        }
        let result = ran.and_then(|()| {
            #[cfg(feature = "failpoints")]
            crate::failpoints::before_commit();
            execute(connection, "COMMIT").map_err(|error| session.failed(error))?;
            #[cfg(feature = "failpoints")]
            crate::failpoints::after_commit();
            Ok(())
        });
        if result.is_err() && !connection.is_autocommit() && execute(connection, "ROLLBACK").is_err() {
            session.fail_connection();
        }
        self.checkpoints.committed();
        Done { groups, result }
    }

    /// Calls a function with the connection. `None` if it isn't open.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&Connection) -> T) -> Option<T> {
        match &*self.state.take() {
            State::Open(connection) => Some(call(connection)),
            State::Closed | State::Elsewhere(_) | State::Damaged(_) => None,
        }
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

/// Steps whose transaction is over, and its result.
struct Done {
    groups: Vec<Group>,
    result: Result<()>,
}

impl Done {
    fn nothing() -> Self {
        Self { groups: Vec::new(), result: Ok(()) }
    }

    fn refused(waiting: &mut VecDeque<Request>, error: &Error) -> Self {
        waiting.drain(..).for_each(|request| request.refuse(error));
        Self::nothing()
    }

    /// Reports the result to the steps. The connection isn't locked: who gets a result may use it at once.
    fn finish(self) {
        for group in self.groups {
            group.finish(self.result.as_ref().copied().map_err(Error::duplicate));
        }
    }
}

/// Closes a connection that can't be used any more.
fn close_after(failure: Option<(Failure, Error)>, state: &mut State) {
    match failure {
        Some((Failure::Damage, error)) => *state = State::Damaged(error),
        Some((Failure::Connection, _)) => *state = State::Closed,
        None => {}
    }
}

/// The durability that the strictest of the first steps asks for.
fn strictest(waiting: &VecDeque<Request>) -> Durability {
    let steps = waiting.iter().map_while(|request| match request {
        Request::Write(_, step) => Some(step.durability()),
        Request::App(..) => None,
    });
    steps.max().unwrap_or(Durability::Process)
}

/// Runs the steps of one app. Their time isn't before the times of earlier transactions.
fn run(app: &App, group: &mut Group, session: &mut Session<'_>) -> Result<()> {
    let stored = app.clock.read(session.of_app(app.keys))?;
    if session.has_new_tables() {
        // A newer version of pynenc may have migrated the file.
        schema::check_version(session.path(), session.connection()).inspect_err(|error| session.fail(error))?;
    }
    let writes = session.writes();
    group.run(session)?;
    if session.writes() == writes {
        return Ok(());
    }
    app.clock.store(stored, session)
}

/// Takes the next steps of one app.
fn next_group(waiting: &mut VecDeque<Request>) -> Option<(Arc<App>, Group)> {
    let Some(Request::Write(app, _)) = waiting.front() else { return None };
    let app = app.clone();
    let mut steps = Vec::new();
    while let Some(Request::Write(of, _)) = waiting.front()
        && Arc::ptr_eq(of, &app)
        && steps.len() < STEPS_OF_A_GROUP
        && let Some(Request::Write(_, step)) = waiting.pop_front()
    {
        steps.push(step);
    }
    Some((app, Group::new(steps)))
}
