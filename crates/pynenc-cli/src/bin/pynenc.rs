//! `pynenc`: the command line without tasks. It does everything but run them.

#[tokio::main]
async fn main() -> pynenc_engine::Result<()> {
    pynenc_cli::main().await
}
