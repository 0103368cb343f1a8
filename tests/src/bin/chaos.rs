//! Injects faults at random while an app works, then checks every promise.
//!
//! `scripts/chaos` builds and runs this program. It starts its worker and client processes from the same program.

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::process::ExitCode {
    unix::main().await
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!("chaos: needs the signals of Unix");
    std::process::ExitCode::FAILURE
}

#[cfg(unix)]
mod unix {
    use std::process::ExitCode;
    use std::time::Duration;

    use clap::Parser;
    use pynenc_tests::chaos::{self, Plan, ROLE, StoreKind};

    /// Kills, pauses, cuts off and restarts workers, clients and a store while an app works, then checks every promise
    #[derive(Debug, Parser)]
    struct Arguments {
        /// The store: a server that the program starts, or a file that all processes share
        #[arg(long, value_enum, default_value_t = StoreKind::Redis)]
        store: StoreKind,
        /// Minutes with faults
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Seed of all random choices; a new one by default
        #[arg(long)]
        seed: Option<u64>,
        /// Injects no faults, and checks that memory and stored entries don't grow
        #[arg(long)]
        soak: bool,
        /// Number of worker processes
        #[arg(long, default_value_t = 4)]
        workers: usize,
        /// Number of client processes
        #[arg(long, default_value_t = 2)]
        clients: usize,
    }

    pub(super) async fn main() -> ExitCode {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
        match std::env::var(ROLE).as_deref() {
            Ok("client") => process_exit_code(&chaos::run_client().await),
            Ok(_) => process_exit_code(&chaos::run_worker().await),
            Err(_) => run(&Arguments::parse()).await,
        }
    }

    fn process_exit_code(result: &pynenc::Result<()>) -> ExitCode {
        if let Err(error) = result {
            tracing::error!(%error, "this process can't continue");
        }
        exit_code(result.is_ok())
    }

    async fn run(arguments: &Arguments) -> ExitCode {
        let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let length = Duration::from_secs_f64(arguments.minutes * 60.0);
        let Arguments { store, workers, clients, .. } = *arguments;
        let plan = Plan { store, seed, length, workers, clients };
        println!("seed {seed}");
        if arguments.soak {
            let report = chaos::soak(plan).await;
            println!("{report}");
            return exit_code(report.is_success());
        }
        let report = chaos::run(plan).await;
        println!("{report}");
        exit_code(report.is_success())
    }

    fn exit_code(is_success: bool) -> ExitCode {
        if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
