//! The terminal of the live view, and the loop that draws readings and handles keys.

use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use pynenc_builder::Pynenc;
use pynenc_engine::{Error, Result};
use ratatui::DefaultTerminal;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::reading::{Reader, Reading};
use super::view::{Pace, View};
use crate::exit::Exit;

/// The longest time of a reading.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Shows the app until the user quits, or until a signal ends the process.
pub(super) async fn show(app: &Pynenc, interval: Duration) -> Result<Exit> {
    let mut view = View::new(app.settings().app_id.to_string(), interval);
    let (pace, paces) = watch::channel(view.pace);
    let (sender, mut readings) = mpsc::channel(1);
    let mut stopped = std::pin::pin!(stop_signal().map_err(Error::other)?);
    let mut screen = Screen::open().map_err(Error::other)?;
    let mut events = EventStream::new();
    let reader = tokio::spawn(read_again(app.clone(), paces, sender));
    loop {
        screen.0.draw(|frame| view.draw(frame)).map_err(Error::other)?;
        tokio::select! {
            reading = readings.recv() => match reading {
                Some(reading) => view.update(reading),
                None => return Err(Error::other("the reading of the stores ended")),
            },
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if !view.press(key) {
                        break;
                    }
                    pace.send_if_modified(|pace| std::mem::replace(pace, view.pace) != view.pace);
                }
                // The next drawing fits the new size.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Error::other(error)),
                None => break,
            },
            () = &mut stopped => break,
        }
    }
    reader.abort();
    Ok(Exit::Done)
}

/// Reads the app each interval, until the receiver is gone. While the view is paused, nothing is read.
async fn read_again(app: Pynenc, mut paces: watch::Receiver<Pace>, sender: mpsc::Sender<Result<Reading, String>>) {
    let mut reader = Reader::default();
    loop {
        let reading = match timeout(READ_TIMEOUT, reader.read(&app)).await {
            Ok(reading) => reading.map_err(|error| error.to_string()),
            Err(_) => Err("the stores don't reply within 10s".to_owned()),
        };
        if sender.send(reading).await.is_err() || wait(&mut paces).await.is_err() {
            return;
        }
    }
}

/// Waits for the interval, and for as long as the view is paused. A change of the pace begins the wait anew.
async fn wait(paces: &mut watch::Receiver<Pace>) -> Result<(), watch::error::RecvError> {
    loop {
        let Pace { interval, is_paused } = *paces.borrow_and_update();
        tokio::select! {
            () = sleep(interval), if !is_paused => return Ok(()),
            changed = paces.changed() => changed?,
        }
    }
}

/// A terminal that shows the view. Dropping it restores the terminal; so does a panic, before its message is printed.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        // The terminal may be in raw mode already when the rest fails.
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Ends when a signal asks the process to stop. The terminal sends no SIGINT for Ctrl-C, which is a key of the view.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Ends when the user asks the process to stop.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the default action ends the process.
        let _ = tokio::signal::ctrl_c().await;
    })
}
