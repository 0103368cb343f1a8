//! Conditions of triggers, their combinations, and the calls that they cause.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_engine::{Call, Engine, Result, Task};

use crate::code::{CompiledCondition, MakeCall};
use crate::observation::Observation;
use crate::spec::ConditionTree;
use crate::trigger::{CallSource, Trigger};

/// The window of [`all`] without a call of [`All::within`].
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// A condition that a trigger waits for.
///
/// The functions whose names start with `on_` make single conditions; [`all`] and [`any`] combine several. Each
/// [`Context`](Self::Context) has typed data about the occurrence, from which you make the call.
///
/// ```
/// # use pynenc_engine::{Call, Task};
/// # use pynenc_triggers::{Condition, Trigger, on_event};
/// # #[derive(serde::Deserialize)] struct Login { user: String }
/// # fn trigger<greet: Task>(greet: fn(String) -> Call<greet>) -> Trigger {
/// on_event::<Login>("user.login").call(move |cx| greet(cx.into_payload().user))
/// # }
/// ```
///
/// The code of a condition (its filters, and the closure that makes the call) runs in the runner's trigger service, so
/// it has to be quick. If the code fails or panics, the trigger records a failed run with the error, and other triggers
/// go on.
pub trait Condition: Sized + Send + Sync + 'static {
    /// The data about an occurrence.
    type Context: Send + 'static;

    /// Adds the single conditions to `conditions`, and returns how they combine.
    #[doc(hidden)]
    fn compile(&self, conditions: &mut Vec<CompiledCondition>) -> ConditionTree;

    /// Reads the context from observations; `None` if they don't meet the condition.
    #[doc(hidden)]
    fn read<'a>(&'a self, observations: &'a mut Observations) -> BoxFuture<'a, Result<Option<Self::Context>>>;

    /// Makes a trigger that makes its call from the context.
    fn call<T: Task>(self, provider: impl Fn(Self::Context) -> Call<T> + Send + Sync + 'static) -> Trigger {
        made_by(self, move |context| Ok(provider(context)))
    }

    /// Makes a trigger that makes its call from the context with code that may fail. An error is recorded as a failed
    /// run of the trigger, and isn't retried.
    fn try_call<T: Task, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        self,
        provider: impl Fn(Self::Context) -> Result<Call<T>, E> + Send + Sync + 'static,
    ) -> Trigger {
        made_by(self, move |context| provider(context).map_err(pynenc_engine::Error::other))
    }

    /// Makes a trigger that makes the same call each time.
    fn then<T: Task>(self, call: Call<T>) -> Trigger {
        let mut conditions = Vec::new();
        let shape = self.compile(&mut conditions);
        Trigger::new(conditions, shape, call.encode().map(CallSource::Fixed))
    }
}

fn made_by<C: Condition, T: Task>(
    condition: C,
    provider: impl Fn(C::Context) -> Result<Call<T>> + Send + Sync + 'static,
) -> Trigger {
    let mut conditions = Vec::new();
    let shape = condition.compile(&mut conditions);
    let shared = Arc::new((condition, provider));
    let make_call: MakeCall = Arc::new(move |engine, observations| {
        let shared = shared.clone();
        async move {
            let (condition, provider) = &*shared;
            let context = condition.read(&mut Observations::new(engine.clone(), observations)).await?;
            let call = provider(context.ok_or_else(incomplete)?)?;
            engine.encode(call).await
        }
        .boxed()
    });
    Trigger::new(conditions, shape, Ok(CallSource::Made(T::definition().name.into(), make_call)))
}

fn incomplete() -> pynenc_core::Error {
    pynenc_core::Error::corrupt("the stored occurrences of this run don't meet the trigger's conditions")
}

/// One observation for each single condition of a trigger, in the order of the conditions.
#[derive(Debug)]
pub struct Observations {
    engine: Engine,
    rest: std::vec::IntoIter<Option<Observation>>,
}

impl Observations {
    fn new(engine: Engine, observations: Vec<Option<Observation>>) -> Self {
        Self { engine, rest: observations.into_iter() }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes the observation of the next condition; `None` if it wasn't met.
    pub(crate) fn take_next(&mut self) -> Option<Observation> {
        self.rest.next().flatten()
    }
}

/// Several conditions, all of which have to be met; made by [`all`].
///
/// Its context is a tuple of the conditions' contexts.
#[derive(Debug)]
pub struct All<C> {
    of: C,
    within: Duration,
}

/// Makes a condition that is met when each condition of a tuple has been met, within a day or the time of
/// [`All::within`].
///
/// The oldest occurrences combine first, and each occurrence is used once.
///
/// ```
/// # use std::time::Duration;
/// # use pynenc_engine::{Call, Task};
/// # use pynenc_triggers::{Condition, Trigger, all, on_event, on_success};
/// # fn trigger<import: Task, report: Task>(report: fn() -> Call<report>) -> Trigger {
/// all((on_success::<import>(), on_event::<String>("month.closed"))).within(Duration::from_secs(3600)).then(report())
/// # }
/// ```
pub fn all<C>(conditions: C) -> All<C> {
    All { of: conditions, within: DEFAULT_WINDOW }
}

impl<C> All<C> {
    /// Sets the longest time between the first and the last occurrence that combine.
    #[must_use]
    pub fn within(self, window: Duration) -> Self {
        Self { within: window, ..self }
    }
}

/// Several conditions, one of which has to be met; made by [`any`].
///
/// Its context is a tuple of `Option`s of the conditions' contexts.
#[derive(Debug)]
pub struct Any<C> {
    of: C,
}

/// Makes a condition that is met each time one of the conditions of a tuple is met.
pub fn any<C>(conditions: C) -> Any<C> {
    Any { of: conditions }
}

/// A condition, or a tuple of conditions each of which makes a trigger of its own: the value of `triggers` in a task's
/// attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't a condition of a trigger",
    note = "write `on_cron(\"0 3 * * *\")`, `on_event::<P>(\"name\")`, `on_success::<task>()` or the like, or a tuple of them"
)]
pub trait IntoTriggers {
    /// Makes triggers that make the call that `call` returns.
    fn into_triggers<T: Task>(self, call: fn() -> Call<T>) -> Vec<Trigger>;
}

impl<C: Condition> IntoTriggers for C {
    fn into_triggers<T: Task>(self, call: fn() -> Call<T>) -> Vec<Trigger> {
        vec![self.then(call())]
    }
}

/// Makes the triggers of a task without arguments from the conditions in its attribute.
#[doc(hidden)]
pub fn of_task<T: Task>(conditions: impl IntoTriggers, call: fn() -> Call<T>) -> Vec<Trigger> {
    conditions.into_triggers(call)
}

macro_rules! tuples {
    ($(($($name:ident $value:ident),+))+) => {$(
        impl<$($name: Condition),+> Condition for All<($($name,)+)> {
            type Context = ($($name::Context,)+);

            fn compile(&self, conditions: &mut Vec<CompiledCondition>) -> ConditionTree {
                let ($($value,)+) = &self.of;
                ConditionTree::All { of: vec![$($value.compile(conditions)),+], within: self.within }
            }

            fn read<'a>(&'a self, observations: &'a mut Observations) -> BoxFuture<'a, Result<Option<Self::Context>>> {
                async move {
                    let ($($value,)+) = &self.of;
                    $(let $value = $value.read(observations).await?;)+
                    Ok((|| Some(($($value?,)+)))())
                }
                .boxed()
            }
        }

        impl<$($name: Condition),+> Condition for Any<($($name,)+)> {
            type Context = ($(Option<$name::Context>,)+);

            fn compile(&self, conditions: &mut Vec<CompiledCondition>) -> ConditionTree {
                let ($($value,)+) = &self.of;
                ConditionTree::Any(vec![$($value.compile(conditions)),+])
            }

            fn read<'a>(&'a self, observations: &'a mut Observations) -> BoxFuture<'a, Result<Option<Self::Context>>> {
                async move {
                    let ($($value,)+) = &self.of;
                    $(let $value = $value.read(observations).await?;)+
                    let is_met = [$($value.is_some()),+].contains(&true);
                    Ok(is_met.then_some(($($value,)+)))
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
