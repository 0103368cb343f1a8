//! A worker: it runs until it is told to stop. Start as many as you like, on as many machines.

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let _server = redis_workers::server_if_none_is_there();
    redis_workers::app().build().await?.run().await
}
