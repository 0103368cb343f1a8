//! Single conditions: slots of a schedule, events, and completions of invocations.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::{Status, TaskId};
use pynenc_engine::{Result, Task};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::code::{CompiledCondition, Filter};
use crate::condition::{Condition, Observations};
use crate::context::{Completions, Errors, Events, Results, Slots, Source, TaskSource};
use crate::schedule::{CronDialect, DayMatch, Misfire};
use crate::spec::{ConditionSpec, ConditionTree};

type UserFilter<S> = Arc<dyn Fn(&<S as Source>::Context) -> bool + Send + Sync>;

/// A single condition; made by the functions whose names start with `on_`.
///
/// Its methods narrow the condition. An observation has to pass all of them.
pub struct On<S: Source> {
    spec: ConditionSpec,
    filters: Vec<UserFilter<S>>,
    source: PhantomData<fn() -> S>,
}

impl<S: Source> fmt::Debug for On<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").field("spec", &self.spec).field("filters", &self.filters.len()).finish_non_exhaustive()
    }
}

impl<S: Source> On<S> {
    fn new(spec: ConditionSpec) -> Self {
        Self { spec, filters: Vec::new(), source: PhantomData }
    }

    /// Counts an occurrence only if `filter` returns `true` for its context.
    ///
    /// The filter has to be quick, because it delays the runner's other triggers. If it panics, the trigger records a
    /// failed run. A trigger with a filter can't be added at run time, because a store keeps data alone. Use a
    /// `matching` method instead.
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&S::Context) -> bool + Send + Sync + 'static) -> Self {
        self.filters.push(Arc::new(filter));
        self
    }

    fn compiled_filter(&self) -> Option<Filter> {
        let filters = self.filters.clone();
        (!filters.is_empty()).then(|| -> Filter {
            Arc::new(move |engine, observation| {
                let filters = filters.clone();
                async move {
                    let context = S::read(engine, observation).await?;
                    Ok(filters.iter().all(|filter| filter(&context)))
                }
                .boxed()
            })
        })
    }
}

impl<S: Source> Condition for On<S> {
    type Context = S::Context;

    fn compile(&self, conditions: &mut Vec<CompiledCondition>) -> ConditionTree {
        let index = conditions.len() as u32;
        conditions.push(CompiledCondition {
            spec: self.spec.clone(),
            reads_call: S::READS_CALL,
            reads_outcome: S::READS_OUTCOME,
            filter: self.compiled_filter(),
        });
        ConditionTree::Leaf(index)
    }

    fn read<'a>(&'a self, observations: &'a mut Observations) -> BoxFuture<'a, Result<Option<S::Context>>> {
        async move {
            match observations.take_next() {
                Some(observation) => S::read(observations.engine(), &observation).await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
    }
}

/// Makes a condition that is met at the times of a cron text.
///
/// The text has five fields (minute, hour, day, month, weekday), or six with the seconds first. The fields are those of
/// crontab(5); `L`, `W` and `#` name days of the month, and nicknames such as `@daily` stand for a text. Times are in
/// UTC, or in the zone of [`On::timezone`].
///
/// A slot is one time of the schedule. It fires once among all runners, and never early by the store's clock. A
/// schedule that is new, or whose text or zone has changed, waits for its next slot. [`On::misfire`] sets the policy
/// for slots that no runner was there for.
///
/// ```
/// # use pynenc_engine::{Call, Task};
/// # use pynenc_triggers::{Condition, Misfire, Trigger, on_cron};
/// # fn trigger<report: Task>(report: fn() -> Call<report>) -> Trigger {
/// on_cron("30 2 * * MON-FRI").timezone("Europe/Madrid").misfire(Misfire::Skip).then(report())
/// # }
/// ```
///
/// # Errors
///
/// Building the app fails with [`Error::Config`](pynenc_engine::Error::Config) if the text or the zone can't be read,
/// or if systems read the text too differently to guess. The error shows the text to write instead.
pub fn on_cron(expression: impl Into<String>) -> On<Slots> {
    let (expression, timezone) = (expression.into(), "UTC".to_owned());
    On::new(ConditionSpec::Cron { expression, timezone, misfire: Misfire::default(), dialect: CronDialect::default() })
}

impl On<Slots> {
    /// Sets the time zone of the text, by its name in the tz database, such as `Europe/Madrid`.
    #[must_use]
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        if let ConditionSpec::Cron { timezone, .. } = &mut self.spec {
            *timezone = name.into();
        }
        self
    }

    /// Sets the policy for missed slots.
    #[must_use]
    pub fn misfire(mut self, policy: Misfire) -> Self {
        if let ConditionSpec::Cron { misfire, .. } = &mut self.spec {
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

    /// Fires on days that fit the field day or the field weekday, as crontab(5) does: `0 0 13 * FRI` is each 13th and
    /// each Friday. This is the default; the call removes the warning.
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
        if let ConditionSpec::Cron { dialect, .. } = &mut self.spec {
            change(dialect);
        }
        self
    }
}

/// Makes a condition that is met by each event of a name, whose payload is a `P`.
///
/// [`Engine::emit_event`](pynenc_engine::Engine::emit_event) emits events. The first trigger on a name gets the events
/// that the log still has; a later trigger gets new events alone. An event whose payload isn't a `P` is recorded as a
/// failed run.
///
/// ```
/// # use pynenc_engine::{Call, Task};
/// # use pynenc_triggers::{Condition, Trigger, on_event};
/// # #[derive(serde::Deserialize)] struct Order { id: u64 }
/// # fn trigger<ship: Task>(ship: fn(u64) -> Call<ship>) -> Trigger {
/// on_event::<Order>("order.paid").filter(|cx| cx.payload().id > 0).call(move |cx| ship(cx.payload().id))
/// # }
/// ```
pub fn on_event<P: DeserializeOwned + Send + 'static>(name: impl Into<String>) -> On<Events<P>> {
    On::new(ConditionSpec::Event { name: name.into(), key: None, matching: None })
}

impl<P: DeserializeOwned + Send + 'static> On<Events<P>> {
    /// Counts only events with this key, which the emitter gave with [`Emit::key`](pynenc_engine::Emit::key).
    #[must_use]
    pub fn key(mut self, wanted: impl Into<String>) -> Self {
        if let ConditionSpec::Event { key, .. } = &mut self.spec {
            *key = Some(wanted.into());
        }
        self
    }

    /// Counts only events whose payload matches a pattern. An object matches if it has each key of the pattern, with a
    /// value that matches; any other value matches if it is equal.
    #[must_use]
    pub fn matching(mut self, pattern: Value) -> Self {
        if let ConditionSpec::Event { matching, .. } = &mut self.spec {
            *matching = Some(pattern);
        }
        self
    }
}

fn completion<T: Task>(statuses: Vec<Status>) -> ConditionSpec {
    let task = TaskId::from(T::definition().name);
    ConditionSpec::Completion { task, statuses, kinds: Vec::new(), arguments: None, result: None }
}

/// Makes a condition that is met when an invocation of `T` finishes with one of these statuses.
///
/// Completions are reported while a runner has the trigger, and for
/// [`definition_life`](crate::TriggersConfig::definition_life) longer. Other completions don't count.
///
/// # Errors
///
/// Building the app fails with [`Error::Config`](pynenc_engine::Error::Config) for a status that isn't final, and for
/// no status at all.
pub fn on_status<T: Task>(statuses: impl IntoIterator<Item = Status>) -> On<Completions<T>> {
    On::new(completion::<T>(statuses.into_iter().collect()))
}

/// Makes a condition that is met when an invocation of `T` succeeds.
pub fn on_success<T: Task>() -> On<Results<T>> {
    On::new(completion::<T>(vec![Status::Success]))
}

/// Makes a condition that is met when an invocation of `T` has a result. It is [`on_success`], under a name for
/// triggers that read the result.
pub fn on_result<T: Task>() -> On<Results<T>> {
    on_success()
}

/// Makes a condition that is met when an invocation of `T` fails, after its last retry.
pub fn on_exception<T: Task>() -> On<Errors<T>> {
    On::new(completion::<T>(vec![Status::Failed]))
}

impl<T: Task> On<Errors<T>> {
    /// Counts only failures whose error has one of these kinds: the name of the error's type without its path, or of
    /// its variant.
    #[must_use]
    pub fn types<K: Into<String>>(mut self, names: impl IntoIterator<Item = K>) -> Self {
        if let ConditionSpec::Completion { kinds, .. } = &mut self.spec {
            kinds.extend(names.into_iter().map(Into::into));
        }
        self
    }
}

impl<T: Task> On<Results<T>> {
    /// Counts only results that match a pattern, as in [`On::matching`].
    #[must_use]
    pub fn matching_result(mut self, pattern: Value) -> Self {
        if let ConditionSpec::Completion { result, .. } = &mut self.spec {
            *result = Some(pattern);
        }
        self
    }
}

impl<S: TaskSource> On<S> {
    /// Counts only invocations whose arguments, as an object with the names of the parameters, match a pattern, as in
    /// [`On::matching`].
    #[must_use]
    pub fn matching_arguments(mut self, pattern: Value) -> Self {
        if let ConditionSpec::Completion { arguments, .. } = &mut self.spec {
            *arguments = Some(pattern);
        }
        self
    }
}
