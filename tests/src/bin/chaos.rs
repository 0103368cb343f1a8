//! Breaks things at random while work goes on, and judges what is left of the promises.
//!
//! `scripts/chaos` builds and runs it. The processes that it starts are this program too.

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::process::ExitCode {
    unix::main().await
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!("chaos: processes are stopped by signals of Unix");
    std::process::ExitCode::FAILURE
}

#[cfg(unix)]
mod unix {
    use std::process::ExitCode;
    use std::time::Duration;

    use clap::Parser;
    use pynenc_tests::chaos::{self, Plan, ROLE};

    /// Kills, stops, cuts off and restarts workers, clients and a server while work goes on, then checks every promise.
    #[derive(Debug, Parser)]
    struct Arguments {
        /// How many minutes things are broken for
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// From which all that is random is drawn; a new one where none is given
        #[arg(long)]
        seed: Option<u64>,
        /// Breaks nothing, and looks whether memory and keys grow
        #[arg(long)]
        soak: bool,
        /// Worker processes
        #[arg(long, default_value_t = 4)]
        workers: usize,
        /// Client processes
        #[arg(long, default_value_t = 2)]
        clients: usize,
    }

    pub(super) async fn main() -> ExitCode {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
        match std::env::var(ROLE).as_deref() {
            Ok("client") => ended(&chaos::be_client().await),
            Ok(_) => ended(&chaos::be_worker().await),
            Err(_) => look(&Arguments::parse()).await,
        }
    }

    fn ended(result: &pynenc::Result<()>) -> ExitCode {
        if let Err(error) = result {
            tracing::error!(%error, "this process can't go on");
        }
        chaos::exit_code(result.is_ok())
    }

    async fn look(arguments: &Arguments) -> ExitCode {
        let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let length = Duration::from_secs_f64(arguments.minutes * 60.0);
        let plan = Plan { seed, length, workers: arguments.workers, clients: arguments.clients };
        println!("seed {seed}");
        if arguments.soak {
            let soaked = chaos::soak(plan).await;
            println!("{soaked}");
            return chaos::exit_code(soaked.is_well());
        }
        let ended = chaos::burn(plan).await;
        println!("{ended}");
        chaos::exit_code(ended.is_well())
    }
}
