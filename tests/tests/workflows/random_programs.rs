//! Tests of random workflows in failing processes. Their results are computed beforehand.
//!
//! `WORKFLOW_SEED=7` runs one seed, `WORKFLOW_SEEDS=10000` runs many.

use fastrand::Rng;
use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::failing::{Fails, Fuse};
use serde::{Deserialize, Serialize};

use crate::stores::{Notes, Stores};

const SEEDS: u64 = 150;

/// An operation of a program. Each adds to the program's sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Op {
    Child(u64),
    Children(Vec<u64>),
    Step(u64),
    Sleep(u64),
    Event,
    Fails(u64),
    Data(u64),
    Branches(Vec<Vec<Op>>),
}

impl Op {
    fn draw(rng: &mut Rng, depth: u32) -> Self {
        match rng.u8(..if depth == 0 { 8 } else { 6 }) {
            0 => Self::Child(rng.u64(1..100)),
            1 => Self::Children((0..rng.usize(1..4)).map(|_| rng.u64(1..100)).collect()),
            2 => Self::Step(rng.u64(1..100)),
            3 => Self::Sleep(rng.u64(0..4000)),
            4 => Self::Fails(rng.u64(1..100)),
            5 => Self::Data(rng.u64(1..100)),
            6 => Self::Event,
            _ => Self::Branches((0..rng.usize(2..4)).map(|_| Self::program(rng, 1)).collect()),
        }
    }

    fn program(rng: &mut Rng, depth: u32) -> Vec<Self> {
        (0..rng.usize(1..6 - 2 * depth as usize)).map(|_| Self::draw(rng, depth)).collect()
    }

    /// The operation's contribution to the sum.
    fn sum(&self) -> u64 {
        match self {
            Self::Child(n) | Self::Step(n) | Self::Fails(n) | Self::Data(n) => *n,
            Self::Children(all) => all.iter().sum(),
            Self::Sleep(_) => 0,
            Self::Event => 1000,
            Self::Branches(all) => all.iter().flatten().map(Self::sum).sum(),
        }
    }

    /// The number of child calls.
    fn children(&self) -> usize {
        match self {
            Self::Child(_) | Self::Fails(_) => 1,
            Self::Children(all) => all.len(),
            Self::Branches(all) => all.iter().flatten().map(Self::children).sum(),
            Self::Step(_) | Self::Sleep(_) | Self::Event | Self::Data(_) => 0,
        }
    }
}

#[task]
async fn child(n: u64) -> u64 {
    n
}

#[task]
async fn fails(n: u64) -> Result<u64, String> {
    Err(n.to_string())
}

/// Runs a program. The future is boxed because programs have branches with programs.
fn interpreted<'a>(wf: &'a Workflow, program: &'a [Op]) -> futures_util::future::BoxFuture<'a, Result<u64>> {
    Box::pin(async move {
        let mut sum = 0;
        for op in program {
            sum += performed(wf, op).await?;
        }
        Ok(sum)
    })
}

async fn performed(wf: &Workflow, op: &Op) -> Result<u64> {
    Ok(match op {
        Op::Child(n) => wf.execute(child(*n)).await?,
        Op::Children(all) => wf.execute_all(all.iter().copied().map(child)).await?.into_iter().sum(),
        Op::Step(n) => wf.step("step", || async { Ok::<_, Error>(*n) }).await?,
        Op::Sleep(length) => wf.sleep(millis(*length)).await.map(|()| 0)?,
        Op::Event => wf.wait_for_event("go on").await?,
        Op::Fails(n) => match wf.execute(fails(*n)).await {
            Err(Error::TaskFailed(error)) => error.message.parse().map_err(Error::other)?,
            other => panic!("expected a failed task: {other:?}"),
        },
        Op::Data(n) => {
            wf.set_data("n", n).await?;
            let _: Option<u64> = wf.get_data("n").await?;
            *n
        }
        Op::Branches(all) => {
            let branches: Vec<_> = (0..all.len()).map(|n| wf.branch(&n.to_string())).collect();
            let chains = branches.iter().zip(all).map(|(branch, program)| interpreted(branch, program));
            futures_util::future::try_join_all(chains).await?.into_iter().sum()
        }
    })
}

#[workflow]
async fn runs(#[inject] wf: Workflow, program: Vec<Op>) -> Result<u64> {
    interpreted(&wf, &program).await
}

fn app(stores: &Stores) -> PynencBuilder {
    stores.builder().set("runner.poison_losses", 100).state(Notes::default()).tasks(tasks![child, fails, runs])
}

async fn run(stores: &Stores) -> Option<RunnerHandle> {
    app(stores).build().await.ok()?.start_runner().await.ok()
}

fn fuse(rng: &mut Rng) -> Fuse {
    let fuse = Fuse::new(rng.u64(1..120), if rng.bool() { Fails::Before } else { Fails::After });
    if rng.u8(..3) == 0 { fuse } else { fuse.fatal() }
}

async fn scenario(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let program = Op::program(&mut rng, 0);
    let stores = Stores::new();
    let client = app(&stores).build().await.unwrap();
    let invocation = client.submit(runs(program.clone())).await.unwrap();
    for _ in 0..rng.usize(1..4) {
        let failing = run(&stores.failing(&fuse(&mut rng))).await;
        tokio::time::sleep(millis(rng.u64(100..20_000))).await;
        client.emit_event("go on", &1000).await.unwrap();
        if let Some(runner) = failing {
            runner.shutdown_now().await.ok();
        }
    }
    let last = run(&stores).await.unwrap();
    for _ in 0..10 {
        tokio::time::sleep(secs(20)).await;
        client.emit_event("go on", &1000).await.unwrap();
    }
    let expected: u64 = program.iter().map(Op::sum).sum();
    let value =
        invocation.result_timeout(secs(1)).await.unwrap_or_else(|error| panic!("seed {seed}: {error}: {program:?}"));
    assert_eq!(value, expected, "seed {seed}: {program:?}");
    let find = Find { limit: 1000, ..Find::default() };
    let all = client.parts().orchestrator.find(&find).await.unwrap().items.len();
    assert_eq!(all, 1 + program.iter().map(Op::children).sum::<usize>(), "seed {seed}: {program:?}");
    last.shutdown().await.unwrap();
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(start_paused = true)]
async fn random_programs_give_their_result_despite_faults() {
    let seeds = match number("WORKFLOW_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WORKFLOW_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        scenario(seed).await;
    }
}
