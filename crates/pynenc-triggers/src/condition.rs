//! What a trigger may wait for, with its types.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::{Status, TaskId};
use pynenc_engine::{Call, Engine, Result, Task};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::{Ends, Errors, Events, Results, Slots, Source};
use crate::happening::Happening;
use crate::schedule::{CronDialect, DayMatch, Misfire};
use crate::spec::{Leaf, Node};
use crate::trigger::Trigger;

/// The window of [`all`], where none is given.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// What a trigger waits for; ends in a call.
pub trait Condition: Sized + Send + Sync + 'static {
    /// What a provider is given.
    type Context: Send + 'static;

    /// Adds its parts, and says how they go together.
    #[doc(hidden)]
    fn outline(&self, parts: &mut Vec<Part>) -> Node;

    /// Reads what happened, if enough of it has.
    #[doc(hidden)]
    fn read<'a>(&'a self, happenings: &'a mut Happenings) -> BoxFuture<'a, Result<Option<Self::Context>>>;

    /// Makes the call of what happened.
    fn call<T: Task>(self, provider: impl Fn(Self::Context) -> Call<T> + Send + Sync + 'static) -> Trigger {
        Trigger::made(self, move |context| Ok(provider(context)))
    }

    /// Makes the call of what happened, or fails: the error is recorded with the run.
    fn try_call<T: Task, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        self,
        provider: impl Fn(Self::Context) -> Result<Call<T>, E> + Send + Sync + 'static,
    ) -> Trigger {
        Trigger::made(self, move |context| provider(context).map_err(pynenc_engine::Error::other))
    }

    /// Makes the same call each time.
    fn then<T: Task>(self, call: Call<T>) -> Trigger {
        Trigger::fixed(&self, call)
    }
}

/// One condition of a trigger, as the evaluation sees it.
#[derive(Clone)]
pub struct Part {
    pub(crate) leaf: Leaf,
    pub(crate) reads_call: bool,
    pub(crate) reads_outcome: bool,
    pub(crate) filter: Option<Filter>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

/// Whether something that happened is let through.
pub(crate) type Filter = Arc<dyn for<'a> Fn(&'a Engine, &'a Happening) -> BoxFuture<'a, Result<bool>> + Send + Sync>;

/// What happened of each condition, in their order.
#[derive(Debug)]
pub struct Happenings {
    engine: Engine,
    left: std::vec::IntoIter<Option<Happening>>,
}

impl Happenings {
    pub(crate) fn new(engine: Engine, happenings: Vec<Option<Happening>>) -> Self {
        Self { engine, left: happenings.into_iter() }
    }
}

/// A filter of the user's.
type Accepts<S> = Arc<dyn Fn(&<S as Source>::Context) -> bool + Send + Sync>;

/// A condition by itself; made by the functions whose names start with `on_`.
pub struct On<S: Source> {
    leaf: Leaf,
    filters: Vec<Accepts<S>>,
    source: PhantomData<fn() -> S>,
}

impl<S: Source> fmt::Debug for On<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").field("leaf", &self.leaf).field("filters", &self.filters.len()).finish_non_exhaustive()
    }
}

impl<S: Source> On<S> {
    fn new(leaf: Leaf) -> Self {
        Self { leaf, filters: Vec::new(), source: PhantomData }
    }

    /// Lets through what `filter` says. It has to be quick: it holds up the runner's other triggers.
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&S::Context) -> bool + Send + Sync + 'static) -> Self {
        self.filters.push(Arc::new(filter));
        self
    }

    fn filters(&self) -> Option<Filter> {
        let filters = self.filters.clone();
        (!filters.is_empty()).then(|| -> Filter {
            Arc::new(move |engine, happening| {
                let filters = filters.clone();
                async move {
                    let context = S::read(engine, happening).await?;
                    Ok(filters.iter().all(|filter| filter(&context)))
                }
                .boxed()
            })
        })
    }
}

impl<S: Source> Condition for On<S> {
    type Context = S::Context;

    fn outline(&self, parts: &mut Vec<Part>) -> Node {
        let number = parts.len() as u32;
        parts.push(Part {
            leaf: self.leaf.clone(),
            reads_call: S::READS_CALL,
            reads_outcome: S::READS_OUTCOME,
            filter: self.filters(),
        });
        Node::Leaf(number)
    }

    fn read<'a>(&'a self, happenings: &'a mut Happenings) -> BoxFuture<'a, Result<Option<S::Context>>> {
        async move {
            match happenings.left.next().flatten() {
                Some(happening) => S::read(&happenings.engine, &happening).await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
    }
}

/// Comes true at the times of a cron text: five fields (minute, hour, day, month, weekday), or six with the seconds first.
pub fn on_cron(expression: impl Into<String>) -> On<Slots> {
    let (expression, timezone) = (expression.into(), "UTC".to_owned());
    On::new(Leaf::Cron { expression, timezone, misfire: Misfire::default(), dialect: CronDialect::default() })
}

impl On<Slots> {
    /// The time zone that the text is meant in, by its name in the tz database; UTC without one.
    #[must_use]
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        if let Leaf::Cron { timezone, .. } = &mut self.leaf {
            *timezone = name.into();
        }
        self
    }

    /// What becomes of slots that nobody was there for.
    #[must_use]
    pub fn misfire(mut self, policy: Misfire) -> Self {
        if let Leaf::Cron { misfire, .. } = &mut self.leaf {
            *misfire = policy;
        }
        self
    }

    /// Fires on days that fit both the field day and the field weekday, as Celery does: `0 0 13 * FRI` is each Friday
    /// the 13th.
    #[must_use]
    pub fn both_days(self) -> Self {
        self.dialect(|dialect| dialect.days = Some(DayMatch::Both))
    }

    /// Fires on days that fit the field day or the field weekday, as crontab(5) does: `0 0 13 * FRI` is each 13th and each
    /// Friday. This is the default; the call removes the warning.
    #[must_use]
    pub fn either_day(self) -> Self {
        self.dialect(|dialect| dialect.days = Some(DayMatch::Either))
    }

    /// Reads the text as Quartz does: weekdays count from 1, Sunday, to 7, and `5/15` means `5-59/15`.
    #[must_use]
    pub fn quartz(self) -> Self {
        self.dialect(|dialect| dialect.quartz = true)
    }

    fn dialect(mut self, change: impl FnOnce(&mut CronDialect)) -> Self {
        if let Leaf::Cron { dialect, .. } = &mut self.leaf {
            change(dialect);
        }
        self
    }
}

/// Comes true with each event of a name, whose payload is a `P`.
pub fn on_event<P: DeserializeOwned + Send + 'static>(name: impl Into<String>) -> On<Events<P>> {
    On::new(Leaf::Event { name: name.into(), key: None, matching: None })
}

impl<P: DeserializeOwned + Send + 'static> On<Events<P>> {
    /// Events alone that concern `key`.
    #[must_use]
    pub fn key(mut self, wanted: impl Into<String>) -> Self {
        if let Leaf::Event { key, .. } = &mut self.leaf {
            *key = Some(wanted.into());
        }
        self
    }

    /// Events alone whose payload has in it what `pattern` has: of an object, the keys that the pattern names.
    #[must_use]
    pub fn matching(mut self, pattern: Value) -> Self {
        if let Leaf::Event { matching, .. } = &mut self.leaf {
            *matching = Some(pattern);
        }
        self
    }
}

fn ended<T: Task>(statuses: Vec<Status>) -> Leaf {
    let task = TaskId::from(T::definition().name);
    Leaf::Ended { task, statuses, kinds: Vec::new(), arguments: None, result: None }
}

/// Comes true when an invocation of `T` ends with one of these final statuses.
pub fn on_status<T: Task>(statuses: impl IntoIterator<Item = Status>) -> On<Ends<T>> {
    On::new(ended::<T>(statuses.into_iter().collect()))
}

/// Comes true when an invocation of `T` succeeds.
pub fn on_success<T: Task>() -> On<Results<T>> {
    On::new(ended::<T>(vec![Status::Success]))
}

/// Comes true when an invocation of `T` has a result: the same as [`on_success`], for triggers that look at it.
pub fn on_result<T: Task>() -> On<Results<T>> {
    on_success()
}

/// Comes true when an invocation of `T` fails for good.
pub fn on_exception<T: Task>() -> On<Errors<T>> {
    On::new(ended::<T>(vec![Status::Failed]))
}

impl<T: Task> On<Errors<T>> {
    /// Failures alone whose error is of one of these kinds: the name of its type without the path, or of its variant.
    #[must_use]
    pub fn types<K: Into<String>>(mut self, names: impl IntoIterator<Item = K>) -> Self {
        if let Leaf::Ended { kinds, .. } = &mut self.leaf {
            kinds.extend(names.into_iter().map(Into::into));
        }
        self
    }
}

impl<T: Task> On<Results<T>> {
    /// Results alone that have in them what `pattern` has.
    #[must_use]
    pub fn matching_result(mut self, pattern: Value) -> Self {
        if let Leaf::Ended { result, .. } = &mut self.leaf {
            *result = Some(pattern);
        }
        self
    }
}

/// The sources that know what was called.
pub trait OfTask: Source {}

impl<T: Task> OfTask for Ends<T> {}
impl<T: Task> OfTask for Results<T> {}
impl<T: Task> OfTask for Errors<T> {}

impl<S: OfTask> On<S> {
    /// Invocations alone whose arguments, as an object of their names, have in them what `pattern` has.
    #[must_use]
    pub fn matching_arguments(mut self, pattern: Value) -> Self {
        if let Leaf::Ended { arguments, .. } = &mut self.leaf {
            *arguments = Some(pattern);
        }
        self
    }
}

/// Several conditions, each of which has to come true; the context is a tuple of theirs.
#[derive(Debug)]
pub struct All<C> {
    of: C,
    within: Duration,
}

/// Comes true when each of a tuple of conditions has: the oldest occurrences go together, no further apart than a day.
pub fn all<C>(conditions: C) -> All<C> {
    All { of: conditions, within: WINDOW }
}

impl<C> All<C> {
    /// The longest time between the first and the last of what goes together.
    #[must_use]
    pub fn within(self, window: Duration) -> Self {
        Self { within: window, ..self }
    }
}

/// Several conditions, one of which has to come true; the context is a tuple of what there is of theirs.
#[derive(Debug)]
pub struct Any<C> {
    of: C,
}

/// Comes true with each occurrence of each of a tuple of conditions.
pub fn any<C>(conditions: C) -> Any<C> {
    Any { of: conditions }
}

/// What the attribute of a task takes: a condition, or a tuple of them, each of which is a trigger.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no condition of a trigger",
    note = "write `on_cron(\"0 3 * * *\")`, `on_event::<P>(\"name\")`, `on_success::<task>()` or the like, or a tuple of them"
)]
pub trait IntoTriggers {
    /// The triggers of calls that `call` makes.
    fn into_triggers<T: Task>(self, call: fn() -> Call<T>) -> Vec<Trigger>;
}

impl<C: Condition> IntoTriggers for C {
    fn into_triggers<T: Task>(self, call: fn() -> Call<T>) -> Vec<Trigger> {
        vec![self.then(call())]
    }
}

macro_rules! tuples {
    ($(($($name:ident $value:ident),+))+) => {$(
        impl<$($name: Condition),+> Condition for All<($($name,)+)> {
            type Context = ($($name::Context,)+);

            fn outline(&self, parts: &mut Vec<Part>) -> Node {
                let ($($value,)+) = &self.of;
                Node::All { of: vec![$($value.outline(parts)),+], within: self.within }
            }

            fn read<'a>(&'a self, happenings: &'a mut Happenings) -> BoxFuture<'a, Result<Option<Self::Context>>> {
                async move {
                    let ($($value,)+) = &self.of;
                    $(let $value = $value.read(happenings).await?;)+
                    Ok((|| Some(($($value?,)+)))())
                }
                .boxed()
            }
        }

        impl<$($name: Condition),+> Condition for Any<($($name,)+)> {
            type Context = ($(Option<$name::Context>,)+);

            fn outline(&self, parts: &mut Vec<Part>) -> Node {
                let ($($value,)+) = &self.of;
                Node::Any(vec![$($value.outline(parts)),+])
            }

            fn read<'a>(&'a self, happenings: &'a mut Happenings) -> BoxFuture<'a, Result<Option<Self::Context>>> {
                async move {
                    let ($($value,)+) = &self.of;
                    $(let $value = $value.read(happenings).await?;)+
                    let is_there = [$($value.is_some()),+].contains(&true);
                    Ok(is_there.then_some(($($value,)+)))
                }
                .boxed()
            }
        }

        impl<$($name: IntoTriggers),+> IntoTriggers for ($($name,)+) {
            fn into_triggers<T: Task>(self, call: fn() -> Call<T>) -> Vec<Trigger> {
                let ($($value,)+) = self;
                [$($value.into_triggers(call)),+].into_iter().flatten().collect()
            }
        }
    )+};
}

tuples! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
    (A a, B b, C c, D d, E e)
    (A a, B b, C c, D d, E e, F f)
    (A a, B b, C c, D d, E e, F f, G g)
    (A a, B b, C c, D d, E e, F f, G g, H h)
}
