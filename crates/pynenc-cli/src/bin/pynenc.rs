//! The stand-alone program `pynenc`. It has no tasks, so every command works except running and calling tasks.

#[tokio::main]
async fn main() -> pynenc_engine::Result<()> {
    pynenc_cli::main().await
}
