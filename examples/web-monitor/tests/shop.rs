//! The shop works, and its monitor shows that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use pynenc::web::WebConfig;
use web_monitor::load::order;
use web_monitor::shop::{Order, process_order};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.0 200"), "{path}: {response}");
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_shows_the_orders_of_the_shop() {
    let app = web_monitor::app().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    let config = WebConfig { listen: "127.0.0.1:0".into(), ..WebConfig::default() };
    let listening = pynenc::web::Web::new(&app, config, app.explain()).listen().await.unwrap();
    let address = listening.address();
    tokio::spawn(listening.serve(std::future::pending()));

    order(&app, 40).await.unwrap();
    let articles = vec!["lamp".to_owned()];
    let run = app.submit(process_order(Order { number: 1, customer: 1, articles })).await.unwrap();
    let page = tokio::task::spawn_blocking(move || get(address, "/invocations")).await.unwrap();
    assert!(page.contains("process_order") && page.contains("daily_report"), "{page}");
    let _ = run.result().await;
    let path = format!("/workflows/{}", run.id());
    let page = tokio::task::spawn_blocking(move || get(address, &path)).await.unwrap();
    assert!(page.contains("Journal") && page.contains("process_order"), "{page}");
    runner.shutdown_now().await.unwrap();
}
